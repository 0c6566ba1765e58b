//! The HTML of the page. The templates escape all text but the app's own header.

use std::net::IpAddr;

use maud::{DOCTYPE, Markup, html};

use super::{
    icon,
    setup::Setup,
    words::{code, is_right_to_left, naming},
};
use crate::{api::location::Location, model::Timestamp, session::SessionInfo};

/// What the list says was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Done {
    Nothing,
    Device,
    Others,
}

impl Done {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Device => "device",
            Self::Others => "others",
        }
    }

    pub(super) fn read(query: &str) -> Self {
        match query.strip_prefix("done=") {
            Some("device") => Self::Device,
            Some("others") => Self::Others,
            _ => Self::Nothing,
        }
    }

    fn words(self, setup: &Setup) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Device => Some(&setup.words.done_device),
            Self::Others => Some(&setup.words.done_others),
        }
    }
}

pub(super) fn list(
    setup: &Setup,
    user: &str,
    sessions: &[SessionInfo],
    now: Timestamp,
    done: Done,
) -> Markup {
    let words = &setup.words;
    let others = sessions.iter().any(|session| !session.is_current());
    let main = html! {
        header {
            h1 { (words.title) }
            p { (words.signed_in_as) " " strong { bdi { (user) } } }
            p { (words.about) }
        }
        @if let Some(said) = done.words(setup) {
            p.said role="status" { (said) }
        }
        // Without its dots, a list is one to Safari only if it says so.
        ul.devices role="list" {
            @for session in sessions { (device(setup, session, now)) }
        }
        @if others {
            form.others method="get" action={ (setup.mount.prefix()) "/end-others" }
                data-ask=(words.ask_others) data-means=(words.ask_others_means)
            {
                button { (words.sign_out_others) }
            }
        } @else {
            p.others { (words.nowhere_else) }
        }
        (dialog(setup))
    };
    page(setup, &main)
}

fn device(setup: &Setup, session: &SessionInfo, now: Timestamp) -> Markup {
    let words = &setup.words;
    let device = session.device();
    let label = words.name(&device);
    let (id, seen) = (session.id().to_string(), session.last_activity());
    html! {
        li.device.here[session.is_current()] {
            (icon::of(device.kind()))
            div.about {
                h2 { bdi { (label) } }
                @if session.is_current() { span.badge { (words.this_device) } }
                @if !session.counts() { span.badge { (words.uncounted) } }
                div id={ "about-" (id) } {
                    (whereabouts(setup, session.address(), None))
                    @if session.is_elsewhere() {
                        @let last = words.name(&session.last_device());
                        (whereabouts(setup, session.last_address(), Some(&last)))
                    }
                    p { (words.last_active) " " (moment(setup, seen, now)) }
                }
            }
            form method="post" action={ (setup.mount.prefix()) "/end" }
                data-ask=(naming(&words.ask_device, &label)) data-means=(words.ask_device_means)
            {
                input type="hidden" name="id" value=(id);
                button aria-label=(naming(&words.sign_out_device, &label))
                    aria-describedby={ "about-" (id) }
                { (words.sign_out) }
            }
        }
    }
}

/// Place and address, after the words for the device that was seen last if it is that.
fn whereabouts(setup: &Setup, address: Option<IpAddr>, last: Option<&str>) -> Markup {
    let place = setup.places.of(address).and_then(name_of);
    html! {
        @if place.is_some() || address.is_some() || last.is_some() {
            p {
                @if let Some(device) = last {
                    (setup.words.last_used_by) " " bdi { (device) }
                    @if place.is_some() || address.is_some() { span.between { " · " } }
                }
                @if let Some(place) = &place { bdi.place { (place) } }
                @if place.is_some() && address.is_some() { span.between { " · " } }
                @if let Some(address) = address { bdi.address { (address) } }
            }
        }
    }
}

/// "Berlin, Germany"
fn name_of(Location { city, country }: Location) -> Option<String> {
    match (city, country) {
        (Some(city), Some(country)) => Some(format!("{city}, {country}")),
        (city, country) => city.or(country),
    }
}

fn moment(setup: &Setup, seen: Timestamp, now: Timestamp) -> Markup {
    let age = now.since(seen);
    let exact = seen.to_string();
    // Whole seconds are exact enough for users.
    let title = exact.split('.').next().unwrap_or(&exact);
    html! {
        time datetime=(exact) title=(title.replace('T', " ") + " UTC")
            data-age=(age.as_secs())
        { ((setup.words.ago)(age)) }
    }
}

/// The dialog in which the script asks. Without the script it stays hidden.
fn dialog(setup: &Setup) -> Markup {
    let words = &setup.words;
    html! {
        dialog aria-labelledby="ask" aria-describedby="means" {
            form method="dialog" {
                h2 #ask {}
                p #means {}
                div.choice {
                    button value="" autofocus { (words.cancel) }
                    button.strong value="yes" { (words.sign_out) }
                }
            }
        }
    }
}

pub(super) fn ask_others(setup: &Setup) -> Markup {
    let words = &setup.words;
    let main = html! {
        header {
            h1 { (words.ask_others) }
            p { (words.ask_others_means) }
        }
        form.choice method="post" action={ (setup.mount.prefix()) "/end-others" } {
            a.button href=(setup.mount.home()) { (words.cancel) }
            button.strong { (words.sign_out_others) }
        }
    };
    page(setup, &main)
}

/// A page that says one thing, with the way back to the list.
pub(super) fn notice(setup: &Setup, what: &str) -> Markup {
    page(
        setup,
        &html! {
            header { h1 { (what) } }
            p.choice { a.button href=(setup.mount.home()) { (setup.words.back) } }
        },
    )
}

/// A page that leads to another one.
pub(super) fn leave(setup: &Setup, path: &str) -> Markup {
    page(
        setup,
        &html! {
            p.choice { a.button href=(path) { (setup.words.go_on) } }
        },
    )
}

/// A page that says one thing to a client that has no list; `detail` is for the app's developer.
pub(super) fn dead_end(setup: &Setup, what: &str, detail: Option<&str>) -> Markup {
    page(
        setup,
        &html! {
            header {
                h1 { (what) }
                @if let Some(detail) = detail { p { (detail) } }
            }
        },
    )
}

fn page(setup: &Setup, main: &Markup) -> Markup {
    let language = code(&setup.words.language);
    let direction = is_right_to_left(&language).then_some("rtl");
    html! {
        (DOCTYPE)
        html lang=(language) dir=[direction] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title {
                    (setup.words.title)
                    @if let Some(name) = &setup.app_name { " – " (name) }
                }
                // Keeps browsers from asking the app for one.
                link rel="icon" href="data:,";
                link rel="stylesheet" href={ (setup.mount.prefix()) "/page.css?" (setup.style.hash()) };
                script src={ (setup.mount.prefix()) "/page.js?" (setup.script.hash()) } defer {}
            }
            body {
                @if let Some(header) = &setup.header { (header) }
                main { (app(setup)) (main) }
            }
        }
    }
}

/// What the app is called, and the link back into it.
fn app(setup: &Setup) -> Markup {
    html! {
        @if setup.app_name.is_some() || setup.back.is_some() {
            div.app {
                @if let Some(name) = &setup.app_name { strong { bdi { (name) } } }
                @if let Some((path, text)) = &setup.back { a href=(path) { (text) } }
            }
        }
    }
}
