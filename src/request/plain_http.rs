//! Whether a page on plain http sent a request.

use std::net::Ipv4Addr;

use http::{
    HeaderMap,
    header::{ORIGIN, REFERER},
};

/// Whether the browser says that a page on plain http sent this request, and not one on this machine.
///
/// Browsers keep no `Secure` cookie on such a page. On `http://localhost` all but Safari do.
pub(crate) fn is_from_plain_http(headers: &HeaderMap) -> bool {
    let from = headers.get(ORIGIN).or_else(|| headers.get(REFERER));
    let Some(page) = from.and_then(|from| from.as_bytes().strip_prefix(b"http://")) else {
        return false;
    };
    !is_loopback(host_of(page))
}

/// The host in what follows `http://`.
fn host_of(page: &[u8]) -> &[u8] {
    let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let authority = page.split(ends).next().unwrap_or_default();
    if authority.starts_with(b"[") {
        let end = memchr::memchr(b']', authority).map_or(authority.len(), |at| at + 1);
        return authority.get(..end).unwrap_or_default();
    }
    authority
        .split(|byte| *byte == b':')
        .next()
        .unwrap_or_default()
}

fn is_loopback(host: &[u8]) -> bool {
    host.eq_ignore_ascii_case(b"localhost")
        || host.to_ascii_lowercase().ends_with(b".localhost")
        || host == b"[::1]"
        || str::from_utf8(host)
            .is_ok_and(|host| host.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(name: http::HeaderName, value: &'static str) -> bool {
        let value = http::HeaderValue::from_static(value);
        is_from_plain_http(&HeaderMap::from_iter([(name, value)]))
    }

    #[test]
    fn a_page_on_plain_http_is_one_unless_it_is_on_this_machine() {
        for page in [
            "http://app.test",
            "http://192.168.1.5:3000",
            "http://127.example",
            "http://notlocalhost",
        ] {
            assert!(is(ORIGIN, page), "{page}");
        }
        assert!(is(REFERER, "http://app.test/login?a=http://localhost"));
        for page in [
            "https://app.test",
            "http://localhost:3000",
            "http://LOCALHOST",
            "http://app.localhost",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "null",
        ] {
            assert!(!is(ORIGIN, page), "{page}");
        }
    }
}
