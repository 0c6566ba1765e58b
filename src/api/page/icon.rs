//! An icon for each kind of device. Screen readers skip it, because the label says the same.

use maud::{Markup, html};

use crate::request::DeviceKind;

/// Lines on a grid of 24, in the colour of the text.
pub(super) fn of(kind: DeviceKind) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor"
            stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"
            aria-hidden="true" focusable="false" data-kind=(kind.as_str())
        {
            path d=(lines(kind));
        }
    }
}

fn lines(kind: DeviceKind) -> &'static str {
    match kind {
        // A head with an antenna.
        DeviceKind::Bot => {
            "M7 9h10a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2v-6a2 2 0 0 1 2-2zM12 9V5M9.5 \
             13.2v1.2M14.5 13.2v1.2M3 13v2M21 13v2M12 4v1"
        }
        // A laptop.
        DeviceKind::Desktop => {
            "M6 5h12a1.5 1.5 0 0 1 1.5 1.5V15h-15V6.5A1.5 1.5 0 0 1 6 5zM2.5 18.5h19M4.5 15l-2 \
             3.5M19.5 15l2 3.5"
        }
        DeviceKind::Mobile => {
            "M8.5 3h7A1.5 1.5 0 0 1 17 4.5v15a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 7 19.5v-15A1.5 \
             1.5 0 0 1 8.5 3zM11 18h2"
        }
        DeviceKind::Tablet => {
            "M6 3h12a1.5 1.5 0 0 1 1.5 1.5v15A1.5 1.5 0 0 1 18 21H6a1.5 1.5 0 0 1-1.5-1.5v-15A1.5 \
             1.5 0 0 1 6 3zM11 18h2"
        }
        // A prompt.
        DeviceKind::Tool => {
            "M5 4.5h14A1.5 1.5 0 0 1 20.5 6v12a1.5 1.5 0 0 1-1.5 1.5H5A1.5 1.5 0 0 1 3.5 18V6A1.5 \
             1.5 0 0 1 5 4.5zM7.5 9l3 3-3 3M12.5 15h4"
        }
        // A globe.
        DeviceKind::Other => {
            "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM3 12h18M12 3c2.5 2.6 3.7 5.6 3.7 9s-1.2 6.4-3.7 \
             9c-2.5-2.6-3.7-5.6-3.7-9S9.5 5.6 12 3z"
        }
    }
}
