//! What the compiler says about the mistakes of a new user.
//!
//! Each file in `mistakes` has one mistake. The compiler reports one error, and the lines after `//~` are in it. Only
//! these are compared: they are words and names of this crate. The rest differs between compilers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod compiler;

use std::{fs, path::Path};

use self::compiler::Compiler;

/// What is wrong with the compiler's answer to this mistake.
fn complaints(source: &str, stderr: &str) -> Vec<String> {
    let errors = stderr
        .lines()
        .filter(|line| line.starts_with("error["))
        .count();
    let mut complaints = Vec::new();
    if errors != 1 {
        complaints.push(format!("{errors} errors, not one"));
    }
    let said: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("//~ "))
        .collect();
    if said.is_empty() {
        complaints.push("no line says what is expected".to_owned());
    }
    let missing = said.iter().filter(|line| !stderr.contains(**line));
    complaints.extend(missing.map(|line| format!("not said: {line}")));
    complaints
}

#[test]
fn each_mistake_is_one_error_that_says_what_to_write() {
    let compiler = Compiler::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mistakes");
    let mut tried = 0;

    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stderr = compiler.errors(&path);
        let complaints = complaints(&fs::read_to_string(&path).unwrap(), &stderr);
        assert!(complaints.is_empty(), "{path:?}: {complaints:#?}\n{stderr}");
        tried += 1;
    }

    assert!(tried > 4);
}

#[test]
fn what_the_errors_say_to_write_compiles() {
    let right = Path::new(env!("CARGO_MANIFEST_DIR")).join("right.rs");

    assert_eq!(Compiler::new().errors(&right), "");
}

#[test]
fn the_error_about_another_version_names_the_one_in_cargo_toml() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(folder.join("../../Cargo.toml")).unwrap();
    let mistake = fs::read_to_string(folder.join("mistakes/pool_of_another_version.rs")).unwrap();

    let (_, version) = manifest
        .split_once("deadpool-redis = { version = \"")
        .unwrap();
    let minor: Vec<&str> = version.splitn(3, '.').take(2).collect();

    let written = format!("`deadpool-redis = \"{}\"`", minor.join("."));
    assert!(mistake.contains(&written), "{written}");
}

#[test]
fn a_second_error_and_a_line_that_is_not_said_are_complaints() {
    let twice = "error[E0277]: not a store\nerror[E0599]: no method\n";
    let source = "//~ not a store\n//~ write this\n";

    assert_eq!(
        complaints(source, twice),
        ["2 errors, not one", "not said: write this"]
    );
    assert_eq!(
        complaints("fn main() {}", "error[E0277]: x"),
        ["no line says what is expected"]
    );
}
