//! Decodes any bytes as a stored session.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_user_sessions::{SessionId, Timestamp, store::Record};

fuzz_target!(|bytes: &[u8]| {
    let id = SessionId::from_bytes([7; 12]);

    let Ok(record) = Record::decode(id, bytes) else {
        return;
    };

    let stored = record.encode().unwrap();
    let again = Record::decode(id, &stored).unwrap();
    assert_eq!(again, record);
    assert_eq!(again.encode().unwrap(), stored);
    // No stored time makes the computation of the deadlines overflow.
    let now = Timestamp::from_millis(1_764_000_000_000);
    assert_eq!(record.is_live(now, None), now < record.idle_expires_at());
    assert!(format!("{record:?}").contains("digest: Digest(..)"));
});
