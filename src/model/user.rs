//! The id of a user.

use std::{error, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::from_text::from_text;

/// The id of a user of your app: text of 1 to 255 bytes.
///
/// Two ids are the same user if their bytes are the same. So `alice` and `Alice` are two users, and so are `é` as one
/// character and as two. Give the key of the user in your database, not the name that was typed at the sign-in.
/// Otherwise one person has several lists of sessions, and "sign out everywhere" ends only one of them. If the id of a user
/// changes, call [`end_all`](crate::UserSessions::end_all) for the previous one: its sessions go on under it.
///
/// With several tenants put the tenant into the id, such as `acme/7`, see
/// [`guide::sign_in`](crate::guide::sign_in#several-tenants). Lists, limits and ends go by this id alone. A realm is not
/// enough: `end_all` ends the sessions of all realms.
///
/// Make it from an integer or a `Uuid` (feature `uuid`) with `From`, and from text with
/// [`new`](Self::new), which checks the length. Serde writes and reads the text.
///
/// ```
/// use tower_user_sessions::UserId;
///
/// assert_eq!(UserId::from(42).as_str(), "42");
/// assert_eq!(UserId::new("alice")?.as_str(), "alice");
/// assert_ne!(UserId::new("Alice")?, UserId::new("alice")?);
/// assert!(UserId::new("").is_err());
/// # Ok::<_, tower_user_sessions::ParseUserIdError>(())
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

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as the type that your app uses: the way back from [`Session::log_in`](crate::Session::log_in).
    ///
    /// ```
    /// use tower_user_sessions::UserId;
    ///
    /// let user = UserId::from(42);
    /// assert_eq!(user.parse::<i64>()?, 42);
    /// # Ok::<_, std::num::ParseIntError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `T`, if the text is not one of its values.
    pub fn parse<T: FromStr>(&self) -> Result<T, T::Err> {
        self.0.parse()
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

impl AsRef<str> for UserId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        Self::from(&*id.0)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl From<&Self> for UserId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

mod sealed {
    /// Only this crate implements it, so that text is always checked.
    #[expect(unnameable_types, reason = "nobody else can implement it")]
    pub trait Sealed {}
}

/// A user for [`Session::log_in`](crate::Session::log_in): a [`UserId`], an integer, text, or a `Uuid`
/// (feature `uuid`).
///
/// Text may be empty or too long. Then `log_in` returns an error of the kind
/// [`SessionErrorKind::UserId`](crate::SessionErrorKind::UserId). If your app has its own id type, make a
/// [`UserId`] of its text.
///
/// ```
/// use tower_user_sessions::{IntoUserId, UserId};
///
/// assert_eq!("alice".into_user_id(), UserId::new("alice"));
/// assert_eq!(42.into_user_id(), Ok(UserId::from(42)));
/// assert!("".into_user_id().is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a user id",
    label = "neither a `UserId` nor an integer, text or `Uuid` (feature `uuid`)",
    note = "make a `UserId` from its text: `UserId::new(id.to_string())?`"
)]
pub trait IntoUserId: sealed::Sealed {
    /// The user with this id.
    ///
    /// # Errors
    ///
    /// If the text is empty or longer than 255 bytes.
    fn into_user_id(self) -> Result<UserId, ParseUserIdError>;
}

/// A user id that is always valid: a [`UserId`], an integer, or a `Uuid` (feature `uuid`).
///
/// [`UserSessions::new`](crate::UserSessions::new) and
/// [`Session::sessions_of`](crate::Session::sessions_of) cannot fail, so they take no text. Check text
/// with [`UserId::new`] first.
///
/// ```
/// use tower_user_sessions::{MemoryStore, UserId, UserSessions};
///
/// let store = MemoryStore::new();
/// let sessions = UserSessions::new(store.clone(), UserId::new("alice")?);
/// let others = UserSessions::new(store, 42);
/// # let _ = (sessions, others);
/// # Ok::<_, tower_user_sessions::ParseUserIdError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not certain to be a user id",
    label = "neither a `UserId` nor an integer or `Uuid` (feature `uuid`)",
    note = "check text first: `UserId::new(text)?`"
)]
pub trait CertainUserId: IntoUserId {
    /// The user with this id.
    fn certain_user_id(self) -> UserId;
}

macro_rules! may_fail {
    ($($text:ty)*) => {$(
        impl sealed::Sealed for $text {}

        impl IntoUserId for $text {
            fn into_user_id(self) -> Result<UserId, ParseUserIdError> {
                UserId::new(self)
            }
        }
    )*};
}

may_fail!(&str String &String);

macro_rules! certain {
    ($($id:ty)*) => {$(
        impl sealed::Sealed for $id {}

        impl IntoUserId for $id {
            fn into_user_id(self) -> Result<UserId, ParseUserIdError> {
                Ok(self.into())
            }
        }

        impl CertainUserId for $id {
            fn certain_user_id(self) -> UserId {
                self.into()
            }
        }
    )*};
}

certain!(UserId & UserId);

macro_rules! from_integer {
    ($($integer:ty)*) => {$(
        impl From<$integer> for UserId {
            fn from(id: $integer) -> Self {
                Self(Arc::from(id.to_string()))
            }
        }

        certain!($integer);
    )*};
}

// One impl per type, because a blanket one over `Display` would accept unchecked text.
from_integer!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

#[cfg(feature = "uuid")]
impl From<uuid::Uuid> for UserId {
    fn from(id: uuid::Uuid) -> Self {
        Self(Arc::from(id.to_string()))
    }
}

#[cfg(feature = "uuid")]
certain!(uuid::Uuid);

/// The text is not a user id: it is empty or longer than 255 bytes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseUserIdError;

impl fmt::Display for ParseUserIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user id is text of 1 to 255 bytes")
    }
}

impl error::Error for ParseUserIdError {}
