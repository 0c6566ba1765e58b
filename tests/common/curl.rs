//! The real `curl`, with a cookie jar and a user agent. For cookies it acts as a browser.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;
use tempfile::NamedTempFile;

use super::app::App;

pub struct Curl {
    jar: NamedTempFile,
    agent: String,
}

/// A response that goes on, and the curl that receives it. It stops when this is dropped.
pub struct Stream {
    curl: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What curl received.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The status line and the headers, names in lower case.
    pub head: String,
    pub body: String,
}

impl Curl {
    /// A client with an empty jar.
    pub fn with_agent(agent: &str) -> Self {
        Self {
            jar: NamedTempFile::new().unwrap(),
            agent: agent.to_owned(),
        }
    }

    /// A client that is signed in as this user.
    pub fn signed_in(app: &App, user: &str, agent: &str) -> Self {
        let curl = Self::with_agent(agent);
        let answer = curl.log_in(app, user);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, r#"{"success":true}"#)
        );
        curl
    }

    pub fn log_in(&self, app: &App, user: &str) -> Answer {
        let form = format!("username={user}&password=demo");
        self.run(&["-d", &form], &app.url("/login"))
    }

    pub fn get(&self, app: &App, path: &str) -> Answer {
        self.run(&[], &app.url(path))
    }

    pub fn post(&self, app: &App, path: &str) -> Answer {
        self.run(&["-X", "POST"], &app.url(path))
    }

    /// Changes the password of the example, which is `demo`.
    pub fn change_password(&self, app: &App) -> Answer {
        self.run(&["-d", "password=demo"], &app.url("/password"))
    }

    pub fn delete(&self, app: &App, path: &str) -> Answer {
        self.run(&["-X", "DELETE"], &app.url(path))
    }

    /// Runs curl with these extra arguments.
    pub fn run(&self, arguments: &[&str], url: &str) -> Answer {
        let output = self
            .command()
            .args(["-i", "--max-time", "60"])
            .args(arguments)
            .arg(url)
            .output()
            .unwrap_or_else(|error| panic!("curl: {error} (apt-get install curl)"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "curl {url}: {errors}");
        Answer::parse(&String::from_utf8(output.stdout).unwrap())
    }

    /// Opens a response that goes on, and returns when its head has arrived. It ends after 40 s at the latest.
    pub fn opens(&self, app: &App, path: &str) -> Stream {
        let mut curl = self
            .command()
            // With `-i` curl would keep the head until the body begins.
            .args(["--dump-header", "-", "--no-buffer", "--max-time", "40"])
            .arg(app.url(path))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("curl: {error} (apt-get install curl)"));
        let lines = BufReader::new(curl.stdout.take().unwrap()).lines();
        let mut stream = Stream { curl, lines };
        assert_eq!(stream.line("HTTP/1.1 "), "200 OK");
        stream
    }

    fn command(&self) -> Command {
        let (jar, mut curl) = (self.jar.path(), Command::new("curl"));
        curl.args(["-q", "-sS", "--noproxy", "*"])
            .args(["-A", &self.agent])
            .arg("-b")
            .arg(jar)
            .arg("-c")
            .arg(jar);
        curl
    }

    /// The token in the signed-in cookie.
    pub fn token(&self) -> Option<String> {
        self.kept("\t__Host-session\t")
    }

    /// The token in the guest cookie.
    pub fn guest_token(&self) -> Option<String> {
        self.kept("\t__Host-session-guest\t")
    }

    fn kept(&self, name: &str) -> Option<String> {
        let jar = fs::read_to_string(self.jar.path()).unwrap();
        jar.lines()
            .filter_map(|line| line.split_once(name))
            .map(|(_, token)| token.to_owned())
            .next()
    }

    /// The id of the client's own session.
    pub fn session(&self, app: &App) -> String {
        let me = self.get(app, "/me").json();
        me["session"].as_str().unwrap().to_owned()
    }

    /// Whether the client is signed in.
    pub fn is_in(&self, app: &App) -> bool {
        match self.get(app, "/me").status {
            200 => true,
            401 => false,
            other => panic!("/me answered {other}"),
        }
    }
}

impl Stream {
    /// Waits for the next line that begins so, and returns the rest of it.
    pub fn line(&mut self, beginning: &str) -> String {
        let mut seen = Vec::new();
        for line in self.lines.by_ref().map(Result::unwrap) {
            match line.strip_prefix(beginning) {
                Some(rest) => return rest.to_owned(),
                None => seen.push(line),
            }
        }
        panic!("no {beginning:?} in {seen:#?}");
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let head = head
            .lines()
            .map(|line| match line.split_once(": ") {
                Some((name, value)) => format!("{}: {value}\n", name.to_ascii_lowercase()),
                None => format!("{line}\n"),
            })
            .collect();
        Self {
            status,
            head,
            body: body.to_owned(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The `reason` of a response that must be a problem.
    pub fn reason(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        self.json()["reason"].as_str().unwrap().to_owned()
    }
}
