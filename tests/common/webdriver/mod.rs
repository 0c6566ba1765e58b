//! A real browser without windows: Chromium, or Firefox for `scripts/firefox`.

mod devtools;
mod driver;
mod engine;

use std::{fs, future::Future, panic, path::Path, process::Command, thread, time::Duration};

use tempfile::TempDir;
use thirtyfour::{Capabilities, WebDriver, error::WebDriverResult};

pub use self::devtools::{pose_as_chrome_on_windows, prefer, resize, without_javascript};
use self::{driver::Driver, engine::Engine};

/// Runs this in a new browser, which is closed afterwards in any case.
pub async fn browse<F, Fut>(visit: F)
where
    F: FnOnce(WebDriver) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    match engine::shell() {
        Some(shell) => run(shell, visit).await.1.unwrap(),
        None => browse_whole(visit).await,
    }
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
    let (visited, quit) = run(Engine::from_env().capabilities(profile), visit).await;
    // A browser that the test killed cannot quit.
    assert!(quit.is_ok() || processes(profile).is_empty(), "{quit:?}");
    visited
}

/// Also returns whether the browser could quit.
async fn run<F, Fut, T>(browser: Capabilities, visit: F) -> (T, WebDriverResult<()>)
where
    F: FnOnce(WebDriver) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let driver = Driver::start(Engine::from_env());
    let browser = WebDriver::new(driver.url(), browser).await.unwrap();

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
