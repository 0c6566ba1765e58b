//! What a request to the device API asks for.

use http::Method;

use super::mount::Mount;

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Route {
    List,
    /// How long the session still lives.
    Current,
    /// The same, after it was prolonged.
    Prolong,
    /// Ends the session with this id, as the client wrote it.
    End(String),
    EndOthers,
    /// The path exists, but not with this method.
    Method(&'static str),
    NotFound,
}

impl Route {
    /// Reads method and path. `mount` is where the API is mounted, if that does not strip the prefix.
    pub(super) fn of(method: &Method, path: &str, mount: Option<&Mount>) -> Self {
        let Some(path) = mount.map_or(Some(path), |mount| mount.rest(path)) else {
            return Self::NotFound;
        };
        let segment = path.strip_prefix('/').unwrap_or(path);
        match (segment, method) {
            ("", &Method::GET | &Method::HEAD) => Self::List,
            ("", _) => Self::Method("GET, HEAD"),
            (segment, _) if segment.contains('/') => Self::NotFound,
            ("current", &Method::GET | &Method::HEAD) => Self::Current,
            ("current", &Method::POST) => Self::Prolong,
            ("current", _) => Self::Method("GET, HEAD, POST"),
            ("logout-all" | "logout-others", &Method::POST) => Self::EndOthers,
            ("logout-all" | "logout-others", _) => Self::Method("POST"),
            (id, &Method::DELETE) => Self::End(id.to_owned()),
            _ => Self::Method("DELETE"),
        }
    }
}
