//! Makes the code of `devices.proto`, and notes the hash of each file: a test of the example compares these.
//! `scripts/proto` runs it.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use prost::Message;
use sha2::{Digest, Sha256};

const PROTO: &str = "devices.proto";

fn main() -> Result<(), Box<dyn Error>> {
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let checked_in = example.join("generated");
    let is_check = env::args().any(|argument| argument == "--check");
    let made = tempfile::tempdir()?;

    let files = protox::compile([PROTO], [&example])?;
    tonic_prost_build::configure()
        .out_dir(made.path())
        .compile_fds(files.clone())?;
    fs::write(made.path().join("devices.v1.bin"), files.encode_to_vec())?;
    fs::write(made.path().join("sha256"), hashes(&example, made.path())?)?;

    for name in ["devices.v1.rs", "devices.v1.bin", "sha256"] {
        let (made, checked_in) = (fs::read(made.path().join(name))?, checked_in.join(name));
        if !is_check {
            fs::write(checked_in, made)?;
        } else if made != fs::read(checked_in).unwrap_or_default() {
            return Err(format!("generated/{name} is out of date: run scripts/proto").into());
        }
    }
    Ok(())
}

/// As `sha256sum` writes them.
fn hashes(example: &Path, made: &Path) -> Result<String, Box<dyn Error>> {
    let mut lines = String::new();
    for (folder, name) in [
        (example, PROTO),
        (made, "devices.v1.bin"),
        (made, "devices.v1.rs"),
    ] {
        for byte in Sha256::digest(fs::read(folder.join(name))?) {
            write!(lines, "{byte:02x}")?;
        }
        writeln!(lines, "  {name}")?;
    }
    Ok(lines)
}
