//! Which stored value could not be read, in words that do not show it.

use std::fmt;

use rmp_serde::decode::Error;

/// Which value could not be read, and as what.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) key: String,
    pub(super) wanted: &'static str,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, wanted } = self;
        write!(
            f,
            "the value of the key {key:?} is not a `{wanted}`: read it as the type that `insert` was given"
        )
    }
}

/// What the decoder says, without what it read: that may be a secret of the user.
pub(super) fn without_value(error: &Error) -> String {
    let text = error.to_string();
    match error {
        // Such as `wrong msgpack marker FixPos(7)`: the value is 7.
        Error::TypeMismatch(_) => text.split('(').next().unwrap_or_default().to_owned(),
        Error::Syntax(_) | Error::Uncategorized(_) => of_the_type(&text),
        _ => text,
    }
}

/// Keeps what is about the type that was asked for.
fn of_the_type(text: &str) -> String {
    let names_a_field = ["missing field ", "duplicate field "];
    if names_a_field.iter().any(|start| text.starts_with(start)) {
        return text.to_owned();
    }
    // Such as `invalid type: string "…", expected u32`.
    let quotes = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown variant ",
        "unknown field ",
    ];
    match text.rsplit_once(", expected ") {
        Some((_, expected)) if quotes.iter().any(|start| text.starts_with(start)) => {
            format!("expected {expected}")
        }
        _ => "the type does not accept it".to_owned(),
    }
}
