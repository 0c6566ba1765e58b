//! A real browser: headless Chromium, driven through chromedriver.

use std::{
    fs,
    future::Future,
    io::{BufRead, BufReader},
    panic,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;
use thirtyfour::{
    ChromeCapabilities, ChromiumLikeCapabilities, DesiredCapabilities, WebDriver,
    error::WebDriverResult,
};

/// A chromedriver on a free port, stopped by its process id when this is dropped.
struct Driver {
    child: Child,
    port: u16,
    /// Where the profile is if the test has none.
    files: TempDir,
}

impl Driver {
    fn start() -> Self {
        let mut said = Vec::new();
        // It looks for a port on IPv4, and ends if another program has the same one on IPv6.
        for _ in 0..5 {
            match Self::try_start() {
                Ok(driver) => return driver,
                Err(lines) => said.extend(lines),
            }
        }
        panic!("chromedriver says no port: {said:?}");
    }

    /// What it says, if it ends.
    fn try_start() -> Result<Self, Vec<String>> {
        let files = TempDir::new().unwrap();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", files.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("chromedriver: {error} (apt-get install chromium chromium-driver)")
            });
        let stdout = child.stdout.take().unwrap();
        let mut driver = Self {
            child,
            port: 0,
            files,
        };
        let mut said = Vec::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let port = line.split_once("started successfully on port ");
            if let Some(port) = port.and_then(|(_, port)| port.trim_end_matches('.').parse().ok()) {
                driver.port = port;
                return Ok(driver);
            }
            said.push(line);
        }
        Err(said)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Chromium without windows: the same engine, network and cookies, for a third of the CPU. It does not prefetch what a
/// page's rules ask for.
const SHELL: &str = "/usr/lib/chromium/chromium-headless-shell";

/// Runs this in a new browser without windows, which is closed afterwards in any case.
pub async fn browse<F, Fut>(visit: F)
where
    F: FnOnce(WebDriver) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    if !Path::new(SHELL).exists() {
        return browse_whole(visit).await;
    }
    let mut chrome = DesiredCapabilities::chrome();
    chrome.set_binary(SHELL).unwrap();
    let ((), quit) = run(chrome, visit).await;
    quit.unwrap();
}

/// Runs this in a new browser as users have it, which is closed afterwards in any case.
pub async fn browse_whole<F, Fut>(visit: F)
where
    F: FnOnce(WebDriver) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let profile = TempDir::new().unwrap();
    browse_with(profile.path(), visit).await;
}

/// Runs this in a browser with this profile, which is closed afterwards in any case.
pub async fn browse_with<F, Fut, T>(profile: &Path, visit: F) -> T
where
    F: FnOnce(WebDriver) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut chrome = DesiredCapabilities::chrome();
    let profile_switch = format!("--user-data-dir={}", profile.display());
    chrome.add_arg(&profile_switch).unwrap();
    let (visited, quit) = run(chrome, visit).await;
    // A browser that the test killed cannot quit.
    assert!(quit.is_ok() || processes(profile).is_empty(), "{quit:?}");
    visited
}

/// Also returns whether the browser could quit.
async fn run<F, Fut, T>(mut chrome: ChromeCapabilities, visit: F) -> (T, WebDriverResult<()>)
where
    F: FnOnce(WebDriver) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let driver = Driver::start();
    for switch in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--no-proxy-server",
    ] {
        chrome.add_arg(switch).unwrap();
    }
    let url = format!("http://127.0.0.1:{}", driver.port);
    let browser = WebDriver::new(url, chrome).await.unwrap();

    let visited = tokio::spawn(visit(browser.clone())).await;

    let quit = browser.quit().await;
    match visited {
        Ok(found) => (found, quit),
        Err(failed) => panic::resume_unwind(failed.into_panic()),
    }
}

/// Kills the browser with this profile and all its processes, as a crash of the machine would.
pub fn kill(profile: &Path) {
    let all = processes(profile);
    assert!(
        !all.is_empty(),
        "no browser runs with {}",
        profile.display()
    );
    let killed = Command::new("kill").arg("-KILL").args(&all).status();
    assert!(killed.unwrap().success());
    while !processes(profile).is_empty() {
        thread::sleep(Duration::from_millis(10));
    }
}

/// The ids of the processes of the browser with this profile: the first one, and those that it began.
fn processes(profile: &Path) -> Vec<String> {
    let profile = profile.to_str().unwrap();
    let mut parents = Vec::new();
    let mut found: Vec<String> = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let id = entry.file_name().into_string().unwrap();
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        let Some(parent) = status.lines().find_map(|line| line.strip_prefix("PPid:")) else {
            continue;
        };
        // A zombie has no command line.
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if line.contains(profile) {
            found.push(id.clone());
        }
        parents.push((id, parent.trim().to_owned(), line.is_empty()));
    }
    let mut at = 0;
    while let Some(parent) = found.get(at).cloned() {
        for (id, of, gone) in &parents {
            if *of == parent && !gone && !found.contains(id) {
                found.push(id.clone());
            }
        }
        at += 1;
    }
    found
}

/// The inner size of the window, and the number of device pixels per CSS pixel.
pub async fn resize(browser: &WebDriver, width: u32, height: u32, scale: f64) {
    let metrics = json!({
        "width": width,
        "height": height,
        "deviceScaleFactor": scale,
        "mobile": width < 500,
    });
    send(browser, "Emulation.setDeviceMetricsOverride", metrics).await;
}

/// The light or dark theme, as set in the user's system.
pub async fn prefer(browser: &WebDriver, scheme: &str) {
    let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
    let media = json!({ "features": features });
    send(browser, "Emulation.setEmulatedMedia", media).await;
}

/// Makes servers see Chrome on Windows, by client hints and user agent.
pub async fn pose_as_chrome_on_windows(browser: &WebDriver) {
    let brands = json!([
        { "brand": "Chromium", "version": "142" },
        { "brand": "Google Chrome", "version": "142" },
        { "brand": "Not_A Brand", "version": "99" },
    ]);
    let identity = json!({
        "userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
                      Gecko) Chrome/142.0.0.0 Safari/537.36",
        "userAgentMetadata": {
            "brands": brands,
            "platform": "Windows",
            "platformVersion": "15.0.0",
            "architecture": "x86",
            "model": "",
            "mobile": false,
        },
    });
    send(browser, "Emulation.setUserAgentOverride", identity).await;
}

/// Turns JavaScript off.
pub async fn without_javascript(browser: &WebDriver) {
    let off = json!({ "value": true });
    send(browser, "Emulation.setScriptExecutionDisabled", off).await;
}

async fn send(browser: &WebDriver, command: &str, parameters: serde_json::Value) {
    browser.cdp().send_raw(command, parameters).await.unwrap();
}
