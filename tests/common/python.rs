//! Clients written in Python.

use std::{path::Path, process::Command};

use serde_json::Value;

/// The output of a Python script of the folder `tests/example`, run against the example.
pub fn python(script: &str, address: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/example")
        .join(script);
    let output = Command::new("python3")
        .arg(script)
        .arg(address)
        .output()
        .unwrap_or_else(|error| panic!("python3: {error} (apt-get install python3)"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !errors.contains("ModuleNotFoundError"),
        "{errors}\ntests/run installs it; or `pip install grpcio grpcio-reflection protobuf`, \
         and let PYTHONPATH name the folder if you chose one"
    );
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}
