//~ `Account` is not a user id
//~ make a `UserId` from its text: `UserId::new(id.to_string())?`

use ui::tower_user_sessions::{Session, SessionError};

pub struct Account;

pub fn log_in(session: &Session, account: Account) -> Result<(), SessionError> {
    session.log_in(account)
}
