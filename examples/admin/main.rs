//! For administrators: who is signed in, and the end of one user's sessions or of all.
//!
//! ```text
//! example-admin list                  every user with live sessions
//! example-admin end USER              ends the sessions of one user
//! example-admin end-all --dry-run     says how many sessions would end
//! example-admin end-all               ends all sessions of all users
//! ```
//!
//! `REDIS_URL` names the Redis of the app: `redis://localhost` by default. `SESSIONS_PREFIX` is its prefix if it is another
//! one than `sessions`, and `TAG_KEY` its `tag_key` if it has one. With the wrong ones nobody is found and nothing ends.

use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use tower_user_sessions::{
    Everyone, RedisStore, SessionInfo, UserId, UserOnPage, UserSessions,
    store::{RedisLive, RedisSource, TagKey},
};

const USAGE: &str = "usage: example-admin list | end USER | end-all [--dry-run]";

/// What the program is asked to do.
enum Command {
    List,
    End(UserId),
    EndAll { dry_run: bool },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(command) = Command::parse(env::args().skip(1)) else {
        let _ = writeln!(io::stderr(), "{USAGE}");
        return ExitCode::from(2);
    };
    match run(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}{}", causes(&*error));
            ExitCode::FAILURE
        }
    }
}

impl Command {
    fn parse(arguments: impl Iterator<Item = String>) -> Option<Self> {
        let arguments: Vec<String> = arguments.collect();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Some(match words[..] {
            ["list"] => Self::List,
            ["end", user] => Self::End(UserId::new(user).ok()?),
            ["end-all"] => Self::EndAll { dry_run: false },
            ["end-all", "--dry-run"] => Self::EndAll { dry_run: true },
            _ => return None,
        })
    }
}

/// The store of the app.
fn store() -> Result<RedisStore, Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://localhost".to_owned());
    // It reports what it ends, so that open streams of the app end at once.
    let mut builder = RedisStore::builder(RedisSource::url(&url)?).live(RedisLive::ends());
    if let Ok(prefix) = env::var("SESSIONS_PREFIX") {
        builder = builder.prefix(&prefix);
    }
    if let Ok(key) = env::var("TAG_KEY") {
        builder = builder.tag_key(TagKey::new(key)?);
    }
    Ok(builder.build())
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let store = store()?;
    let mut out = io::stdout().lock();
    match command {
        Command::List => {
            each_user(&store, |on_page| {
                // A user id may have any characters.
                writeln!(out, "{}", on_page.user.as_str().escape_debug())?;
                on_page
                    .sessions
                    .iter()
                    .try_for_each(|info| writeln!(out, "    {}", described(info)))
            })
            .await?;
        }
        Command::End(user) => {
            let ended = UserSessions::new(store, user).end_all().await?;
            writeln!(out, "{ended} sessions ended")?;
        }
        Command::EndAll { dry_run: true } => {
            let (mut users, mut sessions) = (0, 0);
            each_user(&store, |on_page| {
                users += 1;
                sessions += on_page.sessions.len();
                Ok(())
            })
            .await?;
            writeln!(out, "{sessions} sessions of {users} users would end")?;
        }
        Command::EndAll { dry_run: false } => {
            let before = Everyone::new(store).end_all().await?;
            writeln!(out, "all sessions from before {before} ended")?;
            writeln!(out, "each server of the app knows within 5 seconds")?;
        }
    }
    Ok(())
}

/// Reads all users, page by page. A user may come more than once.
async fn each_user(
    store: &RedisStore,
    mut each: impl FnMut(&UserOnPage) -> io::Result<()>,
) -> Result<(), Box<dyn Error>> {
    let everyone = Everyone::new(store.clone());
    let mut cursor = None;
    loop {
        let page = everyone.page(cursor.as_deref()).await?;
        page.users.iter().try_for_each(&mut each)?;
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn described(info: &SessionInfo) -> String {
    let address = info
        .last_address()
        .map_or_else(|| "unknown address".to_owned(), |it| it.to_string());
    let (device, active) = (info.device().label(), info.last_activity());
    format!("{}  {device}  {address}  last active {active}", info.id())
}

/// Why, as far as it is known.
fn causes(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
