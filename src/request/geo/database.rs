//! [`GeoIp`]: places from a file.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use maxminddb::{LookupResult, Reader, path};

use super::{
    error::GeoIpError,
    place::{Geo, Place},
    reach,
};

type Database = Reader<Vec<u8>>;

/// Looks up places in a `MaxMind` DB file: `GeoLite2`, `GeoIP2` or DB-IP, City or Country.
///
/// The file is kept in memory. Clones share it: give one to [`DeviceApi`](crate::DeviceApi) and keep the
/// other to [`reload`](Self::reload) it. Addresses that are not public have no place, even if the file
/// names one.
///
/// ```no_run
/// use tower_user_sessions::{Geo, GeoIp};
///
/// let geo = GeoIp::open("GeoLite2-City.mmdb")?.language("de");
/// let place = geo.place("2.125.160.216".parse().unwrap());
///
/// // After you replaced the file with a newer one:
/// geo.reload()?;
/// # Ok::<(), tower_user_sessions::GeoIpError>(())
/// ```
#[derive(Clone)]
pub struct GeoIp {
    path: Arc<Path>,
    language: Arc<str>,
    database: Arc<RwLock<Arc<Database>>>,
}

impl GeoIp {
    /// Reads the file into memory.
    ///
    /// This blocks the thread. A city database has some 60 MB.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not a `MaxMind` DB.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, GeoIpError> {
        let path = path.into();
        let database = Reader::open_readfile(&path).map_err(GeoIpError::of)?;
        Ok(Self {
            path: path.into(),
            language: Arc::from("en"),
            database: Arc::new(RwLock::new(Arc::new(database))),
        })
    }

    /// Chooses the language of the names by its code in the file: `de`, `pt-BR`. A name that the file
    /// does not have in this language is English.
    ///
    /// Defaults to `en`.
    #[must_use]
    pub fn language(mut self, code: impl AsRef<str>) -> Self {
        self.language = Arc::from(code.as_ref());
        self
    }

    /// Reads the file again, for all clones. Until then they use the previous contents.
    ///
    /// This blocks the thread, as [`open`](Self::open) does. Replace the file by renaming the new one to
    /// its path, so that it is never half written.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not a `MaxMind` DB. The previous contents stay in use.
    pub fn reload(&self) -> Result<(), GeoIpError> {
        let database = Arc::new(Reader::open_readfile(&self.path).map_err(GeoIpError::of)?);
        *self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner) = database;
        Ok(())
    }

    /// The contents in use.
    fn current(&self) -> Arc<Database> {
        let database = self.database.read();
        Arc::clone(&database.unwrap_or_else(PoisonError::into_inner))
    }

    /// The name of a `city` or `country`.
    fn name(&self, found: &LookupResult<'_, Vec<u8>>, what: &str) -> Option<String> {
        let name = |language: &str| {
            let name = found.decode_path(&path![what, "names", language]);
            // A record of another shape has no name.
            name.ok().flatten()
        };
        name(&self.language).or_else(|| name("en"))
    }
}

impl Geo for GeoIp {
    fn place(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        if !reach::is_public(address) {
            return None;
        }
        let database = self.current();
        let found = database.lookup(address).ok()?;
        let place = Place {
            city: self.name(&found, "city"),
            country: self.name(&found, "country"),
        };
        (place != Place::default()).then_some(place)
    }
}

impl fmt::Debug for GeoIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeoIp")
            .field("path", &self.path)
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}
