//! The program that drives a browser.

use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::engine::Engine;

/// A driver on a free port, stopped by its process id when this is dropped.
pub(super) struct Driver {
    child: Child,
    port: u16,
    /// Where the profile is if the test has none.
    files: TempDir,
}

impl Driver {
    pub(super) fn start(engine: Engine) -> Self {
        let mut said = Vec::new();
        // Another program may take the port first. Chromedriver looks for one on IPv4, and ends if another program has the same one
        // on IPv6.
        for _ in 0..5 {
            match Self::try_start(engine) {
                Ok(driver) => return driver,
                Err(lines) => said.extend(lines),
            }
        }
        panic!("the driver says no port: {said:?}");
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it says, if it ends.
    fn try_start(engine: Engine) -> Result<Self, Vec<String>> {
        let files = TempDir::new().unwrap();
        let (program, package) = match engine {
            Engine::Chromium => ("chromedriver", "apt-get install chromium chromium-driver"),
            Engine::Firefox => ("geckodriver", "cargo install geckodriver"),
        };
        let port = match engine {
            Engine::Chromium => 0,
            Engine::Firefox => free_port(),
        };
        let mut command = Command::new(program);
        if engine == Engine::Firefox {
            // It keeps things there that no other test should see.
            command.env("HOME", files.path());
        }
        let child = command
            .arg(format!("--port={port}"))
            .env("TMPDIR", files.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error} ({package})"));
        let mut driver = Self { child, port, files };
        if driver.port == 0 {
            driver.port = driver.said_port()?;
        } else {
            driver.wait()?;
        }
        Ok(driver)
    }

    /// The port that chromedriver chose.
    fn said_port(&mut self) -> Result<u16, Vec<String>> {
        let mut said = Vec::new();
        let stdout = self.child.stdout.take().unwrap();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let port = line.split_once("started successfully on port ");
            if let Some(port) = port.and_then(|(_, port)| port.trim_end_matches('.').parse().ok()) {
                return Ok(port);
            }
            said.push(line);
        }
        Err(said)
    }

    /// Until it listens. It says nothing of that.
    fn wait(&mut self) -> Result<(), Vec<String>> {
        let mut stdout = self.child.stdout.take().unwrap();
        thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        for _ in 0..3_000 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            if self.child.try_wait().unwrap().is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(vec![format!("nobody listens on {}", self.port)])
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
