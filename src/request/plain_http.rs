//! Whether a page on plain http sent a request.

use std::net::Ipv4Addr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{HOST, ORIGIN, REFERER, USER_AGENT},
};

pub(crate) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the browser says that a page on plain http sent this request, and not one on this machine.
///
/// Browsers keep no `Secure` cookie on such a page. On `http://localhost` all but Safari do.
pub(crate) fn is_from_plain_http(headers: &HeaderMap, uri: &Uri) -> bool {
    // Browsers send it over https and to this machine, and not over plain http.
    if headers.contains_key(&SEC_FETCH_SITE) {
        return false;
    }
    let Some(host) = plain_http_host(headers) else {
        return false;
    };
    // A link on another site says nothing of this one.
    !is_loopback(host) && (headers.contains_key(ORIGIN) || is_own(host, headers, uri))
}

/// Whether a page of the app on plain http on this machine sent this request, in Safari or another browser of WebKit.
///
/// WebKitGTK 2.50 keeps no `Secure` cookie there, as most versions of Safari.
pub(crate) fn is_from_webkit_on_this_machine(headers: &HeaderMap, uri: &Uri) -> bool {
    let host = plain_http_host(headers);
    let is_here = host.is_some_and(|host| is_loopback(host) && is_own(host, headers, uri));
    is_here && headers.get(USER_AGENT).is_some_and(is_webkit)
}

/// The host of the page on plain http that sent this request.
fn plain_http_host(headers: &HeaderMap) -> Option<&[u8]> {
    let from = headers.get(ORIGIN).or_else(|| headers.get(REFERER));
    Some(host_of(from?.as_bytes().strip_prefix(b"http://")?))
}

/// Whether this is the host that was asked. HTTP/2 has it in the address, and no `Host`.
fn is_own(host: &[u8], headers: &HeaderMap, uri: &Uri) -> bool {
    let own = uri.authority().map(|own| own.as_str().as_bytes());
    let own = own.or_else(|| headers.get(HOST).map(|own| own.as_bytes()));
    own.is_some_and(|own| host_of(own).eq_ignore_ascii_case(host))
}

/// Chromium names this engine too, and itself after it.
fn is_webkit(agent: &HeaderValue) -> bool {
    let has = |word| memchr::memmem::find(agent.as_bytes(), word).is_some();
    has(b"AppleWebKit/".as_slice()) && !has(b"Chrome/")
}

/// The host at the beginning of what follows `http://`.
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

    fn is(lines: &[(HeaderName, &'static str)], uri: &'static str) -> bool {
        let lines = lines.iter().cloned();
        let headers = lines.map(|(name, value)| (name, HeaderValue::from_static(value)));
        is_from_plain_http(&headers.collect(), &Uri::from_static(uri))
    }

    #[test]
    fn only_a_page_of_the_app_on_this_machine_in_webkit_is_one_of_webkit_here() {
        let safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/26.0 Safari/605.1.15";
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 \
                      Safari/537.36";
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
        let is = |page, host, agent| {
            let lines = [(ORIGIN, page), (HOST, host), (USER_AGENT, agent)];
            let headers = lines.map(|(name, value)| (name, HeaderValue::from_static(value)));
            let headers = HeaderMap::from_iter(headers);
            is_from_webkit_on_this_machine(&headers, &Uri::from_static("/login"))
        };

        assert!(is("http://localhost:3000", "localhost:3000", safari));
        assert!(is("http://127.0.0.1:3000", "127.0.0.1:3000", safari));
        for (page, host, agent) in [
            ("http://localhost:3000", "localhost:3000", chrome),
            ("http://localhost:3000", "localhost:3000", firefox),
            ("https://localhost:3000", "localhost:3000", safari),
            ("http://localhost:5173", "api.example.com", safari),
            ("http://app.test", "app.test", safari),
            ("null", "localhost:3000", safari),
        ] {
            assert!(!is(page, host, agent), "{page} {host} {agent}");
        }
    }

    #[test]
    fn a_page_on_plain_http_is_one_unless_it_is_on_this_machine() {
        for page in [
            "http://app.test",
            "http://192.168.1.5:3000",
            "http://127.example",
            "http://notlocalhost",
        ] {
            assert!(is(&[(ORIGIN, page)], "/"), "{page}");
        }
        for page in [
            "https://app.test",
            "http://localhost:3000",
            "http://LOCALHOST",
            "http://app.localhost",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "null",
        ] {
            assert!(!is(&[(ORIGIN, page)], "/"), "{page}");
        }
    }

    #[test]
    fn a_referer_counts_if_it_is_a_page_of_the_host_that_was_asked() {
        let link = (REFERER, "http://App.test/login?a=http://localhost");
        for (host, uri) in [
            (Some("app.test"), "/"),
            (Some("app.test:80"), "/"),
            (None, "http://app.test/"),
        ] {
            let host = host.map(|host| (HOST, host));
            let lines: Vec<_> = [link.clone()].into_iter().chain(host).collect();
            assert!(is(&lines, uri), "{lines:?} {uri}");
        }

        assert!(!is(&[link.clone(), (HOST, "shop.test")], "/"));
        assert!(!is(&[link], "/"));
    }

    #[test]
    fn a_request_with_fetch_metadata_came_over_https_or_from_this_machine() {
        for from in [
            (ORIGIN, "http://app.test"),
            (REFERER, "http://app.test/login"),
        ] {
            let lines = [
                from,
                (HOST, "app.test"),
                (SEC_FETCH_SITE.clone(), "cross-site"),
            ];
            assert!(!is(&lines, "/"));
        }
    }
}
