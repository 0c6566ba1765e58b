//! What a user does with the example in a browser.

use std::time::Duration;

use thirtyfour::{By, WebDriver, WebElement, extensions::query::ElementQueryable};

use super::app::App;

/// Signs in on the start page of the example, as a user would.
pub async fn sign_in(browser: &WebDriver, app: &App) {
    sign_in_at(browser, &at(app, "/")).await;
}

/// The same where the example is behind a proxy.
pub async fn sign_in_at(browser: &WebDriver, url: &str) {
    browser.goto(url).await.unwrap();
    for (name, value) in [("username", "alice"), ("password", "demo")] {
        let field = browser.find(By::Name(name)).await.unwrap();
        field.send_keys(value).await.unwrap();
    }
    click(browser, "button").await;
    find(browser, r#"a[href="/devices"]"#).await;
}

pub fn at(app: &App, path: &str) -> String {
    format!("http://localhost:{}{path}", app.port())
}

/// Waits until the element exists.
pub async fn find(browser: &WebDriver, css: &str) -> WebElement {
    let query = browser.query(By::Css(css.to_owned()));
    query
        .wait(Duration::from_secs(30), Duration::from_millis(50))
        .first()
        .await
        .unwrap()
}

pub async fn click(browser: &WebDriver, css: &str) {
    find(browser, css).await.click().await.unwrap();
}
