//! The checked-in code belongs to the proto file, so that users need neither `protoc` nor a build script.
//!
//! After a change of the proto file: `scripts/proto`. `.ci/run` makes the code again and compares.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

#[test]
fn the_checked_in_code_of_the_tonic_example_was_made_from_its_proto_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let noted = fs::read_to_string(folder.join("generated/sha256")).unwrap();
    let files = [
        "devices.proto",
        "generated/devices.v1.bin",
        "generated/devices.v1.rs",
    ];

    assert_eq!(noted.lines().count(), files.len());
    for (line, file) in noted.lines().zip(files) {
        let hash = Sha256::digest(fs::read(folder.join(file)).unwrap());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = file.trim_start_matches("generated/");
        assert_eq!(
            line,
            format!("{hash}  {name}"),
            "{file} changed: scripts/proto"
        );
    }
}
