//! What a request to the device page asks for.

use http::Method;

use crate::api::mount::Mount;

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route {
    List,
    End,
    AskOthers,
    EndOthers,
    Style,
    Script,
    /// There is such a path, but not with this method.
    Method(&'static str),
    NotFound,
}

impl Route {
    /// Reads method and path, whether the mount strips the prefix or not.
    pub(super) fn of(method: &Method, path: &str, mount: &Mount) -> Self {
        let rest = mount.rest(path).unwrap_or(path);
        let segment = rest.strip_prefix('/').unwrap_or(rest);
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let writes = *method == Method::POST;
        match segment {
            "" if reads => Self::List,
            "page.css" if reads => Self::Style,
            "page.js" if reads => Self::Script,
            "end" if writes => Self::End,
            "end-others" if reads => Self::AskOthers,
            "end-others" if writes => Self::EndOthers,
            "" | "page.css" | "page.js" => Self::Method("GET, HEAD"),
            "end" => Self::Method("POST"),
            "end-others" => Self::Method("GET, HEAD, POST"),
            _ => Self::NotFound,
        }
    }
}
