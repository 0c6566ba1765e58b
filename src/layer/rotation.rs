//! The options of rotation: when tokens are replaced, and what happens to previous ones.

use std::time::Duration;

use super::layer::SessionLayer;
use crate::model::Lifetime;

impl<R> SessionLayer<R> {
    /// Replaces tokens that are older than this, see [`Session::rotate`](crate::Session::rotate).
    ///
    /// The next response carries the new token. 15 minutes are a good choice. If the store does not
    /// answer, the rotation is skipped and the response does not change.
    ///
    /// Defaults to never. With zero each response replaces the token, unless a previous one still works.
    pub fn rotate_after(mut self, age: Duration) -> Self {
        self.rules().rotation.after = Some(age);
        self
    }

    /// How long the previous token still works after the client has sent the new one.
    ///
    /// Choose more than any request takes, so that requests in parallel sign nobody out. While a previous token works,
    /// the token does not rotate again. If no request has sent the new token for 15 minutes, the grace time begins all the
    /// same, with the next response that has it.
    ///
    /// If Chromium has sent the new token and crashes within 30 s, it loses it and sends the previous one again. Firefox writes it
    /// to disk at once. Within the grace time the browser gets the new token again, if it has the user agent of the sign-in and an
    /// address in the network of the sign-in. Otherwise it is signed out when the grace time is over, with the reason
    /// `token_reuse`. That also happens in an app that passes on no addresses: see [`PeerAddr`](crate::PeerAddr). The log says so
    /// once, when a browser's token rotates and neither this request nor the sign-in had an address.
    ///
    /// Choose at least 10 s with Redis: when a connection breaks, a lookup of the previous token can arrive about 5 s late. After a
    /// shorter grace time that looks like a stolen token, and the session ends.
    ///
    /// Defaults to 2 minutes: long enough to start a crashed browser again. With zero the previous token stops with
    /// the first request that sends the new one. More than 400 days counts as that.
    pub fn rotation_grace(mut self, grace: Duration) -> Self {
        self.rules().rotation.grace = grace.min(Lifetime::MAX);
        self
    }

    /// Whether a session ends if a request sends a previous token after [`rotation_grace`](Self::rotation_grace).
    ///
    /// That means that there is a copy of the token: an old backup of the browser, or a thief. A token from
    /// before a re-authentication never ends the session; it raises an event.
    ///
    /// A session knows its last two previous tokens. One from before those is unknown: its request is a guest, the
    /// session goes on, and no event is raised.
    ///
    /// With `false` a request with a previous token is a guest and raises the event `token_reuse`, each time. The session goes on for
    /// those who have the new token. A changed setting counts for a session from its next rotation on.
    ///
    /// Defaults to yes.
    pub fn end_on_reuse(mut self, ends: bool) -> Self {
        self.rules().rotation.reuse_ends = ends;
        self
    }
}
