//! The guide shows the port as a diff of the two sources.

use std::{env, fs, path::Path, process::Command};

/// The files that a port touches.
const FILES: [&str; 2] = ["Cargo.toml", "src/lib.rs"];

fn diff_of(file: &str, folder: &Path) -> String {
    let path = |side: &str| folder.join(side).join(file);
    let made = Command::new("diff")
        .args(["--unified=2", "--label", &format!("before/{file}")])
        .args(["--label", &format!("after/{file}")])
        .args([path("before"), path("after")])
        .output()
        .unwrap();
    // 1 means that the files differ, 2 that there was trouble.
    assert_eq!(made.status.code(), Some(1), "{made:?}");
    String::from_utf8(made.stdout).unwrap()
}

#[test]
fn the_diff_in_the_guide_is_what_diff_makes_of_the_sources() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = folder.join("../../src/guide/coming_from.diff");

    let made = FILES.map(|file| diff_of(file, folder)).concat();

    if env::var_os("UPDATE_DIFF").is_some() {
        fs::write(&page, &made).unwrap();
    }
    let shown = fs::read_to_string(&page).unwrap();
    assert!(made == shown, "run this test once with UPDATE_DIFF=1");
}
