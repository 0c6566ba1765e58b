//! How a device page is set up.

use std::time::Duration;

use maud::PreEscaped;

use super::{asset::Asset, words::Words};
use crate::{
    api::{mount::Mount, places::Places},
    layer::redirect::Page,
    model::Hidden,
    session::Session,
};

pub(super) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How a device page is set up.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Where browsers find the page.
    pub(super) mount: Mount,
    /// Where users sign in.
    pub(super) login: Option<Page>,
    /// What the app is called.
    pub(super) app_name: Option<String>,
    /// The link back into the app: its path and its text.
    pub(super) back: Option<(String, String)>,
    /// The app's own header, as HTML.
    pub(super) header: Option<PreEscaped<String>>,
    pub(super) user_name: Option<UserName>,
    pub(super) words: Words,
    pub(super) style: Asset,
    pub(super) script: Asset,
    pub(super) places: Places,
    pub(super) fresh: Option<Fresh>,
    pub(super) spare_uncounted: bool,
}

/// What the page calls a user, instead of the id.
pub(super) type UserName = Hidden<dyn Fn(&Session) -> Option<String> + Send + Sync>;

/// What is asked of users before they end sessions.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    /// How long ago they may have proved who they are.
    pub(super) within: Duration,
    /// Where they prove it again.
    pub(super) prove: Option<Page>,
}

impl Setup {
    pub(super) fn at(prefix: &str) -> Self {
        Self {
            mount: Mount::at(prefix),
            login: None,
            app_name: None,
            back: None,
            header: None,
            user_name: None,
            words: Words::default(),
            style: Asset::style(STYLE),
            script: Asset::script(SCRIPT),
            places: Places::unknown(),
            fresh: None,
            spare_uncounted: false,
        }
    }

    /// What a user has to do before they end sessions, if anything.
    pub(super) fn stale(&self, session: &Session) -> Option<&Fresh> {
        let fresh = self.fresh.as_ref();
        fresh.filter(|fresh| !session.is_stored_fresh(fresh.within))
    }
}
