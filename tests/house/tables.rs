//! Tables in Markdown: a pipe ends a cell, also within code.

use super::files::{File, under};

/// Where a row of a table has a pipe within code that is not written `\|`: what comes after it is not displayed.
fn complaints(file: &File) -> Vec<String> {
    let rows = file.text.lines().enumerate().filter(|(_, line)| {
        let text = line.trim_start().trim_start_matches(['/', '!']);
        text.trim_start().starts_with('|')
    });
    // Every second piece between backticks is code.
    rows.filter(|(_, row)| {
        let code: String = row.split('`').skip(1).step_by(2).collect();
        code.replace(r"\|", "").contains('|')
    })
    .map(|(at, _)| format!("{}:{}: write `\\|` in code of a table", file.path, at + 1))
    .collect()
}

#[test]
fn a_pipe_within_code_of_a_table_is_escaped() {
    let files = [under("", "md"), under("src", "rs"), under("examples", "rs")].concat();
    assert!(files.iter().any(|file| file.path == "README.md"));

    let complaints: Vec<String> = files.iter().flat_map(complaints).collect();

    assert_eq!(complaints, [""; 0]);
}

#[test]
fn a_pipe_that_breaks_a_cell_off_is_a_complaint() {
    let text = "| `a` | b |\n/// | `a\\|b` | c |\n//! | `a|b` | c |\n`a|b`".to_owned();
    let path = "src/a.rs".to_owned();

    let found = complaints(&File { path, text });

    assert_eq!(found, ["src/a.rs:3: write `\\|` in code of a table"]);
}
