//! The compiler, and the libraries that cargo built for this test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

pub(crate) struct Compiler {
    /// Where cargo puts libraries.
    deps: PathBuf,
    /// What the snippets use.
    ui: PathBuf,
    /// What the compiler writes.
    out: PathBuf,
}

impl Compiler {
    pub(crate) fn new() -> Self {
        let deps = env::current_exe().unwrap().parent().unwrap().to_owned();
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ui-{}", process::id()));
        fs::create_dir_all(&out).unwrap();
        let compiler = Self {
            ui: newest(&deps, "libui-"),
            deps,
            out,
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("other_deadpool_redis.rs");
        let mut rustc = compiler.rustc(&source);
        let made = rustc
            .args(["--crate-name", "deadpool_redis"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        compiler
    }

    /// What the compiler says about this snippet.
    pub(crate) fn errors(&self, snippet: &Path) -> String {
        let other = self.out.join("libdeadpool_redis.rlib");
        let checked = self
            .rustc(snippet)
            .args(["--crate-name", "snippet", "--emit", "metadata"])
            .arg(format!("--extern=ui={}", self.ui.display()))
            .arg(format!("--extern=other_deadpool_redis={}", other.display()))
            .output()
            .unwrap();
        String::from_utf8(checked.stderr).unwrap()
    }

    fn rustc(&self, source: &Path) -> Command {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(rustc);
        command
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "lib",
                "--color",
                "never",
            ])
            .arg(format!("-Ldependency={}", self.deps.display()))
            .arg("--out-dir")
            .arg(&self.out)
            .arg(source);
        command
    }
}

impl Drop for Compiler {
    fn drop(&mut self) {
        // What is left is in the way of nothing.
        let _ = fs::remove_dir_all(&self.out);
    }
}

/// The library that was built last: cargo keeps one for each choice of features.
fn newest(folder: &Path, prefix: &str) -> PathBuf {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let libraries = files.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(prefix) && name.ends_with(".rlib")
    });
    libraries
        .max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap())
        .unwrap()
}
