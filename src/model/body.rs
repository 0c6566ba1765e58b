//! The part of a record that only Rust reads.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    brief::Brief,
    client::Client,
    clock::millis,
    hints::WrittenHints,
    last_seen::{LastSeen, WrittenLastSeen},
    newer::Newer,
    open::Open,
    proof::{Proof, WrittenProof},
    record::RecordError,
    user::UserId,
};

/// The approximate length of a body.
const LEN: usize = 192;

/// The longest body in an end notice, in bytes.
pub(super) const NOTED_MAX: usize = 512;

/// Whose session it is, from where, how the user proved it, and how long the cookie stays.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Body {
    pub(super) user: Option<UserId>,
    pub(super) client: Client,
    // Boxed, because few apps use it.
    pub(super) proof: Option<Box<Proof>>,
    /// Whether the browser keeps the cookie when it closes.
    pub(super) persistent: bool,
    /// The client of the last request, if it was another one.
    pub(super) last_seen: Option<Box<LastSeen>>,
    /// How long the session lives after a re-authentication, if the app shortened its life.
    pub(super) shortened_to: Option<Box<Duration>>,
    /// The stored form, if a newer node wrote parts of it that this one does not know.
    pub(super) newer: Option<Box<Newer>>,
}

/// The stored form of [`Body`]: user id, address, user agent, client hints, proof, whether the cookie ends
/// with the browser session, last seen, how long it lives after a re-authentication (ms). A new field goes to the end,
/// where older nodes keep it as it is.
#[derive(Deserialize, Serialize)]
struct Written<'a>(
    Option<&'a str>,
    Option<IpAddr>,
    Option<&'a str>,
    // Left out if nothing follows, because every byte here is stored for each session.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    Option<Open<WrittenHints<'a>>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    Option<Open<WrittenProof<'a>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<bool>,
    // Boxed, because few sessions have it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    Option<Box<Open<WrittenLastSeen<'a>>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<u64>,
);

/// [`Written`] with [`LastSeen`], or with what follows that: missing fields before it are nil. The length of the fields
/// from this one on follows as a `u16`, which counts itself, so that scripts can leave them out.
#[derive(Serialize)]
struct WrittenAll<'a>(
    Option<&'a str>,
    Option<IpAddr>,
    Option<&'a str>,
    Option<WrittenHints<'a>>,
    Option<WrittenProof<'a>>,
    Option<bool>,
    Option<&'a WrittenLastSeen<'a>>,
);

/// What the body begins with if one field follows those of [`WrittenAll`].
const ARRAY_OF_8: u8 = 0x98;

/// What an `i64` begins with. Scripts read the field, so it always has eight bytes.
const I64: u8 = 0xd3;

/// [`Written`] with a proof or a cookie that ends with the browser session: missing fields before them
/// are nil.
#[derive(Serialize)]
struct WrittenWhole<'a>(
    Option<&'a str>,
    Option<IpAddr>,
    Option<&'a str>,
    Option<WrittenHints<'a>>,
    Option<WrittenProof<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")] Option<bool>,
);

impl Body {
    /// Of a session that has nothing else.
    pub(super) const fn new(user: Option<UserId>, client: Client) -> Self {
        Self {
            user,
            client,
            proof: None,
            persistent: true,
            last_seen: None,
            shortened_to: None,
            newer: None,
        }
    }

    #[cfg(any(test, feature = "redis"))]
    pub(super) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut bytes = Vec::with_capacity(LEN);
        self.encode_to(&mut bytes)?;
        Ok(bytes)
    }

    /// After a field was set: writes it into the stored form of a newer node.
    pub(super) fn settle(&mut self) {
        if let Some(newer) = &self.newer
            && let Some(settled) = self.settled(newer)
        {
            self.newer = Some(Box::new(settled));
        }
    }

    /// `None` if those bytes are no body, but they were read as one.
    #[cold]
    fn settled(&self, newer: &Newer) -> Option<Newer> {
        let read = Self::decode_any(newer.as_bytes()).ok()?;
        let mut settled = newer.clone();
        if read.proof != self.proof {
            let proof = self.proof.as_deref().map(WrittenProof::from);
            settled = settled.with(4, &rmp_serde::to_vec(&proof).ok()?)?;
        }
        if read.persistent != self.persistent {
            let browser_only = (!self.persistent).then_some(true);
            settled = settled.with(5, &rmp_serde::to_vec(&browser_only).ok()?)?;
        }
        if read.last_seen != self.last_seen {
            let seen = self.last_seen.as_deref().map(WrittenLastSeen::from);
            settled = settled.with(6, &rmp_serde::to_vec(&seen).ok()?)?;
        }
        if let Some(longest) = self
            .shortened_to
            .as_deref()
            .filter(|_| read.shortened_to != self.shortened_to)
        {
            let ms = millis(*longest).to_be_bytes();
            settled = settled.with(7, &[&[I64][..], &ms].concat())?;
        }
        Some(settled)
    }

    /// Adds the stored form to these bytes.
    pub(super) fn encode_to(&self, bytes: &mut Vec<u8>) -> Result<(), RecordError> {
        if let Some(newer) = &self.newer {
            bytes.extend_from_slice(newer.as_bytes());
            return Ok(());
        }
        if self.last_seen.is_none() && self.shortened_to.is_none() {
            return self.encode_short(bytes);
        }
        let (first, last_seen) = self.parts()?;
        bytes.extend(first);
        bytes.extend(last_seen);
        Ok(())
    }

    /// Adds the stored form of a body with nothing after the mark of the browser session.
    fn encode_short(&self, bytes: &mut Vec<u8>) -> Result<(), RecordError> {
        let user = self.user.as_ref().map(UserId::as_str);
        let (address, user_agent) = (self.client.address(), self.client.user_agent());
        let hints = self.client.hints().map(WrittenHints::from);
        let written = if self.proof.is_some() || !self.persistent {
            let proof = self.proof.as_deref().map(WrittenProof::from);
            let browser_only = (!self.persistent).then_some(true);
            let whole = WrittenWhole(user, address, user_agent, hints, proof, browser_only);
            rmp_serde::encode::write(bytes, &whole)
        } else {
            let hints = hints.map(Open::of);
            let written = Written(user, address, user_agent, hints, None, None, None, None);
            rmp_serde::encode::write(bytes, &written)
        };
        written.map_err(RecordError::because)
    }

    /// How many bytes of the stored form an end notice has.
    pub(super) fn noted(&self) -> Result<usize, RecordError> {
        self.parts().map(|(bytes, _)| bytes.len())
    }

    /// The stored form without and with what belongs to [`LastSeen`].
    fn parts(&self) -> Result<(Vec<u8>, Vec<u8>), RecordError> {
        let Self {
            user,
            client,
            proof,
            persistent,
            last_seen,
            shortened_to,
            newer: _,
        } = self;
        let user = user.as_ref().map(UserId::as_str);
        let (address, user_agent) = (client.address(), client.user_agent());
        let hints = client.hints().map(WrittenHints::from);
        let mut bytes = Vec::with_capacity(LEN);
        if last_seen.is_some() || shortened_to.is_some() {
            let last_seen = last_seen.as_deref().map(WrittenLastSeen::from);
            let proof = proof.as_deref().map(WrittenProof::from);
            let browser_only = (!persistent).then_some(true);
            let all = WrittenAll(
                user,
                address,
                user_agent,
                hints,
                proof,
                browser_only,
                last_seen.as_ref(),
            );
            rmp_serde::encode::write(&mut bytes, &all).map_err(RecordError::because)?;
            let last = rmp_serde::to_vec(&last_seen).map_err(RecordError::because)?;
            let mut last = bytes.split_off(bytes.len().saturating_sub(last.len()));
            if let Some(longest) = shortened_to {
                if let Some(fields) = bytes.first_mut() {
                    *fields = ARRAY_OF_8;
                }
                last.push(I64);
                last.extend(millis(**longest).to_be_bytes());
            }
            let len = u16::try_from(last.len() + 2).map_err(RecordError::because)?;
            last.extend(len.to_be_bytes());
            return Ok((bytes, last));
        }
        self.encode_short(&mut bytes)?;
        Ok((bytes, Vec::new()))
    }

    /// How many bytes of the stored form, from its start, name the user, the address and the user agent.
    #[cfg(feature = "redis")]
    pub(super) fn named(&self) -> u16 {
        let user = self.user.as_ref().map(UserId::as_str);
        let named = (user, self.client.address(), self.client.user_agent());
        // They come first in both forms, after one byte for the number of fields.
        let bytes = rmp_serde::to_vec(&named).unwrap_or_default();
        u16::try_from(bytes.len()).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let Some(brief) = Brief::read(bytes) else {
            return Self::decode_any(bytes);
        };
        let user = brief.user.map(UserId::new).transpose();
        let client = Client::stored(brief.address, brief.user_agent, None);
        Ok(Self::new(user.map_err(RecordError::because)?, client))
    }

    /// As [`decode`](Self::decode), for all forms.
    fn decode_any(bytes: &[u8]) -> Result<Self, RecordError> {
        let Open(written, more) = rmp_serde::from_slice(bytes).map_err(RecordError::because)?;
        let Written(user, address, user_agent, hints, proof, browser_only, last_seen, longest) =
            written;
        let is_newer = more
            || hints.as_ref().is_some_and(|Open(_, more)| *more)
            || proof.as_ref().is_some_and(|Open(_, more)| *more)
            || last_seen.as_ref().is_some_and(|seen| seen.is_newer());
        let user = user.map(UserId::new).transpose();
        Ok(Self {
            user: user.map_err(RecordError::because)?,
            client: Client::stored(
                address,
                user_agent,
                hints.map(|Open(hints, _)| hints.into()),
            ),
            proof: proof.map(|Open(proof, _)| Box::new(Proof::from(proof))),
            persistent: browser_only != Some(true),
            last_seen: last_seen.map(|seen| Box::new(seen.0.into())),
            // Scripts read it as signed.
            shortened_to: longest
                .map(|ms| Box::new(Duration::from_millis(ms.min(i64::MAX.unsigned_abs())))),
            newer: is_newer.then(|| Box::new(Newer::of(bytes))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(user: Option<&str>, address: Option<IpAddr>, agent: Option<&str>) -> Body {
        let user = user.map(|user| UserId::new(user).unwrap());
        Body::new(user, Client::stored(address, agent, None))
    }

    #[test]
    fn a_brief_body_is_read_as_serde_reads_it_and_so_is_each_that_differs_by_a_byte() {
        let v4: IpAddr = [10, 127, 128, 255].into();
        let v6: IpAddr = "2001:db8::ff".parse().unwrap();
        let (long, longer) = ("ä".repeat(100), "b".repeat(512));
        let mut compared = 0;
        for user in [None, Some("alice")] {
            for address in [None, Some(v4), Some(v6)] {
                for agent in [None, Some(&long[..]), Some(&longer[..])] {
                    let body = body(user, address, agent);
                    let bytes = body.encode().unwrap();
                    assert!(Brief::read(&bytes).is_some(), "{body:?}");
                    assert_eq!(Body::decode(&bytes).unwrap(), body);
                    for at in 0..bytes.len().min(40) {
                        for value in 0..=255 {
                            let mut other = bytes.clone();
                            other[at] = value;
                            let (read, known) = (Body::decode(&other), Body::decode_any(&other));
                            assert_eq!(read.ok(), known.ok(), "{other:?}");
                            compared += 1;
                        }
                        let cut = &bytes[..at];
                        assert_eq!(Body::decode(cut).ok(), Body::decode_any(cut).ok());
                    }
                }
            }
        }
        assert!(compared > 100_000, "{compared}");
    }

    #[test]
    fn what_follows_a_brief_body_is_left_to_serde() {
        let mut bytes = body(Some("alice"), None, None).encode().unwrap();
        bytes.push(0);

        assert_eq!(Brief::read(&bytes), None);
    }
}
