//! Classes of clients, each with its own limit.

/// A kind of client that has its own limit: browsers, phones, API clients.
///
/// Your app decides what the numbers 0 to 15 mean, and states the class at the sign-in. A sign-in that
/// states none is of class 0. See [`Limit::of_class`](crate::Limit::of_class).
///
/// ```
/// use tower_user_sessions::{ClientClass, Limit};
///
/// const BROWSER: ClientClass = ClientClass::new(1);
/// const PHONE: ClientClass = ClientClass::new(2);
///
/// let limit = Limit::at_most(6).of_class(BROWSER, 2).of_class(PHONE, 1);
/// assert_eq!(limit.class_sessions(PHONE), Some(1));
/// assert_eq!(limit.class_sessions(ClientClass::default()), None);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ClientClass(u8);

impl ClientClass {
    /// How many classes there are.
    pub const COUNT: usize = 16;

    /// The class with this number; numbers above 15 count as 15.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(if number < 15 { number } else { 15 })
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}
