//! The words of docs, comments, messages and function names.
//!
//! Two checks: a list of words that have a plainer name in this project, and the length of a
//! sentence. `WORDS_ONLY=src/store cargo nextest run --test house words` looks at one folder only.

mod banned;
mod prose;
mod source;

use std::env;

use super::files::{File, under};
use source::Piece;

/// A sentence may have this many words.
const WORDS: usize = 35;

/// The folders whose Rust and Lua files, scripts and programs are read.
const FOLDERS: [&str; 7] = [
    "src", "tests", "examples", "benches", "fuzz", "scripts", ".ci",
];

/// This check names what it refuses.
const OWN: &str = "tests/house/words";

/// What the words of this file break, as `path:line: …`.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let pieces = match path.rsplit('.').next() {
        Some("rs") => source::rust(text, 1),
        Some("lua") => source::lua(text),
        Some("js" | "ts") => source::comments(text, "//"),
        Some("py") => source::comments(text, "#"),
        _ if text.starts_with("#!") => source::comments(text, "#"),
        _ => vec![Piece::Prose(source::lines(text, 1))],
    };
    let mut complaints = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Prose(lines) => of_prose(path, &lines, &mut complaints),
            // A string elsewhere is what a client sends, or what a test expects.
            Piece::Message(lines) if path.starts_with("src/") => {
                of_prose(path, &lines, &mut complaints);
            }
            Piece::Message(_) => {}
            Piece::Name(line, name) => {
                complaints.extend(
                    banned::of_name(&name).map(|found| format!("{path}:{line}: {found}: {name}")),
                );
            }
        }
    }
    complaints
}

fn of_prose(path: &str, lines: &[prose::Line], complaints: &mut Vec<String>) {
    for sentence in prose::sentences(lines) {
        for (line, found) in banned::of_sentence(&sentence) {
            complaints.push(format!("{path}:{line}: {found}"));
        }
        let length = prose::length(&sentence);
        if length > WORDS {
            let start: Vec<&str> = sentence.iter().take(6).map(|word| &*word.text).collect();
            let start = start.join(" ").replace(prose::CODE, "`…`");
            complaints.push(format!(
                "{path}:{}: {length} words in a sentence, at most {WORDS}: {start} …",
                sentence[0].line
            ));
        }
    }
    for (line, code) in prose::examples(lines) {
        for piece in source::rust(&code, line) {
            if let Piece::Prose(lines) = piece {
                of_prose(path, &lines, complaints);
            }
        }
    }
}

/// Every file that somebody reads, or those whose path begins with this.
fn files(only: &str) -> Vec<File> {
    let of = |folder: &str, kinds: &[&str]| -> Vec<File> {
        let files = kinds.iter().flat_map(|kind| under(folder, kind));
        files.collect()
    };
    let code = FOLDERS.map(|folder| of(folder, &["rs", "lua", "js", "ts", "py"]));
    // Scripts have no extension.
    let mut scripts = [under("scripts", ""), under(".ci", ""), under("tests", "")].concat();
    scripts.retain(|file| file.text.starts_with("#!"));
    let mut files = [code.concat(), scripts, of("", &["md"])].concat();
    files.retain(|file| {
        file.path.starts_with(only)
            && !file.path.starts_with(OWN)
            && !file.text.starts_with("// This file is @generated")
    });
    files
}

#[test]
fn no_text_has_a_refused_word_or_an_endless_sentence() {
    let only = env::var("WORDS_ONLY").unwrap_or_default();
    let files = files(&only);
    assert!(!files.is_empty(), "no file begins with {only}");

    let complaints: Vec<String> = files
        .iter()
        .flat_map(|file| complaints(&file.path, &file.text))
        .collect();

    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn docs_comments_messages_and_names_are_all_read() {
    let source = "\
//! A former thing.
/// See the corner,
/// or `former`.
fn a_former_token() {
    // Nobody is told.
    let kind = \"void\"; // anew
    panic!(\"the sign-in \\
        is void\");
}
";

    assert_eq!(
        complaints("src/a.rs", source),
        [
            "src/a.rs:1: former",
            "src/a.rs:2: corner",
            "src/a.rs:4: former: a_former_token",
            "src/a.rs:5: told",
            "src/a.rs:6: anew",
            "src/a.rs:7: void",
        ]
    );
}

#[test]
fn strings_outside_of_src_are_not_read() {
    let source = "fn f() { g(\"the sign-in is void\") }";

    assert_eq!(complaints("tests/a.rs", source), [""; 0]);
}

#[test]
fn comments_in_examples_of_the_docs_are_read_and_their_code_is_not() {
    let source = "\
/// Fine.
///
/// ```
/// # fn main() {
/// let former = 1; // told
/// # }
/// ```
///
/// ```text
/// void
/// ```
fn f() {}
";

    assert_eq!(complaints("src/a.rs", source), ["src/a.rs:5: told"]);
}

#[test]
fn a_sentence_of_36_words_is_refused_and_one_of_35_is_fine() {
    let of = |words: usize| format!("Begin{}. Another one.\n", " on".repeat(words - 1));

    assert_eq!(complaints("README.md", &of(35)), [""; 0]);
    assert_eq!(
        complaints("README.md", &of(36)),
        ["README.md:1: 36 words in a sentence, at most 35: Begin on on on on on …"]
    );
}

#[test]
fn lua_headers_and_comments_are_read() {
    let script = "\
#!lua flags=no-writes
--[[
  Says who is told.

  KEYS[1]  user   hash: session id -> record

  Returns  1  it was live
           0  it was void
]]
local user = KEYS[1] -- the cut
return \"void\"
";

    assert_eq!(
        complaints("src/a.lua", script),
        [
            "src/a.lua:3: told",
            "src/a.lua:8: void",
            "src/a.lua:10: the cut",
        ]
    );
}

#[test]
fn good_text_passes() {
    let text = "\
# Sessions

The request sends a token. The previous token works for 30 s more (see [`rotate`](Session::rotate)).

1. The connection is cut off in the middle; a cut connection is opened again.
2. A cutoff moves forward only. The reason `void` and the reason \"void\" are strings on the wire.

| case | what happens |
|---|---|
| a guest session | its cookie is sent; the page shows the list |
";

    assert_eq!(complaints("README.md", text), [""; 0]);
}

#[test]
fn comments_of_scripts_and_of_programs_in_python_and_javascript_are_read() {
    let shell = "#!/usr/bin/env bash\n# Makes it anew.\necho anew # told\n";
    let python = "# anew\nprint('anew')\n";

    assert_eq!(
        complaints("scripts/a", shell),
        ["scripts/a:2: anew", "scripts/a:3: told"]
    );
    assert_eq!(complaints("benches/a.py", python), ["benches/a.py:1: anew"]);
    assert_eq!(
        complaints("src/a.js", "f('anew'); // told\n"),
        ["src/a.js:1: told"]
    );
    let read = files("scripts/screenshots");
    assert_eq!(read.len(), 1);
    let page = files("src/api/page/page.js");
    assert_eq!(page.len(), 1);
}
