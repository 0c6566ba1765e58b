//! Why a text cannot be trusted as an origin.

use std::{error, fmt};

use tower_http::csrf::{ConfigError, CsrfLayer};

/// The text is not an origin such as `https://app.example.com`, so [`DeviceApi`](crate::DeviceApi) or `DevicePage` cannot
/// trust it.
///
/// Its [`source`](error::Error::source) says which part is wrong.
#[derive(Debug)]
pub struct OriginError {
    source: ConfigError,
}

/// The layer, which trusts this origin too.
pub(super) fn trust<T>(csrf: CsrfLayer<T>, origin: &str) -> Result<CsrfLayer<T>, OriginError> {
    csrf.add_trusted_origin(origin)
        .map_err(|source| OriginError { source })
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the text is not an origin: write it as browsers send it, `https://app.example.com`",
        )
    }
}

impl error::Error for OriginError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}
