//! Who may sign in: three demo users.

use std::{collections::HashMap, io, sync::Arc, thread};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{
        PasswordHash, PasswordHashString, PasswordHasher, PasswordVerifier, SaltString,
    },
};
use tokio::{sync::Semaphore, task};
use tower_user_sessions::UserId;

/// The users and the hashes of their passwords. Parameters as OWASP recommends: Argon2id, 2 passes, and
/// 19 MiB if no setting says otherwise.
#[derive(Clone)]
pub(crate) struct Users {
    hashes: Arc<HashMap<UserId, PasswordHashString>>,
    /// Compared with if the name is unknown.
    decoy: PasswordHashString,
    /// A check takes a core and its memory, so there are no more at once than cores.
    checks: Arc<Semaphore>,
}

impl Users {
    /// `alice`, `bob` and `carol`, the password of each is `demo`.
    pub(crate) fn demo(kib: u32) -> io::Result<Self> {
        let mut hashes = HashMap::new();
        for name in ["alice", "bob", "carol"] {
            let user = UserId::new(name).map_err(io::Error::other)?;
            hashes.insert(user, hash("demo", kib)?);
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            hashes: Arc::new(hashes),
            decoy: hash("", kib)?,
            checks: Arc::new(Semaphore::new(cores)),
        })
    }

    /// The user, if this is their password. An unknown name takes the same time, so that names cannot be
    /// guessed from it.
    pub(crate) async fn check(&self, name: &str, password: String) -> Option<UserId> {
        let user = UserId::new(name)
            .ok()
            .filter(|user| self.hashes.contains_key(user));
        let hash = user
            .as_ref()
            .and_then(|user| self.hashes.get(user))
            .unwrap_or(&self.decoy)
            .clone();
        // The check goes on if the client disconnects, so the task holds the permit.
        let permit = Arc::clone(&self.checks).acquire_owned().await.ok()?;
        let right = task::spawn_blocking(move || {
            let _permit = permit;
            is_right(&password, &hash.password_hash())
        });
        if right.await.unwrap_or(false) {
            user
        } else {
            None
        }
    }
}

// The hash says with which parameters it was made.
fn is_right(password: &str, hash: &PasswordHash<'_>) -> bool {
    Argon2::default()
        .verify_password(password.as_bytes(), hash)
        .is_ok()
}

fn hash(password: &str, kib: u32) -> io::Result<PasswordHashString> {
    let params = Params::new(kib, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST, None)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    SaltString::encode_b64(&salt)
        .and_then(|salt| {
            let hash = argon2.hash_password(password.as_bytes(), &salt)?;
            Ok(hash.serialize())
        })
        .map_err(|error| io::Error::other(error.to_string()))
}
