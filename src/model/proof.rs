//! How a user authenticated, and the identity provider's name of the session.

use serde::{Deserialize, Serialize};

use super::clean::at_most;

/// How a user authenticated: methods, level of assurance, and the identity provider's session id.
///
/// Give it to a sign-in if you want to know it later: to ask for a second factor before a payment, or
/// to end the session when the identity provider sends a logout. All three parts are optional. The
/// crate stores them and does not interpret them.
///
/// ```
/// use tower_user_sessions::Proof;
///
/// let proof = Proof::new().with_methods(["pwd", "otp"]).with_level("aal2");
///
/// assert!(proof.methods().any(|method| method == "otp"));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proof {
    methods: Vec<Box<str>>,
    level: Option<Box<str>>,
    external_sid: Option<Box<str>>,
}

/// The most bytes of each text.
const TEXT_MAX: usize = 255;

/// The most methods.
const METHODS_MAX: usize = 8;

/// The stored form of [`Proof`]: methods, level, external session id.
#[derive(Deserialize, Serialize)]
pub(super) struct WrittenProof<'a>(
    #[serde(borrow)] Vec<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
);

impl Proof {
    /// A proof with no part set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the methods: `amr` values such as `pwd` and `otp` (RFC 8176).
    ///
    /// Only the first 8 are kept, and the first 255 bytes of each.
    #[must_use]
    pub fn with_methods<M: AsRef<str>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        let methods = methods.into_iter().take(METHODS_MAX);
        self.methods = methods.map(|method| kept(method.as_ref()).into()).collect();
        self
    }

    /// Sets the level of assurance: an `acr` value of at most 255 bytes. The rest is dropped.
    #[must_use]
    pub fn with_level(mut self, level: &str) -> Self {
        self.level = Some(kept(level).into());
        self
    }

    /// Sets the identity provider's session id: the `sid` of an `OpenID` token. Only the first 255 bytes are kept.
    #[must_use]
    pub fn with_external_sid(mut self, sid: &str) -> Self {
        self.external_sid = Some(kept(sid).into());
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

    /// The identity provider's session id (`sid`).
    #[must_use]
    pub fn external_sid(&self) -> Option<&str> {
        self.external_sid.as_deref()
    }

    /// Whether this is the identity provider's session id, as far as it is kept.
    pub(crate) fn has_external_sid(&self, sid: &str) -> bool {
        self.external_sid() == Some(kept(sid))
    }

    /// Whether no part is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.methods.is_empty() && self.level.is_none() && self.external_sid.is_none()
    }
}

/// What is kept of a text.
fn kept(text: &str) -> &str {
    at_most(text, TEXT_MAX)
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
