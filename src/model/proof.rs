//! How a user proved who they are, and what the identity provider calls it.

use serde::{Deserialize, Serialize};

/// How a user proved who they are at a sign-in, as far as the app notes it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proof {
    methods: Vec<Box<str>>,
    level: Option<Box<str>>,
    external_sid: Option<Box<str>>,
}

/// The most bytes of each text that are kept.
const TEXT_MAX: usize = 255;

/// The most methods that are kept.
const METHODS_MAX: usize = 8;

/// [`Proof`] as it is written: methods, level, external session id.
#[derive(Deserialize, Serialize)]
pub(super) struct WrittenProof<'a>(
    #[serde(borrow)] Vec<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
);

impl Proof {
    /// Nothing is noted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the methods: `amr` values such as `pwd` and `otp` (RFC 8176). At most 8 of 255 bytes.
    #[must_use]
    pub fn with_methods<M: AsRef<str>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        let methods = methods.into_iter().take(METHODS_MAX);
        self.methods = methods.map(|method| cut(method.as_ref())).collect();
        self
    }

    /// Notes the level of assurance: an `acr` value.
    #[must_use]
    pub fn with_level(mut self, level: &str) -> Self {
        self.level = Some(cut(level));
        self
    }

    /// Notes the identity provider's name of the session: the `sid` of an `OpenID` token.
    #[must_use]
    pub fn with_external_sid(mut self, sid: &str) -> Self {
        self.external_sid = Some(cut(sid));
        self
    }

    /// The methods (`amr`).
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(|method| &**method)
    }

    /// The level of assurance (`acr`).
    #[must_use]
    pub fn level(&self) -> Option<&str> {
        self.level.as_deref()
    }

    /// The identity provider's name of the session (`sid`).
    #[must_use]
    pub fn external_sid(&self) -> Option<&str> {
        self.external_sid.as_deref()
    }

    /// Whether nothing is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.methods.is_empty() && self.level.is_none() && self.external_sid.is_none()
    }
}

fn cut(text: &str) -> Box<str> {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.split_at(end).0.into()
}

impl<'a> From<&'a Proof> for WrittenProof<'a> {
    fn from(proof: &'a Proof) -> Self {
        Self(
            proof.methods().collect(),
            proof.level(),
            proof.external_sid(),
        )
    }
}

impl From<WrittenProof<'_>> for Proof {
    fn from(WrittenProof(methods, level, sid): WrittenProof<'_>) -> Self {
        Self {
            methods: methods.into_iter().map(Box::from).collect(),
            level: level.map(Box::from),
            external_sid: sid.map(Box::from),
        }
    }
}
