//! [`Words`]: all texts of the page.

use std::{borrow::Cow, time::Duration};

use super::ago;
use crate::request::{Device, EndWords, NAMED};

/// All texts of a [`DevicePage`](super::DevicePage), for another language or another tone.
///
/// They are escaped. `{device}` in [`sign_out_device`](Self::sign_out_device) and
/// [`ask_device`](Self::ask_device) is replaced by the device's label, "Chrome 142 on Windows".
///
/// ```
/// use tower_user_sessions::{DevicePage, Words};
///
/// let mut words = Words::default();
/// words.language = "de".into();
/// words.title = "Hier sind Sie angemeldet".into();
/// words.sign_out = "Abmelden".into();
/// words.sign_out_device = "Abmelden: {device}".into();
/// words.device = "{browser} auf {system}".into();
/// words.ago = |age| format!("vor {} Minuten", age.as_secs() / 60);
///
/// let page = DevicePage::at("/devices").words(words);
/// # let _ = page;
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Words {
    /// The language's code of BCP 47, such as `en` or `de-AT`. The page's script uses it for "2 minutes ago" too.
    ///
    /// Where the language is written from right to left, as `ar` and `he` are, so is the page. The script decides if the code
    /// names one: `az-Arab`, `ar-Latn`.
    ///
    /// Names of locales are understood: `de_AT.UTF-8` is `de-AT`. With a text that is no code, the script leaves
    /// "2 minutes ago" as it was when the page was made.
    pub language: Cow<'static, str>,
    /// "Where you're signed in", the title and the heading.
    pub title: Cow<'static, str>,
    /// "Signed in as". After it the page displays the user id, or [`DevicePage::user_name`](super::DevicePage::user_name).
    pub signed_in_as: Cow<'static, str>,
    /// "Don't know one of these devices? Sign it out and change your password."
    pub about: Cow<'static, str>,
    /// `{browser} on {system}`, which makes "Chrome 142 on Windows" of a device. [`EndWords::device`] is the same for sentences.
    pub device: Cow<'static, str>,
    /// "Unknown device", where nothing is known of it.
    pub unknown_device: Cow<'static, str>,
    /// "This device", on the current one.
    pub this_device: Cow<'static, str>,
    /// "Support", on a session that does not count against the limit.
    pub uncounted: Cow<'static, str>,
    /// "Last active", before "2 minutes ago".
    pub last_active: Cow<'static, str>,
    /// "Last used by", before the device of the last request. Displayed once a request came from another network, browser or
    /// system than the sign-in.
    pub last_used_by: Cow<'static, str>,
    /// Writes an age: "2 minutes ago".
    pub ago: fn(Duration) -> String,
    /// "Sign out", on the button of each device.
    pub sign_out: Cow<'static, str>,
    /// "Sign out {device}", which screen readers say for the button. It must contain the button's text.
    pub sign_out_device: Cow<'static, str>,
    /// "Sign out {device}?", in the dialog.
    pub ask_device: Cow<'static, str>,
    /// "It will have to sign in again.", in the dialog, after the question about one device.
    pub ask_device_means: Cow<'static, str>,
    /// "Sign out all other devices", on the button.
    pub sign_out_others: Cow<'static, str>,
    /// "Sign out all other devices?", in the dialog and on its page.
    pub ask_others: Cow<'static, str>,
    /// "Every device but this one will have to sign in again.", after the question about all others.
    pub ask_others_means: Cow<'static, str>,
    /// "Cancel", on the button.
    pub cancel: Cow<'static, str>,
    /// "You're signed in nowhere else.", if there is one device only.
    pub nowhere_else: Cow<'static, str>,
    /// "The device is signed out.", after one device was signed out.
    pub done_device: Cow<'static, str>,
    /// "All other devices are signed out.", after all others were signed out.
    pub done_others: Cow<'static, str>,
    /// "Back to your devices", the link from a page that says one thing.
    pub back: Cow<'static, str>,
    /// "Continue", the link to the page on which the user signs in or proves who they are. Browsers follow it by themselves.
    pub go_on: Cow<'static, str>,
    /// "You're not signed in.", to guests if there is no sign-in page to go to.
    pub not_signed_in: Cow<'static, str>,
    /// Displayed after that, if the session of the browser was ended or expired: why. Not if the user signed out, or signed in
    /// again. It has a [`device`](EndWords::device) of its own.
    pub ended: EndWords,
    /// "That is not one of your devices.", if the form names no session of this user.
    pub not_yours: Cow<'static, str>,
    /// "That came from another site, so nothing was changed.", if a form of another site was refused.
    pub foreign_origin: Cow<'static, str>,
    /// "There is no such page.", for any other path or method.
    pub not_found: Cow<'static, str>,
    /// "Please sign in again to do that.", to users who signed in too long ago to end sessions, if there is no page to go to.
    pub stale: Cow<'static, str>,
    /// "Your devices can't be shown right now. Please try again.", in an outage.
    pub unavailable: Cow<'static, str>,
    /// "Something went wrong.", if the request has no session: the session layer is missing, or `resolve_if` let the request
    /// pass.
    pub failed: Cow<'static, str>,
}

impl Default for Words {
    /// In English.
    fn default() -> Self {
        Self {
            language: "en".into(),
            title: "Where you’re signed in".into(),
            signed_in_as: "Signed in as".into(),
            about: "Don’t know one of these devices? Sign it out and change your password.".into(),
            device: NAMED.into(),
            unknown_device: "Unknown device".into(),
            this_device: "This device".into(),
            uncounted: "Support".into(),
            last_active: "Last active".into(),
            last_used_by: "Last used by".into(),
            ago: ago::english,
            sign_out: "Sign out".into(),
            sign_out_device: "Sign out {device}".into(),
            ask_device: "Sign out {device}?".into(),
            ask_device_means: "It will have to sign in again.".into(),
            sign_out_others: "Sign out all other devices".into(),
            ask_others: "Sign out all other devices?".into(),
            ask_others_means: "Every device but this one will have to sign in again.".into(),
            cancel: "Cancel".into(),
            nowhere_else: "You’re signed in nowhere else.".into(),
            done_device: "The device is signed out.".into(),
            done_others: "All other devices are signed out.".into(),
            back: "Back to your devices".into(),
            go_on: "Continue".into(),
            not_signed_in: "You’re not signed in.".into(),
            ended: EndWords::default(),
            not_yours: "That is not one of your devices.".into(),
            foreign_origin: "That came from another site, so nothing was changed.".into(),
            not_found: "There is no such page.".into(),
            stale: "Please sign in again to do that.".into(),
            unavailable: "Your devices can’t be shown right now. Please try again.".into(),
            failed: "Something went wrong.".into(),
        }
    }
}

impl Words {
    pub(super) fn name(&self, device: &Device) -> String {
        let name = device.label_as(&self.device);
        name.unwrap_or_else(|| self.unknown_device.clone().into_owned())
    }
}

/// The code of a language, also if it is written as a locale of POSIX.
pub(super) fn code(language: &str) -> String {
    let code = language.split(['.', '@']).next().unwrap_or_default();
    code.trim().replace('_', "-")
}

/// Languages that are written from right to left unless their code names another script.
const RIGHT_TO_LEFT: [&str; 26] = [
    "ar", "arc", "ary", "arz", "azb", "bal", "ckb", "dv", "fa", "glk", "he", "iw", "ji", "ks",
    "lrc", "mzn", "nqo", "pnb", "prs", "ps", "sd", "skr", "syr", "ug", "ur", "yi",
];

/// Scripts that are written from right to left (ISO 15924).
const SCRIPTS: [&str; 8] = [
    "Adlm", "Arab", "Aran", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa",
];

/// Whether text in this language begins at the right. `code` is a code of BCP 47: browsers take no direction from `lang`.
pub(super) fn is_right_to_left(code: &str) -> bool {
    let is_in = |list: &[&str], part: &str| list.iter().any(|it| it.eq_ignore_ascii_case(part));
    let mut parts = code.split('-');
    let language = parts.next().unwrap_or_default();
    let is_script = |part: &&str| part.len() == 4 && part.bytes().all(|b| b.is_ascii_alphabetic());
    // What follows a single letter belongs to an extension.
    let script = parts.take_while(|part| part.len() > 1).find(is_script);
    script.map_or_else(
        || is_in(&RIGHT_TO_LEFT, language),
        |script| is_in(&SCRIPTS, script),
    )
}

/// Replaces `{device}`.
pub(super) fn naming(words: &str, device: &str) -> String {
    words.replace("{device}", device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_begins_at_the_right_by_itself_or_by_its_script() {
        for code in [
            "ar",
            "he-IL",
            "fa-AF",
            "UR",
            "az-Arab",
            "pa-PK-arab",
            "yi-Hebr",
        ] {
            assert!(is_right_to_left(code), "{code}");
        }
        for code in [
            "",
            "en",
            "de-AT",
            "ar-Latn",
            "he-Latn-US",
            "arn",
            "az",
            "en-u-arab",
            "<b>",
            "Arab",
        ] {
            assert!(!is_right_to_left(code), "{code}");
        }
    }
}
