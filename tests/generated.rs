//! The code that is generated from a proto file is the one that is checked in: nobody needs `protoc`
//! or a build script.
//!
//! After a change of the proto file: `REGENERATE=1 cargo test --test generated`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{env, fs, path::Path};

#[test]
fn the_checked_in_code_of_the_tonic_example_is_what_its_proto_file_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tonic");
    let checked_in = folder.join("generated/devices.v1.rs");
    let made = tempfile::tempdir().unwrap();

    let files = protox::compile(["devices.proto"], [&folder]).unwrap();
    tonic_prost_build::configure()
        .out_dir(made.path())
        .compile_fds(files)
        .unwrap();

    let made = fs::read_to_string(made.path().join("devices.v1.rs")).unwrap();
    if env::var_os("REGENERATE").is_some() {
        fs::write(&checked_in, &made).unwrap();
    }
    assert!(
        made == fs::read_to_string(&checked_in).unwrap_or_default(),
        "out of date: REGENERATE=1 cargo test --test generated"
    );
}
