//! What a refused sign-in asked for, as its ticket keeps it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    class::ClientClass,
    clock::millis,
    lifetime::Lifetime,
    limit::{Excess, Limit},
    open::Open,
    proof::{Proof, WrittenProof},
    record::RecordError,
};

/// What a refused sign-in asked for: everything but its data. It has the settings of the layer where the
/// login had none of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Terms {
    pub(crate) limit: Limit,
    pub(crate) class: ClientClass,
    pub(crate) counts: bool,
    pub(crate) lifetime: Lifetime,
    pub(crate) persistent: bool,
    pub(crate) proof: Proof,
}

/// The stored form of [`Terms`]: sessions, whether the limit refuses, the limits of classes, class, whether
/// it counts, idle and absolute in ms, whether the cookie stays, proof. A new field goes to the end.
#[derive(Deserialize, Serialize)]
struct Written<'a>(
    u16,
    bool,
    Vec<(u8, u16)>,
    u8,
    bool,
    i64,
    i64,
    bool,
    #[serde(borrow)] Open<WrittenProof<'a>>,
);

impl Terms {
    /// The stored form, which no client sees and no script reads.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let Self {
            limit,
            class,
            counts,
            lifetime,
            persistent,
            proof,
        } = self;
        let written = Written(
            limit.sessions(),
            limit.excess() == Excess::Refuse,
            limit.of_classes().collect(),
            class.number(),
            *counts,
            millis(lifetime.idle()),
            millis(lifetime.absolute()),
            *persistent,
            Open::of(WrittenProof::from(proof)),
        );
        rmp_serde::to_vec(&written).map_err(RecordError::because)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let Open(
            Written(
                sessions,
                refuses,
                classes,
                class,
                counts,
                idle,
                absolute,
                persistent,
                Open(proof, _),
            ),
            _,
        ) = rmp_serde::from_slice(bytes).map_err(RecordError::because)?;
        let limit = Limit::at_most(sessions);
        let limit = if refuses { limit.refuse() } else { limit };
        let limit = classes.into_iter().fold(limit, |limit, (class, most)| {
            limit.of_class(ClientClass::new(class), most)
        });
        let time = |part: i64| u64::try_from(part).map(Duration::from_millis);
        Ok(Self {
            limit,
            class: ClientClass::new(class),
            counts,
            lifetime: Lifetime::new(
                time(idle).map_err(RecordError::because)?,
                time(absolute).map_err(RecordError::because)?,
            ),
            persistent,
            proof: proof.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        let phone = ClientClass::new(3);
        Terms {
            limit: Limit::at_most(7).of_class(phone, 2).refuse(),
            class: phone,
            counts: false,
            lifetime: Lifetime::AAL3,
            persistent: false,
            proof: Proof::new()
                .with_methods(["pwd", "otp"])
                .with_level("aal2")
                .with_external_sid("sid-1"),
        }
    }

    // T69
    #[test]
    fn terms_are_read_as_they_were_written() {
        let plain = Terms {
            limit: Limit::default(),
            class: ClientClass::default(),
            counts: true,
            lifetime: Lifetime::default(),
            persistent: true,
            proof: Proof::default(),
        };
        for terms in [terms(), plain] {
            let read = Terms::decode(&terms.encode().unwrap()).unwrap();

            assert_eq!(read, terms);
        }
    }

    #[test]
    fn what_a_newer_node_adds_to_terms_and_to_their_proof_is_passed_over() {
        let proof = (["pwd", "otp"], "aal2", "sid-1", "more");
        let (idle, absolute) = (900_000_i64, 43_200_000_i64);
        let newer = (
            7,
            true,
            [(3, 2)],
            3,
            false,
            idle,
            absolute,
            false,
            proof,
            "more",
        );

        let read = Terms::decode(&rmp_serde::to_vec(&newer).unwrap()).unwrap();

        assert_eq!(read, terms());
    }

    #[test]
    fn bytes_that_are_no_terms_are_an_error() {
        let bytes = terms().encode().unwrap();

        for cut in 0..bytes.len() {
            assert!(Terms::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
