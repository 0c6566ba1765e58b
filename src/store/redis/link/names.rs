//! Looks the names of servers up, in one look-up at a time per name.
//!
//! The system's look-up blocks a thread, for half a minute if no name server answers. Nothing is cached: a name that
//! changes is followed at the next connect.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use deadpool_redis::redis::{AsyncConnectionConfig, RedisError, RedisFuture, io::AsyncDNSResolver};
use tokio::sync::watch;

use crate::model::clock::Monotonic;

/// How long one attempt to connect waits for a look-up. The next attempt waits for the same one.
const PATIENCE: Duration = Duration::from_millis(800);

/// A look-up that takes longer than this, in ms, may never end: another one is begun.
const ENDLESS: i64 = 60_000;

/// The settings of connections whose names are looked up here.
pub(super) fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_dns_resolver(Names)
}

/// The names that this process looks up.
struct Names;

impl AsyncDNSResolver for Names {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        static ALL: LazyLock<Arc<LookUps>> = LazyLock::new(|| LookUps::new(look_up));
        Box::pin(async move {
            let mut found = match host.parse::<IpAddr>() {
                Ok(address) => vec![SocketAddr::new(address, port)],
                Err(_it_is_a_name) => ALL.find(host).await.map_err(RedisError::from)?,
            };
            found.iter_mut().for_each(|address| address.set_port(port));
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

fn look_up(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.collect())
}

/// Look-ups that have not ended, by name.
struct LookUps {
    running: Mutex<HashMap<Box<str>, LookUp>>,
    look_up: fn(&str) -> io::Result<Vec<SocketAddr>>,
}

/// `None` until it has ended.
type Answer = Option<Result<Vec<SocketAddr>, Arc<io::Error>>>;

struct LookUp {
    began: i64,
    answer: watch::Receiver<Answer>,
}

impl LookUps {
    fn new(look_up: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Arc<Self> {
        Arc::new(Self {
            running: Mutex::default(),
            look_up,
        })
    }

    async fn find(self: &Arc<Self>, host: &str) -> io::Result<Vec<SocketAddr>> {
        let mut answer = self.join(host)?;
        let Ok(ended) = tokio::time::timeout(PATIENCE, answer.wait_for(Option::is_some)).await
        else {
            let cause = "the name of the server was not looked up in time: is there a name server?";
            return Err(io::Error::new(io::ErrorKind::TimedOut, cause));
        };
        match ended.as_deref() {
            Ok(Some(Ok(found))) => Ok(found.clone()),
            Ok(Some(Err(error))) => Err(io::Error::new(error.kind(), Arc::clone(error))),
            Ok(None) | Err(_) => Err(io::Error::other("the look-up of the name stopped")),
        }
    }

    /// The look-up of this name that is under way, or else a new one.
    fn join(self: &Arc<Self>, host: &str) -> io::Result<watch::Receiver<Answer>> {
        let (mut running, now) = (self.running(), Monotonic::now().as_millis());
        if let Some(LookUp { began, answer }) = running.get(host)
            && now.saturating_sub(*began) < ENDLESS
            && answer.has_changed().is_ok()
        {
            return Ok(answer.clone());
        }
        let (sender, answer) = watch::channel(None);
        let (all, name) = (Arc::clone(self), Box::from(host));
        // Not in the runtime, which could not shut down while this hangs.
        thread::Builder::new()
            .name("redis-name".to_owned())
            .spawn(move || {
                let found = (all.look_up)(&name);
                all.end(&name, now);
                sender.send_replace(Some(found.map_err(Arc::new)));
            })?;
        let look_up = LookUp {
            began: now,
            answer: answer.clone(),
        };
        running.insert(host.into(), look_up);
        Ok(answer)
    }

    fn end(&self, host: &str, began: i64) {
        let mut running = self.running();
        if running.get(host).is_some_and(|now| now.began == began) {
            running.remove(host);
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Box<str>, LookUp>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 0))
    }

    /// Asks until the look-up has ended: on a busy machine its thread may be slow, above all to print a panic.
    async fn ended(names: &Arc<LookUps>, host: &str) -> io::Result<Vec<SocketAddr>> {
        loop {
            match names.find(host).await {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                ended => return ended,
            }
        }
    }

    #[tokio::test]
    async fn a_look_up_that_hangs_is_the_only_one_of_its_name_and_hinders_no_other() {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        static HANGS: AtomicBool = AtomicBool::new(true);
        let names = LookUps::new(|host| {
            if host == "hangs" {
                STARTED.fetch_add(1, Ordering::SeqCst);
                while HANGS.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Ok(vec![address(1)])
        });
        let (one, two) = tokio::join!(names.find("hangs"), names.find("hangs"));
        let kinds = [one, two].map(|found| found.unwrap_err().kind());
        assert_eq!(kinds, [io::ErrorKind::TimedOut; 2]);
        assert_eq!(ended(&names, "answers").await.unwrap(), [address(1)]);
        let answers = async { HANGS.store(false, Ordering::SeqCst) };
        let (third, ()) = tokio::join!(ended(&names, "hangs"), answers);

        assert_eq!(third.unwrap(), [address(1)]);
        assert_eq!(STARTED.load(Ordering::SeqCst), 1);
        assert!(names.running().is_empty());
    }

    #[tokio::test]
    async fn a_name_is_looked_up_at_each_connect_and_its_errors_are_not_kept() {
        static LAST: AtomicU16 = AtomicU16::new(0);
        let names =
            LookUps::new(
                |_| match u8::try_from(LAST.fetch_add(1, Ordering::SeqCst)).unwrap() {
                    1 => Err(io::Error::other("no such name")),
                    last => Ok(vec![address(last)]),
                },
            );

        assert_eq!(ended(&names, "redis").await.unwrap(), [address(0)]);
        let error = ended(&names, "redis").await.unwrap_err();
        assert_eq!(error.to_string(), "no such name");
        assert_eq!(ended(&names, "redis").await.unwrap(), [address(2)]);
    }

    #[tokio::test]
    async fn a_look_up_that_panics_is_an_error_and_the_next_one_is_begun() {
        static PANICS: AtomicU32 = AtomicU32::new(1);
        let names = LookUps::new(|_| {
            assert!(PANICS.fetch_and(0, Ordering::SeqCst) == 0, "as planned");
            Ok(vec![address(1)])
        });

        ended(&names, "redis").await.unwrap_err();

        assert_eq!(ended(&names, "redis").await.unwrap(), [address(1)]);
    }
}
