//! The checked-in code of the proto file is up to date, so that users need neither `protoc` nor a
//! build script.
//!
//! After a change of the proto file: `REGENERATE=1 cargo test -p example-tonic generated`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{env, fs, path::Path};

use prost::Message;

#[test]
fn the_checked_in_code_of_the_tonic_example_matches_its_proto_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = tempfile::tempdir().unwrap();

    let files = protox::compile(["devices.proto"], [folder]).unwrap();
    tonic_prost_build::configure()
        .out_dir(made.path())
        .compile_fds(files.clone())
        .unwrap();
    fs::write(made.path().join("devices.v1.bin"), files.encode_to_vec()).unwrap();

    for name in ["devices.v1.rs", "devices.v1.bin"] {
        let made = fs::read(made.path().join(name)).unwrap();
        let checked_in = folder.join("generated").join(name);
        if env::var_os("REGENERATE").is_some() {
            fs::write(&checked_in, &made).unwrap();
        }
        assert!(
            made == fs::read(&checked_in).unwrap_or_default(),
            "{name} is out of date: REGENERATE=1 cargo test -p example-tonic generated"
        );
    }
}
