//! What a request to the device API asks for.

use http::Method;

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
    /// Reads method and path. `prefix` is where the API is mounted, if the mount does not strip it.
    pub(super) fn of(method: &Method, path: &str, prefix: Option<&str>) -> Self {
        let path = match prefix {
            None => path,
            Some(prefix) => match path.strip_prefix(prefix) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
                _ => return Self::NotFound,
            },
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
