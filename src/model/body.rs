//! The part of a record that only Rust reads.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    client::Client,
    hints::Hints,
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
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Body {
    pub(super) user: Option<UserId>,
    pub(super) client: Client,
    // Boxed, because few apps use it.
    pub(super) proof: Option<Box<Proof>>,
    /// Whether the browser keeps the cookie when it closes.
    pub(super) persistent: bool,
}

/// The stored form of [`Body`]: user id, address, user agent, client hints, proof, whether the cookie ends
/// with the browser session. A new field goes to the end, where older nodes ignore it.
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
);

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

/// The hints in this order: brands, mobile, platform.
#[derive(Deserialize, Serialize)]
struct WrittenHints<'a>(Option<&'a str>, Option<&'a str>, Option<&'a str>);

impl<'a> From<&'a Hints> for WrittenHints<'a> {
    fn from(hints: &'a Hints) -> Self {
        Self(hints.brands(), hints.mobile(), hints.platform())
    }
}

impl From<WrittenHints<'_>> for Hints {
    fn from(WrittenHints(brands, mobile, platform): WrittenHints<'_>) -> Self {
        Self::new()
            .with_brands(brands.map(str::as_bytes))
            .with_mobile(mobile.map(str::as_bytes))
            .with_platform(platform.map(str::as_bytes))
    }
}

impl Body {
    pub(super) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let Self {
            user,
            client,
            proof,
            persistent,
        } = self;
        let user = user.as_ref().map(UserId::as_str);
        let (address, user_agent) = (client.address(), client.user_agent());
        let hints = client.hints().map(WrittenHints::from);
        let mut bytes = Vec::with_capacity(LEN);
        let written = if proof.is_some() || !persistent {
            let proof = proof.as_deref().map(WrittenProof::from);
            let browser_only = (!persistent).then_some(true);
            let whole = WrittenWhole(user, address, user_agent, hints, proof, browser_only);
            rmp_serde::encode::write(&mut bytes, &whole)
        } else {
            let written = Written(user, address, user_agent, hints.map(Open), None, None);
            rmp_serde::encode::write(&mut bytes, &written)
        };
        written.map_err(RecordError::because)?;
        Ok(bytes)
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
        let Open(Written(user, address, user_agent, hints, proof, browser_only)) =
            rmp_serde::from_slice(bytes).map_err(RecordError::because)?;
        let user = user.map(UserId::new).transpose();
        Ok(Self {
            user: user.map_err(RecordError::because)?,
            client: Client::stored(address, user_agent, hints.map(|Open(hints)| hints.into())),
            proof: proof.map(|Open(proof)| Box::new(Proof::from(proof))),
            persistent: browser_only != Some(true),
        })
    }
}
