//! Values that serde reads from their text.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// Reads the value from the text that it is written as.
pub(crate) fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}
