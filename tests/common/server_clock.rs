//! A clock for a server that is ahead of the system's, from the start or from a moment on.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

/// It is ahead while there is no file `right`.
///
/// libfaketime does not start this server, because its allocator asks for the time first.
const AHEAD: &str = "#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec + (access(RIGHT, F_OK) == 0 ? 0 : 20);
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
";

/// The clock of one server. It is ahead once this is dropped.
pub(crate) struct ServerClock {
    folder: tempfile::TempDir,
}

impl ServerClock {
    /// It is right until `steps_ahead`.
    pub(crate) fn right() -> Self {
        let clock = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(clock.file("right"), "").unwrap();
        clock
    }

    /// It is 20 s ahead from now on.
    pub(crate) fn steps_ahead(&self) {
        std::fs::remove_file(self.file("right")).unwrap();
    }

    /// A program that runs the server with this clock.
    pub(crate) fn program(&self) -> String {
        let (source, library) = (self.file("ahead.c"), self.file("ahead.so"));
        std::fs::write(&source, AHEAD).unwrap();
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg(format!("-DRIGHT=\"{}\"", self.file("right").display()))
            .status()
            .unwrap_or_else(|error| panic!("cc: {error} (apt-get install build-essential)"));
        assert!(compiled.success());
        let path = self.file("redis-server");
        let script = format!(
            "#!/bin/sh\nLD_PRELOAD='{}' exec redis-server \"$@\"\n",
            library.display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
