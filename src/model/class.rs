//! Classes of clients, for limits of their own.

/// A class of clients that has a limit of its own beside the one for all: browsers, phones, API
/// clients.
///
/// The app says what each number means, 0 to 15; 0 is what a sign-in is unless it says otherwise.
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

    /// The class with this number: 15 stands for all above, too.
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
