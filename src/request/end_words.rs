//! [`EndWords`]: sentences that explain why a session ended.

use std::borrow::Cow;

use super::label::label;
use crate::model::{EndNotice, EndReason};

/// How a device is named in English.
pub(crate) const NAMED: &str = "{browser} on {system}";

/// Explains to users why their session ended: one sentence for each [`EndReason`], in English or in your
/// words.
///
/// Show it on the sign-in page: "You were signed out because you signed in on Firefox 145 on Windows."
/// `{device}` stands for the name of the device that ended the session. If its name is not known, or without the feature
/// `device`, it stands for [`another_device`](Self::another_device).
///
/// The sentence is text, not HTML: let your template engine escape it. The name of a device is what a client
/// sent, so anybody can make it `<script>…</script>`. Control characters and those that change the direction of
/// the text are removed, and a long name is cut.
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
    /// "another device", in the place of `{device}` if the device is unknown.
    pub another_device: Cow<'static, str>,
    /// For [`EndReason::Administrator`]: "You were signed out by an administrator."
    pub administrator: Cow<'static, str>,
    /// For [`EndReason::ClientChanged`]: "You were signed out because your session was used from another place. If that was not
    /// you, change your password."
    pub client_changed: Cow<'static, str>,
    /// For [`EndReason::CredentialsChanged`]: "You were signed out because your password was changed." It may have been another
    /// factor.
    pub credentials_changed: Cow<'static, str>,
    /// `{browser} on {system}`, which makes "Firefox 145 on Windows" of the device.
    pub device: Cow<'static, str>,
    /// For [`EndReason::Disabled`]: "You were signed out because your account was disabled."
    pub disabled: Cow<'static, str>,
    /// For the session of an open stream that is gone, and nobody knows why (`LiveEnd`): "You were signed out."
    pub ended: Cow<'static, str>,
    /// For [`EndReason::Evicted`]: "You were signed out because you signed in on {device}."
    pub evicted: Cow<'static, str>,
    /// For [`EndReason::Everyone`]: "All users were signed out. Please sign in again."
    pub everyone: Cow<'static, str>,
    /// For [`EndReason::Expired`]: "You were signed out because your session expired."
    pub expired: Cow<'static, str>,
    /// For [`EndReason::IdentityProvider`]: "You were signed out by your identity provider."
    pub identity_provider: Cow<'static, str>,
    /// For [`EndReason::LoggedOut`]: "You signed out."
    pub logged_out: Cow<'static, str>,
    /// For the session of an open stream that the store could not be asked for (`LiveEnd`): "The connection was closed. Please
    /// try again in a few minutes."
    pub out_of_sight: Cow<'static, str>,
    /// For [`EndReason::Replaced`]: "You signed in again in this browser."
    pub replaced: Cow<'static, str>,
    /// For [`EndReason::Revoked`]: "You were signed out from {device}."
    pub revoked: Cow<'static, str>,
    /// For [`EndReason::TokenReuse`]: "You were signed out because an old copy of your session was used. If your browser did not
    /// crash, change your password."
    pub token_reuse: Cow<'static, str>,
    /// For [`EndReason::Undelivered`] and [`EndReason::Rejected`]: "Your sign-in was not completed."
    ///
    /// `Session::ended` never returns these. You see it for an open stream (`LiveEnd`), and for a notice that you got from a
    /// store yourself ([`Resolved::Ended`](crate::store::Resolved::Ended)).
    pub undelivered: Cow<'static, str>,
}

impl EndWords {
    /// Returns the sentence for this notice.
    #[must_use]
    pub fn message(&self, notice: &EndNotice) -> String {
        let sentence = match notice.reason {
            EndReason::Administrator => &self.administrator,
            EndReason::ClientChanged => &self.client_changed,
            EndReason::CredentialsChanged => &self.credentials_changed,
            EndReason::Disabled => &self.disabled,
            EndReason::Evicted => &self.evicted,
            EndReason::Everyone => &self.everyone,
            EndReason::Expired => &self.expired,
            EndReason::IdentityProvider => &self.identity_provider,
            EndReason::LoggedOut => &self.logged_out,
            EndReason::Replaced => &self.replaced,
            EndReason::Revoked => &self.revoked,
            EndReason::TokenReuse => &self.token_reuse,
            EndReason::Undelivered | EndReason::Rejected => &self.undelivered,
        };
        let device = notice.by_client();
        let device = device.and_then(|client| label(client, &self.device));
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
            client_changed:
                "You were signed out because your session was used from another place. \
                             If that was not you, change your password."
                    .into(),
            credentials_changed: "You were signed out because your password was changed.".into(),
            device: NAMED.into(),
            disabled: "You were signed out because your account was disabled.".into(),
            ended: "You were signed out.".into(),
            evicted: "You were signed out because you signed in on {device}.".into(),
            everyone: "All users were signed out. Please sign in again.".into(),
            expired: "You were signed out because your session expired.".into(),
            identity_provider: "You were signed out by your identity provider.".into(),
            logged_out: "You signed out.".into(),
            out_of_sight: "The connection was closed. Please try again in a few minutes.".into(),
            replaced: "You signed in again in this browser.".into(),
            revoked: "You were signed out from {device}.".into(),
            // As all of these, short enough for the close frame of a WebSocket.
            token_reuse: "You were signed out because an old copy of your session was used. \
                          If your browser did not crash, change your password."
                .into(),
            undelivered: "Your sign-in was not completed.".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a close frame of a WebSocket takes beside its code (RFC 6455 §5.5).
    const CLOSE_MAX: usize = 123;

    fn sentences() -> [Cow<'static, str>; 15] {
        let EndWords {
            another_device: _,
            administrator,
            client_changed,
            credentials_changed,
            device: _,
            disabled,
            ended,
            evicted,
            everyone,
            expired,
            identity_provider,
            logged_out,
            out_of_sight,
            replaced,
            revoked,
            token_reuse,
            undelivered,
        } = EndWords::default();
        [
            administrator,
            client_changed,
            credentials_changed,
            disabled,
            ended,
            evicted,
            everyone,
            expired,
            identity_provider,
            logged_out,
            out_of_sight,
            replaced,
            revoked,
            token_reuse,
            undelivered,
        ]
    }

    #[test]
    fn the_default_words_fit_into_the_close_frame_of_a_websocket() {
        for sentence in sentences() {
            let sentence = sentence.replace("{device}", "another device");
            assert!(sentence.len() <= CLOSE_MAX, "{sentence}");
        }
    }

    /// Who translates them reads the documentation, and not this file.
    #[test]
    fn the_documentation_quotes_each_default_sentence() {
        let lines = include_str!("end_words.rs").lines();
        let docs = lines.filter_map(|line| line.trim_start().strip_prefix("/// "));
        let docs = docs.collect::<Vec<_>>().join(" ");

        for sentence in sentences() {
            assert!(docs.contains(&format!("\"{sentence}\"")), "{sentence}");
        }
    }
}
