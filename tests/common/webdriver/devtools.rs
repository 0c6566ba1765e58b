//! What only the developer tools of Chromium can set.

use serde_json::json;
use thirtyfour::WebDriver;

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
