//! Whose session it is.

use std::{error, fmt, str::FromStr, sync::Arc};

/// Names a user of the app: text of 1 to 255 bytes.
///
/// Integers (and, by feature `uuid`, UUIDs) are always valid; other text is checked once.
///
/// ```
/// use tower_user_sessions::UserId;
///
/// assert_eq!(UserId::from(42).as_str(), "42");
/// assert_eq!(UserId::new("alice")?.as_str(), "alice");
/// assert!(UserId::new("").is_err());
/// # Ok::<_, tower_user_sessions::store::ParseUserIdError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The user with this id.
    ///
    /// # Errors
    ///
    /// If the text is empty or longer than 255 bytes.
    pub fn new(text: impl AsRef<str>) -> Result<Self, ParseUserIdError> {
        let text = text.as_ref();
        match text.len() {
            1..=255 => Ok(Self(Arc::from(text))),
            _ => Err(ParseUserIdError),
        }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserId {
    type Err = ParseUserIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<&str> for UserId {
    type Error = ParseUserIdError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl TryFrom<String> for UserId {
    type Error = ParseUserIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

macro_rules! from_integer {
    ($($integer:ty)*) => {$(
        impl From<$integer> for UserId {
            fn from(id: $integer) -> Self {
                Self(Arc::from(id.to_string()))
            }
        }
    )*};
}

// One impl per type: a blanket one over `Display` would let unchecked text in.
from_integer!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

#[cfg(feature = "uuid")]
impl From<uuid::Uuid> for UserId {
    fn from(id: uuid::Uuid) -> Self {
        Self(Arc::from(id.to_string()))
    }
}

/// The text is not a user id: 1 to 255 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseUserIdError;

impl fmt::Display for ParseUserIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user id has 1 to 255 bytes")
    }
}

impl error::Error for ParseUserIdError {}
