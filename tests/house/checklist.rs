//! SECURITY.md says which test proves which line, and the tests say so too.

use std::collections::{BTreeMap, BTreeSet};

use super::files::File;

/// Stands behind a test that does not run with each change.
const LATER: &str = " (soak)";

/// Line of the checklist to the tests that prove it, as `file::test`.
type Proofs = BTreeMap<String, Vec<String>>;

/// Where the table of SECURITY.md and the comments of the tests disagree, as the cell should be.
pub(crate) fn complaints(table: &str, tests: &[File]) -> Vec<String> {
    let (written, meant) = (written(table), meant(tests));
    let none = Vec::new();
    let lines: BTreeSet<&String> = written.keys().chain(meant.keys()).collect();
    let mut complaints: Vec<String> = lines
        .into_iter()
        .filter_map(|line| {
            let right = meant.get(line).unwrap_or(&none);
            (written.get(line) != Some(right)).then(|| {
                let cell: Vec<String> = right.iter().map(|test| format!("`{test}`")).collect();
                format!("SECURITY.md: {line} is shown by: {}", cell.join(", "))
            })
        })
        .collect();
    complaints.extend(unproven(table));
    complaints.extend(remarks(table));
    complaints
}

/// The lines that the table has, in its order.
pub(crate) fn lines(table: &str) -> Vec<&str> {
    let cells = table.lines().filter_map(cell);
    cells.map(|(line, _shown)| line).collect()
}

/// The lines that no test proves.
fn unproven(table: &str) -> Vec<String> {
    let cells = table.lines().filter_map(cell);
    let bare = cells.filter(|(_, shown)| !shown.contains('`'));
    bare.map(|(line, _)| format!("SECURITY.md: {line} is shown by no test"))
        .collect()
}

/// The cells that say more than the names of tests. A reader takes "later" for what does not exist.
fn remarks(table: &str) -> Vec<String> {
    let cells = table.lines().filter_map(cell);
    cells
        .filter_map(|(line, shown)| {
            let between = shown.split('`').step_by(2);
            let remark: String = between.filter(|text| *text != ", ").collect();
            (!remark.is_empty())
                .then(|| format!("SECURITY.md: {line} says beside its tests: {remark}"))
        })
        .collect()
}

/// The table with the tests that the comments name.
pub(crate) fn corrected(table: &str, tests: &[File]) -> String {
    let meant = meant(tests);
    let rows = table.lines().map(|row| {
        let cell = row
            .strip_suffix(" |")
            .and_then(|row| row.rsplit_once(" | "));
        let line = row.strip_prefix("| ").and_then(|row| row.split(' ').next());
        let (Some((rest, _shown)), Some(tests)) = (cell, line.and_then(|line| meant.get(line)))
        else {
            return format!("{row}\n");
        };
        let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
        format!("{rest} | {} |\n", tests.join(", "))
    });
    rows.collect()
}

/// What the table says.
fn written(table: &str) -> Proofs {
    let cells = table.lines().filter_map(cell);
    cells
        .map(|(line, shown)| {
            let shown = shown.split('`').skip(1).step_by(2);
            let mut tests: Vec<String> = shown.map(ToOwned::to_owned).collect();
            tests.sort();
            (line.to_owned(), tests)
        })
        .collect()
}

/// The line of a row and what shows it.
fn cell(row: &str) -> Option<(&str, &str)> {
    let row = row.strip_prefix("| ")?.strip_suffix('|')?;
    let (line, rest) = row.split_once(" | ").filter(|(line, _)| is_line(line))?;
    let (_what, shown) = rest.rsplit_once(" | ")?;
    Some((line, shown.strip_suffix(' ').unwrap_or(shown)))
}

/// What the comments above the tests say.
fn meant(files: &[File]) -> Proofs {
    let mut proofs = Proofs::new();
    for file in files {
        let (mut lines, mut later): (Vec<&str>, &str) = (Vec::new(), "");
        let mut is_test = false;
        for text in file.text.lines().map(str::trim) {
            let words = text
                .strip_prefix("// ")
                .unwrap_or("")
                .split([' ', ',', ':']);
            if words.clone().next().is_some_and(is_line) {
                lines.extend(words.filter(|word| is_line(word)));
            } else if text.starts_with("#[ignore") {
                later = LATER;
            } else if text.starts_with("#[test") || text.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some((_, name)) = text.split_once("fn ") {
                if !std::mem::take(&mut is_test) {
                    // A helper proves nothing by itself.
                    lines.clear();
                }
                let name = name.split(['(', '<']).next().unwrap();
                let test = format!("{}::{name}{later}", label(&file.path));
                later = "";
                for line in lines.drain(..) {
                    proofs
                        .entry(line.to_owned())
                        .or_default()
                        .push(test.clone());
                }
            }
        }
    }
    for tests in proofs.values_mut() {
        tests.sort();
        tests.dedup();
    }
    proofs
}

fn is_line(word: &str) -> bool {
    word.strip_prefix('T')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()))
}

/// `tests/behaviour/cookie.rs` is `cookie`, as the test runner names it; `tests/house/main.rs` is `house`
/// and `src/model/token.rs` is `model::token`.
fn label(path: &str) -> String {
    let file = path.split_once("tests/").map_or(path, |(_, file)| file);
    let module = match file.split_once('/') {
        Some((program, "main.rs")) => program,
        Some((_, module)) => module,
        None => file,
    };
    module
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .replace('/', "::")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_of(path: &str, text: &str) -> [File; 1] {
        [File {
            path: path.to_owned(),
            text: text.to_owned(),
        }]
    }

    #[test]
    fn a_table_that_agrees_is_fine() {
        let tests = test_of(
            "tests/behaviour/cookie.rs",
            "// T6 T7\n#[test]\nfn it_is_secure() {}\n// Why.\nfn helper() {}",
        );
        let table = "| line | what |\n| T6 | a | `cookie::it_is_secure` |\n\
                     | T7 | b | `cookie::it_is_secure` |";

        assert_eq!(complaints(table, &tests), [""; 0]);
    }

    #[test]
    fn a_test_that_is_not_in_the_table_is_a_complaint() {
        let tests = test_of("src/model/token.rs", "// T1\n#[test]\nasync fn unique() {}");

        assert_eq!(
            complaints("| T1 | a |  |", &tests),
            [
                "SECURITY.md: T1 is shown by: `model::token::unique`",
                "SECURITY.md: T1 is shown by no test"
            ]
        );
        assert_eq!(complaints("", &tests).len(), 1);
    }

    #[test]
    fn a_function_that_is_no_test_proves_nothing() {
        let tests = test_of("src/model/token.rs", "// T1\nfn unique() {}");

        assert_eq!(
            complaints("| T1 | a | `model::token::unique` |", &tests),
            ["SECURITY.md: T1 is shown by: "]
        );
    }

    #[test]
    fn a_test_that_does_not_run_with_each_change_says_so() {
        let tests = test_of(
            "tests/stores/streams_cut.rs",
            "// T72\n#[test]\n#[ignore = \"slow\"]\nfn slow() {}\n// T72\n#[test]\nfn quick() {}",
        );
        let table = "| T72 | a | `streams_cut::quick`, `streams_cut::slow (soak)` |";

        assert_eq!(complaints(table, &tests), [""; 0]);
    }

    #[test]
    fn a_corrected_table_agrees() {
        let tests = test_of("src/model/token.rs", "// T1\n#[test]\nfn unique() {}");
        let table = "| line | what |\n| T1 | a | `model::token::old`; later: more |\n";

        let corrected = corrected(table, &tests);

        assert_eq!(
            corrected,
            "| line | what |\n| T1 | a | `model::token::unique` |\n"
        );
        assert_eq!(complaints(&corrected, &tests), [""; 0]);
    }

    #[test]
    fn a_remark_beside_the_tests_is_a_complaint() {
        let tests = test_of("src/model/token.rs", "// T1\n#[test]\nfn unique() {}");
        let of = |shown: &str| complaints(&format!("| T1 | a | {shown} |"), &tests);

        assert_eq!(of("`model::token::unique`"), [""; 0]);
        assert_eq!(
            of("`model::token::unique`; Later: more"),
            ["SECURITY.md: T1 says beside its tests: ; Later: more"]
        );
        assert_eq!(of("Later").len(), 3);
    }

    #[test]
    fn a_test_that_is_gone_is_a_complaint() {
        assert_eq!(
            complaints("| T1 | a | `model::token::unique` |", &[]),
            ["SECURITY.md: T1 is shown by: "]
        );
    }
}
