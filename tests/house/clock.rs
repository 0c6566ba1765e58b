//! Who reads the system's clock.

use proc_macro2::{TokenStream, TokenTree};

/// What reads a clock, as the tokens say it.
const READS: [&[&str]; 7] = [
    &["SystemTime", ":", ":", "now"],
    &["Instant", ":", ":", "now"],
    &["OffsetDateTime", ":", ":", "now_utc"],
    &["OffsetDateTime", ":", ":", "now_local"],
    &["UtcDateTime", ":", ":", "now"],
    &["UNIX_EPOCH", ".", "elapsed"],
    &["clock_gettime"],
];

/// Where this file asks the system for the time.
pub(crate) fn complaints(path: &str, source: &str) -> Vec<String> {
    let mut words = Vec::new();
    flatten(source.parse().unwrap(), &mut words);
    READS
        .iter()
        .filter(|read| words.windows(read.len()).any(|window| window == **read))
        .map(|read| format!("{path}: reads the clock: {}", read.concat()))
        .collect()
}

/// The tokens as words, without delimiters.
pub(super) fn flatten(tokens: TokenStream, words: &mut Vec<String>) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => flatten(group.stream(), words),
            other => words.push(other.to_string()),
        }
    }
}

#[test]
fn asking_the_system_is_a_complaint() {
    let at = |source: &str| complaints("src/store/op.rs", source);

    assert_eq!(
        at("fn f() { let at = std::time::Instant::now(); }"),
        ["src/store/op.rs: reads the clock: Instant::now"]
    );
    assert_eq!(at("fn f() { g(SystemTime::now) }").len(), 1);
    assert_eq!(at("fn f() { time::OffsetDateTime::now_utc() }").len(), 1);
    assert_eq!(at("fn f() { UNIX_EPOCH.elapsed() }").len(), 1);
    assert_eq!(at("fn f() { clock_gettime(ClockId::Boottime) }").len(), 1);
}

#[test]
fn asking_the_clock_of_this_crate_is_fine() {
    let source = "fn f(clock: &Clock) { clock.now(); Monotonic::now(); } // Instant::now()";

    assert_eq!(complaints("src/store/op.rs", source), [""; 0]);
}
