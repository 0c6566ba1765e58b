//! The house stands: no import upward, no file of two nouns, scripts that touch one key, one clock,
//! and a SECURITY.md that is true.
//!
//! Each check is a function from text to complaints; its own tests show that it can complain.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bodies;
mod checklist;
mod clock;
mod files;
mod foreign;
mod layers;
mod metrics;
mod scripts;
mod tables;
mod words;

use self::files::{File, under};

/// A file past this has two nouns in it.
const LINES: usize = 400;

/// The last line of the checklist. None may get lost.
const CHECKLIST: u32 = 76;

/// A check that found nothing to look at has not checked anything.
fn some(files: Vec<File>) -> Vec<File> {
    assert!(!files.is_empty());
    files
}

#[test]
fn no_module_imports_from_a_floor_above() {
    let complaints: Vec<String> = some(under("src", "rs"))
        .iter()
        .flat_map(|file| layers::complaints(&file.path, &file.text))
        .collect();

    assert_eq!(complaints, [""; 0]);
}

#[test]
fn only_the_clock_asks_the_system_for_the_time() {
    let complaints: Vec<String> = some(under("src", "rs"))
        .iter()
        .filter(|file| file.path != "src/model/clock.rs")
        .flat_map(|file| clock::complaints(&file.path, &file.text))
        .collect();

    assert_eq!(complaints, [""; 0]);
}

#[test]
fn the_public_api_names_only_crates_that_the_docs_promise() {
    let manifest = include_str!("../../Cargo.toml");
    let private = foreign::private_crates(manifest);
    let files = some(under("src", "rs"));
    let public = files
        .iter()
        .flat_map(|file| foreign::public_types(&file.text))
        .collect();

    let complaints: Vec<String> = files
        .iter()
        .flat_map(|file| foreign::complaints(&file.path, &file.text, &private, &public))
        .collect();

    assert_eq!(complaints, [""; 0]);
}

#[test]
fn no_file_is_past_400_lines() {
    let folders = ["src", "tests", "examples", "benches", "fuzz"];
    let complaints: Vec<String> = folders
        .iter()
        .flat_map(|folder| [under(folder, "rs"), under(folder, "lua")].concat())
        .filter_map(|file| file.too_long(LINES))
        .collect();

    assert_eq!(complaints, [""; 0]);
}

// T51
#[test]
fn every_script_is_short_and_touches_only_the_key_it_declares() {
    let files = some(under("src/store/redis/lua", "lua"));
    let helpers: Vec<String> = files
        .iter()
        .flat_map(|file| scripts::helpers(&file.text))
        .collect();

    let complaints: Vec<String> = files
        .iter()
        .flat_map(|file| scripts::complaints(&file.path, &file.text, &helpers))
        .collect();

    assert_eq!(complaints, [""; 0]);
}

#[test]
fn the_page_of_metrics_names_all_of_them_and_all_operations() {
    let page = include_str!("../../src/metrics.md");
    let complaints: Vec<String> = some(under("src", "rs"))
        .iter()
        .flat_map(|file| metrics::complaints(page, &file.path, &file.text))
        .collect();

    assert_eq!(complaints, [""; 0]);
}

#[test]
fn security_md_names_the_tests_that_name_its_lines() {
    let files = ["src", "tests", "examples", "benches"].map(|folder| under(folder, "rs"));
    let files = some(files.concat());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../SECURITY.md");
    let mut table = std::fs::read_to_string(path).unwrap();
    if std::env::var_os("UPDATE_SECURITY_MD").is_some() {
        table = checklist::corrected(&table, &files);
        std::fs::write(path, &table).unwrap();
    }

    let complaints = checklist::complaints(&table, &files);

    assert_eq!(complaints, [""; 0]);
    let all: Vec<String> = (1..=CHECKLIST).map(|line| format!("T{line}")).collect();
    assert_eq!(checklist::lines(&table), all);
}
