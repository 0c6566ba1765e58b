//! An example as a child process.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use tempfile::NamedTempFile;

use super::EXAMPLE;

/// How often a state is polled, 20 ms apart, before the test fails.
pub const TRIES: u32 = 1_000;

/// How often an example that was asked to stop is polled, 5 ms apart, before it is killed.
const PATIENCE_AT_THE_END: u32 = 400;

/// A running example, stopped by its process id when this is dropped.
pub struct App {
    child: Child,
    log: NamedTempFile,
    port: u16,
}

/// An example that has exited.
pub struct Finished {
    pub status: ExitStatus,
    pub stderr: String,
}

impl App {
    /// Starts it on a free port of this machine, with only these settings.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(EXAMPLE), settings)
    }

    /// Like [`start`](Self::start), with a wall clock that is off by this: `+1d` or `-1d`.
    pub fn start_with_clock(off: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(EXAMPLE);
        command.envs(faketime(off));
        Self::spawn(command, settings)
    }

    fn spawn(mut command: Command, settings: &[(&str, &str)]) -> Self {
        let log = NamedTempFile::new().unwrap();
        set(&mut command, settings)
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut app = Self {
            child,
            log,
            port: 0,
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        app.port = line
            .trim_end()
            .strip_prefix("listening on http://localhost:")
            .and_then(|port| port.parse().ok())
            .unwrap_or_default();
        assert!(app.port != 0, "no address but {line:?}: {}", app.log());
        app
    }

    /// Starts it with settings that it is expected to refuse.
    pub fn refused(settings: &[(&str, &str)]) -> Finished {
        let log = NamedTempFile::new().unwrap();
        let mut command = Command::new(EXAMPLE);
        set(&mut command, settings)
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap());
        let app = Self {
            child: command.spawn().unwrap(),
            log,
            port: 0,
        };
        app.finished()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// All that it wrote to stderr so far.
    pub fn log(&self) -> String {
        let mut text = Vec::new();
        let mut file = File::open(self.log.path()).unwrap();
        std::io::Read::read_to_end(&mut file, &mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Sends a signal and waits until the example exits.
    pub fn stopped_by(self, name: &str) -> Finished {
        assert!(signal(name, self.child.id()));
        self.finished()
    }

    fn finished(mut self) -> Finished {
        for _ in 0..TRIES {
            if let Some(status) = self.child.try_wait().unwrap() {
                let stderr = self.log();
                return Finished { status, stderr };
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it goes on running: {}", self.log());
    }
}

impl Drop for App {
    /// Asks first, because libfaketime leaves shared memory behind in a killed process.
    fn drop(&mut self) {
        let running = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        if running(&mut self.child) && signal("TERM", self.child.id()) {
            for _ in 0..PATIENCE_AT_THE_END {
                if !running(&mut self.child) {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to this one process. Returns whether that worked.
fn signal(name: &str, process: u32) -> bool {
    let kill = format!("kill -{name} {process}");
    let status = Command::new("sh").args(["-c", &kill]).status();
    status.is_ok_and(|status| status.success())
}

fn set<'a>(command: &'a mut Command, settings: &[(&str, &str)]) -> &'a mut Command {
    for name in [
        "DATABASE_URL",
        "REDIS_URL",
        "SESSIONS_FILE",
        "MAX_SESSIONS",
        "MAX_BROWSERS",
        "MAX_PHONES",
        "MAX_TOOLS",
        "EXCESS",
        "IDLE_SECS",
        "ABSOLUTE_SECS",
        "LOOK_EVERY_SECS",
        "COOKIE",
        "GEOIP_DB",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command
        .env("LISTEN", "127.0.0.1:0")
        .env("NO_COLOR", "1")
        // What a check costs is not what the tests are about.
        .env("PASSWORD_KIB", "256")
        .envs(settings.iter().copied())
}

/// What `faketime --exclude-monotonic -f +1d` sets for its child. The tests do not start `faketime`
/// itself: if it were killed, its child would go on running.
fn faketime(off: &str) -> Vec<(String, String)> {
    let output = Command::new("faketime")
        .args(["--exclude-monotonic", "-f", off, "env"])
        .output()
        .unwrap_or_else(|error| panic!("faketime: {error} (apt-get install faketime)"));
    let environment = String::from_utf8(output.stdout).unwrap();
    environment
        .lines()
        .filter_map(|line| line.split_once('='))
        // Shared memory of the `faketime` program, which has exited.
        .filter(|(name, _)| *name != "FAKETIME_SHARED")
        .filter(|(name, _)| *name == "LD_PRELOAD" || name.contains("FAKE"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
