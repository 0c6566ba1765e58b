//~ `&str` is not certain to be a user id
//~ check text first: `UserId::new(text)?`

use ui::tower_user_sessions::{MemoryStore, UserSessions};

pub fn sessions(store: MemoryStore) -> UserSessions {
    UserSessions::new(store, "alice")
}
