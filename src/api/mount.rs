//! Where an app mounts the device API or the device page.

use std::sync::Arc;

/// A prefix as it stands in the paths of requests and in headers, without a slash at the end: `/devices`, or empty.
#[derive(Clone, Debug)]
pub(super) struct Mount(Arc<str>);

impl Mount {
    /// Slashes around the prefix do not matter.
    pub(super) fn at(prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        Self(escaped(&format!("{slash}{prefix}")).into())
    }

    #[cfg(feature = "page")]
    pub(super) fn prefix(&self) -> &str {
        &self.0
    }

    /// The path of the mount itself.
    #[cfg(feature = "page")]
    pub(super) fn home(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// What follows the prefix in this path. `None` if the path is not below it.
    pub(super) fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&*self.0)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// A path as it may stand in a header.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_an_escaped_path_without_a_slash_at_the_end() {
        let found = ["/devices", "devices/", "/a/b/", "/", "", "/a b\r\nü"]
            .map(|prefix| Mount::at(prefix).0.to_string());

        assert_eq!(
            found,
            ["/devices", "/devices", "/a/b", "", "", "/a%20b%0D%0A%C3%BC"]
        );
    }

    #[cfg(feature = "page")]
    #[test]
    fn a_mount_at_the_root_is_at_a_slash() {
        let found = ["/devices/", "/", ""].map(|prefix| Mount::at(prefix).home().to_owned());

        assert_eq!(found, ["/devices", "/", "/"]);
    }

    #[test]
    fn a_path_is_below_a_prefix_that_ends_at_a_slash() {
        let mount = Mount::at("geräte");
        let found =
            ["/ger%C3%A4te", "/ger%C3%A4te/", "/ger%C3%A4tex", "/"].map(|path| mount.rest(path));

        assert_eq!(found, [Some(""), Some("/"), None, None]);
        assert_eq!(Mount::at("/").rest("/current"), Some("/current"));
    }
}
