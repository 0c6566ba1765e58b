//! Longer runs than each change needs: `scripts/soak` starts them.

use std::env;

use crate::common::overload::Cell;

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: scripts/soak starts this"))
}

/// `SOAK_CELLS` names them: `node 1 500 1.1`, separated by commas.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/soak runs it"]
async fn overload_is_answered_as_far_as_it_can() {
    let mut failed = Vec::new();
    let seconds = setting("SOAK_SECONDS").parse().unwrap();
    for cell in setting("SOAK_CELLS").split(',') {
        let words: Vec<&str> = cell.split_whitespace().collect();
        let [kind, processes, capacity, factor, extra @ ..] = &words[..] else {
            panic!("{cell}");
        };
        let cell = Cell {
            is_cluster: *kind == "Cluster",
            capacity: capacity.parse().unwrap(),
            factor: factor.parse().unwrap(),
            seconds,
            processes: processes.parse().unwrap(),
            one_queue: extra.contains(&"one_queue"),
            grown: extra.contains(&"grown"),
        };
        let row = cell.run().await.row(cell);
        println!("{row}");
        if row.ends_with("NO |") {
            failed.push(row);
        }
    }
    assert!(failed.is_empty(), "not as promised: {failed:#?}");
}
