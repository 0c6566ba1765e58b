//! Settings from the environment.

use std::{
    env, fmt, future::ready, net::SocketAddr, ops::RangeInclusive, pin::Pin, time::Duration,
};

use argon2::Params;
use tower_user_sessions::{
    Client, ClientClass, Device, DeviceKind, GeoIp, Lifetime, Limit, MemoryStore, SessionCookie,
    store::SharedStore,
};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{file, postgres, redis};

const BROWSER: ClientClass = ClientClass::new(1);
const PHONE: ClientClass = ClientClass::new(2);
const TOOL: ClientClass = ClientClass::new(3);

pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) limit: Limit,
    pub(crate) lifetime: Lifetime,
    pub(crate) look_every: Duration,
    pub(crate) cookie: SessionCookie,
    /// The memory that a password check takes.
    pub(crate) password_kib: u32,
    pub(crate) geo: Option<GeoIp>,
    pub(crate) log: Targets,
}

/// Where sessions live.
pub(crate) struct Sessions {
    pub(crate) store: SharedStore,
    /// Logs what is wrong with its server, when the app starts.
    pub(crate) check: Work<()>,
    /// Ends sign-ins that were given up, after the last request. Says how many are left.
    pub(crate) drain: Work<usize>,
}

pub(crate) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Sessions {
    /// In a store that has nothing to check and nothing to drain.
    pub(crate) fn of(store: impl Into<SharedStore>) -> Self {
        Self {
            store: store.into(),
            check: Box::pin(ready(())),
            drain: Box::pin(ready(0)),
        }
    }
}

/// A setting that cannot be used. The text says which, and what it should be.
#[derive(Debug)]
pub(crate) struct BadSetting(String);

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Settings {
    pub(crate) async fn from_env() -> Result<(Self, Sessions), BadSetting> {
        let settings = Self {
            listen: listen()?,
            limit: limit()?,
            lifetime: lifetime()?,
            look_every: look_every()?,
            cookie: cookie()?,
            password_kib: password_kib()?,
            geo: geo()?,
            log: log()?,
        };
        Ok((settings, sessions().await?))
    }
}

fn listen() -> Result<SocketAddr, BadSetting> {
    let text = var("LISTEN")?.unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let Ok(address) = text.parse() else {
        let wanted = "an address and port such as 127.0.0.1:3000";
        return Err(bad("LISTEN", wanted, &text));
    };
    Ok(address)
}

async fn sessions() -> Result<Sessions, BadSetting> {
    let bad = BadSetting;
    let (postgres, redis) = (var("DATABASE_URL")?, var("REDIS_URL")?);
    match (postgres, redis, var("SESSIONS_FILE")?) {
        (None, None, None) => Ok(Sessions::of(MemoryStore::new())),
        (Some(url), None, None) => postgres::store(&url).await.map_err(bad),
        (None, Some(urls), None) => redis::store(&urls).map_err(bad),
        (None, None, Some(path)) => file::store(&path).map(Sessions::of).map_err(bad),
        _ => Err(bad(
            "several of DATABASE_URL, REDIS_URL and SESSIONS_FILE are set: sessions live in one of \
             them, so unset the others"
                .to_owned(),
        )),
    }
}

fn limit() -> Result<Limit, BadSetting> {
    let sessions = number("MAX_SESSIONS", 1..=u64::from(Limit::MAX))?.unwrap_or(3);
    let mut limit = Limit::at_most(u16::try_from(sessions).unwrap_or(Limit::MAX));
    for (name, class) in [
        ("MAX_BROWSERS", BROWSER),
        ("MAX_PHONES", PHONE),
        ("MAX_TOOLS", TOOL),
    ] {
        if let Some(most) = number(name, 1..=u64::from(Limit::MAX))? {
            limit = limit.of_class(class, u16::try_from(most).unwrap_or(Limit::MAX));
        }
    }
    match var("EXCESS")?.as_deref() {
        None | Some("evict") => Ok(limit),
        Some("refuse") => Ok(limit.refuse()),
        Some(other) => Err(bad("EXCESS", "evict or refuse", other)),
    }
}

/// The class of a client, for limits of its own.
pub(crate) fn class_of(client: &Client) -> ClientClass {
    match Device::of(client).kind() {
        DeviceKind::Desktop => BROWSER,
        DeviceKind::Mobile | DeviceKind::Tablet => PHONE,
        _ => TOOL,
    }
}

fn lifetime() -> Result<Lifetime, BadSetting> {
    let longest = Lifetime::MAX.as_secs();
    let absolute = number("ABSOLUTE_SECS", 1..=longest)?
        .map_or_else(|| Lifetime::default().absolute(), Duration::from_secs);
    let idle = match number("IDLE_SECS", 1..=longest)?.map(Duration::from_secs) {
        Some(idle) if idle > absolute => {
            return Err(BadSetting(format!(
                "IDLE_SECS ({}) must not be more than ABSOLUTE_SECS ({})",
                idle.as_secs(),
                absolute.as_secs()
            )));
        }
        Some(idle) => idle,
        None => Lifetime::default().idle().min(absolute),
    };
    Ok(Lifetime::new(idle, absolute))
}

fn look_every() -> Result<Duration, BadSetting> {
    let seconds = number("LOOK_EVERY_SECS", 1..=3_600)?;
    Ok(Duration::from_secs(seconds.unwrap_or(60)))
}

fn cookie() -> Result<SessionCookie, BadSetting> {
    match var("COOKIE")?.as_deref() {
        None | Some("secure") => Ok(SessionCookie::default()),
        Some("insecure") => Ok(SessionCookie::danger_insecure()),
        Some(other) => Err(bad("COOKIE", "secure or insecure", other)),
    }
}

fn password_kib() -> Result<u32, BadSetting> {
    let least = u64::from(Params::MIN_M_COST);
    let memory = number("PASSWORD_KIB", least..=1024 * 1024)?;
    Ok(memory
        .and_then(|memory| u32::try_from(memory).ok())
        .unwrap_or(Params::DEFAULT_M_COST))
}

fn geo() -> Result<Option<GeoIp>, BadSetting> {
    let Some(path) = var("GEOIP_DB")? else {
        return Ok(None);
    };
    match GeoIp::open(&path) {
        Ok(geo) => Ok(Some(geo)),
        Err(error) => Err(BadSetting(format!("GEOIP_DB ({path}): {error}"))),
    }
}

fn log() -> Result<Targets, BadSetting> {
    let Some(text) = var("RUST_LOG")? else {
        return Ok(Targets::new().with_default(LevelFilter::INFO));
    };
    text.parse()
        .map_err(|error| BadSetting(format!("RUST_LOG: {error}")))
}

fn number(name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, BadSetting> {
    let Some(text) = var(name)? else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => {
            let wanted = format!("a whole number from {} to {}", range.start(), range.end());
            Err(bad(name, &wanted, &text))
        }
    }
}

/// An empty variable counts as not set.
fn var(name: &str) -> Result<Option<String>, BadSetting> {
    match env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(BadSetting(format!("{name} is not Unicode"))),
    }
}

fn bad(name: &str, wanted: &str, text: &str) -> BadSetting {
    BadSetting(format!("{name} must be {wanted}, not {text:?}"))
}
