//! Decodes any bytes as a stored session set.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_user_sessions::{
    SessionId, Timestamp,
    store::{List, SessionSet, Tag},
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut set) = SessionSet::decode(bytes) else {
        return;
    };

    let stored = set.encode().unwrap();
    let again = SessionSet::decode(&stored).unwrap();
    assert!(again == set);
    assert_eq!(again.encode().unwrap(), stored);
    // Data of any session, and a moment at which some of them have expired.
    let _ = set.add_part(SessionId::from_bytes([7; 12]), bytes.to_vec().into());
    let now = Timestamp::from_millis(1_764_000_000_000);
    let listed = set.list(&List::new(Tag::from_bytes([3; 12])), now);
    assert!(listed.iter().all(|record| record.is_live(now, None)));
    assert!(SessionSet::decode(&set.encode().unwrap()).is_ok());
});
