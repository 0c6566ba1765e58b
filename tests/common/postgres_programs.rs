//! The programs of PostgreSQL, and folders that they may use.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

/// A folder as `initdb` makes it, which takes longer than a copy: made once, and kept in the target folder.
pub(super) fn template() -> PathBuf {
    let made_with = [
        "--no-sync",
        "--no-instructions",
        "--auth=trust",
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C",
    ];
    let mut hash = DefaultHasher::new();
    (programs(), other_user(), made_with).hash(&mut hash);
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let template = kept.join(format!("postgres-{:x}", hash.finish()));
    if !template.exists() {
        let dir = folder();
        let data = dir.path().join("data");
        run(command("initdb").args(made_with).arg("--pgdata").arg(&data));
        // Of its own: other tests of this process may do the same.
        let new = tempfile::tempdir_in(kept).unwrap();
        let copied = new.path().join("data");
        copy(&data, &copied);
        // Another test may have made it meanwhile: one of the two stays.
        let _ = fs::rename(&copied, &template);
    }
    template
}

/// Copies a folder with its owner and permissions.
pub(super) fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").args([from, to]));
}

/// A folder that the server may use.
pub(super) fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    if let Some((user, group)) = other_user() {
        chown(dir.path(), Some(user), Some(group)).unwrap();
    }
    dir
}

/// One of the programs, as a user as whom it runs: none of them runs as root.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(programs().join(program));
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
    command
        .env_remove("PGHOST")
        .env_remove("PGPORT")
        .current_dir("/");
    command
}

/// Where Debian has the programs, which are not in the path; the newest version.
fn programs() -> PathBuf {
    if let Some(folder) = env::var_os("POSTGRES_BIN") {
        return folder.into();
    }
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    versions
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("postgres").exists())
        .max()
        .unwrap_or_default()
}

/// The user and group `postgres`, if the tests run as root.
pub(super) fn other_user() -> Option<(u32, u32)> {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line
        .unwrap_or_else(|| missing("no user `postgres`"))
        .split(':')
        .skip(2);
    let mut next = || fields.next()?.parse().ok();
    Some((next()?, next()?))
}

pub(super) fn missing<T>(error: impl std::fmt::Display) -> T {
    panic!("PostgreSQL does not run ({error}): apt-get install postgresql")
}

pub(super) fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(missing);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}
