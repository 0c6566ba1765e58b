//! The page of all metrics.

/// What this file counts or times, and the page does not name.
pub(crate) fn complaints(page: &str, path: &str, source: &str) -> Vec<String> {
    let metrics = after(source, "!(\"tower_user_sessions_");
    let metrics = metrics.map(|name| format!("`tower_user_sessions_{name}`"));
    let operations = after(source, "timed(\"").map(str::to_owned);
    let row = page.lines().find(|line| line.contains("`operation`: "));
    let row: Vec<&str> = row.map_or(Vec::new(), |row| row.split([' ', ',', '.', '`']).collect());
    let unnamed = metrics.filter(|name| !page.contains(name.as_str()));
    unnamed
        .chain(operations.filter(|name| !row.contains(&name.as_str())))
        .map(|name| format!("{path}: not on the page of metrics: {name}"))
        .collect()
}

/// What is between each of these and the next quotation mark.
fn after<'a>(source: &'a str, start: &str) -> impl Iterator<Item = &'a str> {
    let names = source.split(start).skip(1);
    names.filter_map(|rest| rest.split_once('"').map(|(name, _)| name))
}

#[test]
fn a_metric_or_an_operation_that_the_page_does_not_name_is_a_complaint() {
    let page = "| `tower_user_sessions_a_total` | counter |\n| `tower_user_sessions_b` | `operation`: end, `note_client` |";
    let source = |metric, operation| {
        format!(
            r#"counter!("tower_user_sessions_{metric}").increment(1); timed("{operation}", end)"#
        )
    };

    assert_eq!(
        complaints(page, "meter.rs", &source("a_total", "end")),
        [""; 0]
    );
    assert_eq!(
        complaints(page, "meter.rs", &source("b", "note_client")),
        [""; 0]
    );
    assert_eq!(
        complaints(page, "meter.rs", &source("a", "note")),
        [
            "meter.rs: not on the page of metrics: `tower_user_sessions_a`",
            "meter.rs: not on the page of metrics: note"
        ]
    );
}
