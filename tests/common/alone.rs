//! Tests of what happens once a process.

use std::{env, process::Command};

const INSIDE: &str = "TOWER_USER_SESSIONS_TEST_ALONE";

/// Whether this process runs the test only. If not, a new process runs it and has to pass.
///
/// `module` is `module_path!()` and `name` the test's own. The test returns if this is false.
pub fn is_alone(module: &str, name: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let (_program, module) = module.split_once("::").unwrap();
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{name}"), "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let failed = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success() && said.contains("1 passed"),
        "{said}{failed}"
    );
    false
}
