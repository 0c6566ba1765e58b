//! Decodes any bytes as a stored end notice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_user_sessions::store::EndNotice;

fuzz_target!(|bytes: &[u8]| {
    let Some(notice) = EndNotice::decode(bytes) else {
        return;
    };

    let stored = notice.encode();
    let again = EndNotice::decode(&stored);
    assert_eq!(again.as_ref(), Some(&notice));
    assert_eq!(again.map(|again| again.encode()), Some(stored));
    assert!(notice.opens_to(&notice.digest));
    assert!(format!("{notice:?}").contains("digest: Digest(..)"));
});
