//! [`EndWords`]: what people are told of why their session ended.

use std::borrow::Cow;

use super::label::label;
use crate::model::{EndNotice, EndReason};

/// What people are told of why their session ended: a sentence for each [`EndReason`], in English or in
/// your words.
///
/// `{device}` stands for the device that caused the end ("Firefox 145 on Windows", with the feature
/// `device`), or for [`another_device`](Self::another_device) where nothing is known of it.
///
/// ```
/// use tower_user_sessions::{EndWords, Session};
///
/// fn why(session: &Session) -> Option<String> {
///     let mut words = EndWords::default();
///     words.evicted = "You signed in on {device}, and three devices are the most.".into();
///     session.ended().map(|notice| words.message(&notice))
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct EndWords {
    /// In place of a device of which nothing is known.
    pub another_device: Cow<'static, str>,
    /// An administrator ended it.
    pub administrator: Cow<'static, str>,
    /// The user's password or another factor changed.
    pub credentials_changed: Cow<'static, str>,
    /// The user may not sign in for now.
    pub disabled: Cow<'static, str>,
    /// A sign-in on `{device}` needed its place.
    pub evicted: Cow<'static, str>,
    /// The identity provider ended it.
    pub identity_provider: Cow<'static, str>,
    /// The user signed out.
    pub logged_out: Cow<'static, str>,
    /// The same client signed in again.
    pub replaced: Cow<'static, str>,
    /// The user ended it from `{device}`.
    pub revoked: Cow<'static, str>,
    /// A previous token of it was shown after its time.
    pub token_reuse: Cow<'static, str>,
    /// The sign-in came to nothing.
    pub undelivered: Cow<'static, str>,
}

impl EndWords {
    /// The sentence for this notice.
    #[must_use]
    pub fn message(&self, notice: &EndNotice) -> String {
        let sentence = match notice.reason {
            EndReason::Administrator => &self.administrator,
            EndReason::CredentialsChanged => &self.credentials_changed,
            EndReason::Disabled => &self.disabled,
            EndReason::Evicted => &self.evicted,
            EndReason::IdentityProvider => &self.identity_provider,
            EndReason::LoggedOut => &self.logged_out,
            EndReason::Replaced => &self.replaced,
            EndReason::Revoked => &self.revoked,
            EndReason::TokenReuse => &self.token_reuse,
            EndReason::Undelivered | EndReason::Rejected => &self.undelivered,
        };
        let device = notice.by_client().and_then(label);
        sentence.replace(
            "{device}",
            device.as_deref().unwrap_or(&self.another_device),
        )
    }
}

impl Default for EndWords {
    fn default() -> Self {
        Self {
            another_device: "another device".into(),
            administrator: "You were signed out by an administrator.".into(),
            credentials_changed: "You were signed out because your password was changed.".into(),
            disabled: "You were signed out because your account was disabled.".into(),
            evicted: "You were signed out because you signed in on {device}.".into(),
            identity_provider: "You were signed out where you sign in for several sites.".into(),
            logged_out: "You signed out.".into(),
            replaced: "You signed in again.".into(),
            revoked: "You were signed out from {device}.".into(),
            token_reuse: "You were signed out because an old copy of your session was used. \
                          If that was not you, change your password."
                .into(),
            undelivered: "Your sign-in was not completed.".into(),
        }
    }
}
