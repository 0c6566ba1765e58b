//! [`Words`]: all that the page says.

use std::{borrow::Cow, time::Duration};

use super::ago;

/// All that a [`DevicePage`](super::DevicePage) says, for another language or another tone.
///
/// In the four words that name a device, `{device}` stands for it ("Chrome 142 on Windows").
///
/// ```
/// use tower_user_sessions::{DevicePage, Words};
///
/// let mut words = Words::default();
/// words.language = "de".into();
/// words.title = "Hier sind Sie angemeldet".into();
/// words.sign_out = "Abmelden".into();
/// words.sign_out_device = "Abmelden: {device}".into();
/// words.ago = |age| format!("vor {} Minuten", age.as_secs() / 60);
///
/// let page = DevicePage::at("/devices").words(words);
/// # let _ = page;
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Words {
    /// The language's code: `en`. Scripts of the browser use it for "2 minutes ago" too.
    pub language: Cow<'static, str>,
    /// "Where you're signed in"
    pub title: Cow<'static, str>,
    /// "Signed in as", before the user id.
    pub signed_in_as: Cow<'static, str>,
    /// What the page is for.
    pub about: Cow<'static, str>,
    /// "This device"
    pub this_device: Cow<'static, str>,
    /// "Support", of a session that does not count against the limit.
    pub uncounted: Cow<'static, str>,
    /// "Last active", before "2 minutes ago".
    pub last_active: Cow<'static, str>,
    /// How long ago: "2 minutes ago".
    pub ago: fn(Duration) -> String,
    /// "Sign out"
    pub sign_out: Cow<'static, str>,
    /// "Sign out {device}": the name of its button to who cannot see where it stands. It has to hold
    /// what is on the button.
    pub sign_out_device: Cow<'static, str>,
    /// "Sign out {device}?"
    pub ask_device: Cow<'static, str>,
    /// What follows from signing one out.
    pub ask_device_means: Cow<'static, str>,
    /// "Sign out all other devices"
    pub sign_out_others: Cow<'static, str>,
    /// "Sign out all other devices?"
    pub ask_others: Cow<'static, str>,
    /// What follows from signing all others out.
    pub ask_others_means: Cow<'static, str>,
    /// "Cancel"
    pub cancel: Cow<'static, str>,
    /// "You're signed in nowhere else."
    pub nowhere_else: Cow<'static, str>,
    /// One device was signed out.
    pub done_device: Cow<'static, str>,
    /// All others were signed out.
    pub done_others: Cow<'static, str>,
    /// Back to the list.
    pub back: Cow<'static, str>,
    /// Nobody is signed in.
    pub not_signed_in: Cow<'static, str>,
    /// There is no such device of this user's.
    pub not_yours: Cow<'static, str>,
    /// A form of another site's was refused.
    pub foreign_origin: Cow<'static, str>,
    /// There is no such page.
    pub not_found: Cow<'static, str>,
    /// The sessions cannot be read right now.
    pub unavailable: Cow<'static, str>,
    /// The app is not set up rightly.
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
            this_device: "This device".into(),
            uncounted: "Support".into(),
            last_active: "Last active".into(),
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
            not_signed_in: "You’re not signed in.".into(),
            not_yours: "That is not one of your devices.".into(),
            foreign_origin: "That came from another site, so nothing was changed.".into(),
            not_found: "There is no such page.".into(),
            unavailable: "Your devices can’t be shown right now. Please try again.".into(),
            failed: "Something went wrong.".into(),
        }
    }
}

/// The words with the device in its place.
pub(super) fn naming(words: &str, device: &str) -> String {
    words.replace("{device}", device)
}
