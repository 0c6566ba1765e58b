//! The settings of a layer that its sessions follow.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Once},
    time::Duration,
};

use super::{
    audit::Audit, client_change::OnClientChanged, live::Registry, not_before::NotBefore,
    offered::Offered, outage::Outage,
};
use crate::{
    model::{Client, ClientClass, Hidden, Lifetime, Limit, Realm, Token, UserId},
    store::{Resolve, SharedStore},
};

#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) store: SharedStore,
    pub(crate) realm: Realm,
    pub(crate) lifetime: Lifetime,
    /// Activity is written at most once in each of these.
    pub(crate) activity_every: Duration,
    /// Whether cookies stay when the browser closes.
    pub(crate) persistent: bool,
    pub(crate) limit: LimitOf,
    pub(crate) class: ClassOf,
    pub(crate) data_limit: usize,
    pub(crate) guests: Guests,
    pub(crate) not_before: NotBefore,
    pub(crate) rotation: RotationRules,
    /// Which bearer clients were offered a new token a moment ago.
    pub(crate) offered: Offered,
    /// The log has said that tokens rotate and that no addresses are known.
    pub(crate) no_addresses: Arc<Once>,
    /// How long the devices of a user are remembered, if the layer remembers devices.
    pub(crate) devices: Option<Duration>,
    pub(crate) on_client_changed: Option<OnClientChanged>,
    pub(crate) audit: Audit,
    pub(crate) outage: Arc<Outage>,
    /// The open streams.
    pub(crate) live: Arc<Registry>,
}

impl Rules {
    /// The most bytes that a guest session may keep. A sign-in may carry all of it over.
    pub(crate) fn guest_data_limit(&self) -> usize {
        self.guests.data_limit.min(self.data_limit)
    }

    /// The defaults.
    pub(crate) fn new(store: SharedStore) -> Self {
        Self {
            live: Registry::new(&store),
            store,
            realm: Realm::NONE,
            lifetime: Lifetime::default(),
            activity_every: Duration::ZERO,
            persistent: true,
            limit: LimitOf::All(Limit::default()),
            class: ClassOf::default(),
            data_limit: 64 * 1024,
            guests: Guests {
                allowed: true,
                idle: Lifetime::default().idle(),
                data_limit: 4 * 1024,
            },
            not_before: NotBefore::new(None),
            rotation: RotationRules {
                after: None,
                grace: Duration::from_secs(120),
                reuse_ends: true,
            },
            offered: Offered::default(),
            no_addresses: Arc::new(Once::new()),
            devices: None,
            on_client_changed: None,
            audit: Audit::default(),
            outage: Arc::default(),
        }
    }

    /// Asks the store for the session of a token.
    #[inline]
    pub(crate) fn resolve(&self, token: Token, activity: bool) -> Resolve {
        Resolve {
            activity,
            activity_every: self.activity_every,
            not_before: self.not_before.get(),
            ..Resolve::within(token, self.realm)
        }
    }

    /// The lifetime as it is stored.
    pub(super) fn stored(&self, lifetime: Lifetime) -> Lifetime {
        lifetime.with_activity_every(self.activity_every)
    }
}

/// What guest sessions may keep: they cost memory before a user has signed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guests {
    pub(crate) allowed: bool,
    pub(crate) idle: Duration,
    pub(crate) data_limit: usize,
}

/// When tokens rotate, and what happens to previous ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RotationRules {
    /// The age at which a token rotates by itself.
    pub(crate) after: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) reuse_ends: bool,
}

type Asked = Pin<Box<dyn Future<Output = Limit> + Send>>;

/// How many sessions a user may have.
#[derive(Clone, Debug)]
pub(crate) enum LimitOf {
    All(Limit),
    Each(Hidden<dyn Fn(&UserId) -> Limit + Send + Sync>),
    Asked(Hidden<dyn Fn(UserId) -> Asked + Send + Sync>),
}

impl LimitOf {
    pub(crate) async fn user(&self, user: &UserId) -> Limit {
        match self {
            Self::All(limit) => *limit,
            Self::Each(limit) => limit(user),
            Self::Asked(limit) => limit(user.clone()).await,
        }
    }
}

/// Which class a client belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClassOf(Option<Hidden<dyn Fn(&Client) -> ClientClass + Send + Sync>>);

impl ClassOf {
    pub(crate) fn new(class: impl Fn(&Client) -> ClientClass + Send + Sync + 'static) -> Self {
        Self(Some(Hidden(Arc::new(class))))
    }

    pub(crate) fn client(&self, client: &Client) -> ClientClass {
        self.0
            .as_ref()
            .map(|class| class(client))
            .unwrap_or_default()
    }
}
