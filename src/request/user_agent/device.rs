//! [`Device`]: browser, operating system and kind of a client.

use super::{
    agent::Agent,
    bot,
    brand::{self, Brand},
    browser,
    dataset::{self, Entry},
    in_app,
    kind::DeviceKind,
    named::Named,
    platform::Platform,
    program, tool,
};
use crate::{
    model::{Client, Hints},
    request::NAMED,
};

/// Browser, operating system and kind of a client, by which users recognize their device.
///
/// Read from the client hints, and from the user agent if there are none. The client can send anything:
/// show it in lists, but decide nothing by it.
///
/// ```
/// use tower_user_sessions::{Client, Device, DeviceKind};
///
/// let client = Client::new().with_user_agent(Some(
///     b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
///       Chrome/142.0.0.0 Safari/537.36",
/// ));
///
/// let device = Device::of(&client);
///
/// assert_eq!(device.label(), "Chrome 142 on Windows");
/// assert_eq!(device.kind(), DeviceKind::Desktop);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    named: Option<Named>,
    platform: Option<Platform>,
    kind: DeviceKind,
}

impl Device {
    /// Reads it from what the client sent at its sign-in.
    #[must_use]
    pub fn of(client: &Client) -> Self {
        let agent = &Agent::new(client.user_agent().unwrap_or_default());
        let hints = client.hints();
        let hinted = hints.and_then(|hints| Platform::hinted(hints, agent));
        let platform = hinted.or_else(|| Platform::of(agent));
        let brand = hints.and_then(Hints::brands).and_then(brand::find);
        let (named, kind) = identify(agent, brand, platform);
        Self {
            named,
            platform,
            kind,
        }
    }

    /// Returns one line for lists: "Chrome 142 on Windows", "Safari on iPhone", "curl 8.5", "Googlebot".
    ///
    /// A program that is in no list has the name that it sends: `acme-backup/2.1.7` is "acme-backup 2.1". Of an unknown
    /// browser there is only the system: "Windows". If nothing is known, it is "Unknown device".
    ///
    /// It has no control characters and none that change the direction of the text. It may have
    /// characters such as `<`: escape it in HTML.
    #[must_use]
    pub fn label(&self) -> String {
        self.label_as(NAMED)
            .unwrap_or_else(|| "Unknown device".to_owned())
    }

    /// Returns the [`label`](Self::label) in another language, or `None` if nothing is known.
    ///
    /// In the text `{browser}` is replaced by "Chrome 142", and `{system}` by "Windows". Where only one of them is known, or
    /// counts, it is the whole label.
    ///
    /// ```
    /// # use tower_user_sessions::{Client, Device};
    /// # let client = Client::new().with_user_agent(Some(
    /// #     b"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    /// # ));
    /// let label = Device::of(&client).label_as("{browser} sous {system}");
    /// assert_eq!(label.as_deref(), Some("Firefox 145 sous Windows"));
    /// ```
    #[must_use]
    pub fn label_as(&self, text: &str) -> Option<String> {
        let name = self.named.as_ref().map(|named| match self.shown_version() {
            Some(version) => format!("{} {version}", named.name),
            None => named.name.clone().into_owned(),
        });
        let on = self.platform.map(|platform| platform.on);
        match (name, on) {
            // The name last: the client chose it, and may have put a placeholder into it.
            (Some(name), Some(on)) if self.is_on_something() => {
                Some(text.replace("{system}", on).replace("{browser}", &name))
            }
            (Some(name), _) => Some(name),
            (None, on) => on.map(str::to_owned),
        }
    }

    /// Returns the browser, app, bot or tool: "Chrome", "Instagram", "Googlebot", "curl".
    #[must_use]
    pub fn browser(&self) -> Option<&str> {
        self.named.as_ref().map(|named| &*named.name)
    }

    /// Returns the version of that, without zeros at the end: "142", "8.5".
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.named.as_ref()?.version.as_deref()
    }

    /// Returns the operating system: "Windows", "iOS".
    #[must_use]
    pub fn os(&self) -> Option<&str> {
        self.platform.map(|platform| platform.os)
    }

    /// Returns the kind of device.
    #[must_use]
    pub fn kind(&self) -> DeviceKind {
        self.kind
    }

    /// Users know the version of a tool and of a computer's browser, but of a phone only its make.
    fn shown_version(&self) -> Option<&str> {
        let parts = match self.kind {
            DeviceKind::Desktop => 1,
            DeviceKind::Tool => 2,
            DeviceKind::Bot | DeviceKind::Mobile | DeviceKind::Other | DeviceKind::Tablet => {
                return None;
            }
        };
        let version = self.version()?;
        let end = version.match_indices('.').nth(parts - 1);
        let shorter = end.map_or(Some(version), |(at, _)| version.get(..at))?;
        Some(shorter.strip_suffix(".0").unwrap_or(shorter))
    }

    /// Bots and tools are the same wherever they run.
    fn is_on_something(&self) -> bool {
        !matches!(self.kind, DeviceKind::Bot | DeviceKind::Tool)
    }
}

fn is_safari(named: Option<&Named>) -> bool {
    named.is_some_and(|named| named.name == "Safari")
}

/// What runs on the platform, and the kind of device that it makes.
fn identify(
    agent: &Agent<'_>,
    brand: Option<Brand>,
    platform: Option<Platform>,
) -> (Option<Named>, DeviceKind) {
    let kind = platform.map_or(DeviceKind::Other, |platform| platform.kind);
    // The name of a program counts more than the browser that it drives.
    if let Some(bot) = bot::find(agent) {
        return (Some(bot), DeviceKind::Bot);
    }
    if let Some(tool) = tool::find(agent) {
        return (Some(tool), DeviceKind::Tool);
    }
    let (browser, engine) = match brand {
        Some(Brand::Headless(named)) => return (Some(named), DeviceKind::Bot),
        Some(Brand::Browser(named)) => (Some(named), None),
        Some(Brand::Engine(named)) => (None, Some(named)),
        None => (None, None),
    };
    let named = browser
        .or_else(|| in_app::find(agent))
        .or_else(|| browser::find(agent))
        .or_else(|| in_app::view(agent))
        .or(engine);
    if named.is_some() {
        return (named, kind);
    }
    if let Some(program) = program::find(agent) {
        return match kind {
            DeviceKind::Mobile | DeviceKind::Tablet => (Some(program), kind),
            _ => (Some(program), DeviceKind::Tool),
        };
    }
    match dataset::look_up(agent.text()) {
        Some(Entry { named, kind: own }) => match own {
            DeviceKind::Bot | DeviceKind::Tool => (named, own),
            // There is no Safari for Linux. GNOME Web and others send its name, and a version of the engine.
            _ if is_safari(named.as_ref()) && platform.is_some_and(|on| on.os == "Linux") => {
                (Some(Named::known("WebKit", None)), kind)
            }
            _ => (named, platform.map_or(own, |platform| platform.kind)),
        },
        None => (None, kind),
    }
}
