//! Lists of proxies: elements from the right, and the `for` of RFC 7239.

use std::{borrow::Cow, net::IpAddr};

use super::client_ip::node_of;

/// What a proxy says of its peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Node {
    Address(IpAddr),
    /// The proxy does not say it: `unknown`, a name of its own, or nothing at all.
    Unknown,
}

/// The last element of a list, and what is before it. A comma in quotes separates nothing.
///
/// Read from the right, so that a quote which a client left open cannot hide what a proxy added.
pub(super) fn last_element(text: &str) -> (Option<&str>, &str) {
    split_last(text, b',')
}

/// The node in the `for` of an element: `for="[2001:db8::1]:443";proto=https`.
pub(super) fn node(element: &str) -> Option<Node> {
    let (mut found, mut rest) = (None, Some(element));
    while let Some(text) = rest {
        let (before, pair) = split_last(text, b';');
        rest = before;
        let Some((name, value)) = pair.split_once('=') else {
            // `;` at the end of an element is common.
            if pair.trim().is_empty() {
                continue;
            }
            return None;
        };
        if name.trim().eq_ignore_ascii_case("for") && found.replace(value.trim()).is_some() {
            return None;
        }
    }
    let Some(value) = found else {
        return Some(Node::Unknown);
    };
    let value = unquoted(value)?;
    if value.len() > 1 && value.starts_with('_') {
        return Some(Node::Unknown);
    }
    node_of(&value)
}

/// Splits at the last such byte that is not in quotes.
fn split_last(text: &str, separator: u8) -> (Option<&str>, &str) {
    let mut quoted = false;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate().rev() {
        if *byte == b'"' {
            let before = bytes.get(..at).unwrap_or_default();
            let slashes = before.iter().rev().take_while(|byte| **byte == b'\\');
            // An escaped quote ends nothing; the opening one is never escaped.
            if !quoted || slashes.count() % 2 == 0 {
                quoted = !quoted;
            }
        } else if *byte == separator && !quoted {
            return (text.get(..at), text.get(at + 1..).unwrap_or_default());
        }
    }
    (None, text)
}

/// The text in a quoted string, or the value itself.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = value.strip_prefix('"') else {
        return Some(Cow::Borrowed(value));
    };
    let inner = inner.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let (mut text, mut chars) = (String::with_capacity(inner.len()), inner.chars());
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next()? } else { c });
    }
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<Node> {
        Some(Node::Address(text.parse().unwrap()))
    }

    // T38
    #[test]
    fn the_for_of_an_element_is_read_in_every_form_of_the_rfc() {
        for (element, found) in [
            (
                "for=192.0.2.60;proto=http;by=203.0.113.43",
                address("192.0.2.60"),
            ),
            (
                "For=\"[2001:db8:cafe::17]:4711\"",
                address("2001:db8:cafe::17"),
            ),
            (" for = \"192.0.2.43:47011\" ", address("192.0.2.43")),
            ("proto=https ; FOR=192.0.2.43;", address("192.0.2.43")),
            ("for=\"192.0.2.43:_port\"", address("192.0.2.43")),
            ("for=\"[2001:db8::1]\"", address("2001:db8::1")),
            ("for=\"192.0.\\2.43\"", address("192.0.2.43")),
            (
                "host=\"a;for=1.1.1.1,\";for=192.0.2.43",
                address("192.0.2.43"),
            ),
            ("for=unknown", Some(Node::Unknown)),
            ("for=_gateway", Some(Node::Unknown)),
            ("for=\"_gateway\"", Some(Node::Unknown)),
            ("proto=https", Some(Node::Unknown)),
            ("", Some(Node::Unknown)),
            ("192.0.2.43", None),
            ("for=192.0.2.43;for=192.0.2.44", None),
            ("for=\"192.0.2.43", None),
            ("for=\"192.0.2.43\\\"", None),
            ("for=192.0.2.43:99999", None),
            ("for=192.0.2.43:", None),
            ("for=", None),
            ("for=_", None),
            ("for=example.com", None),
        ] {
            assert_eq!(node(element), found, "{element}");
        }
    }

    // T38
    #[test]
    fn a_quote_that_a_client_left_open_hides_nothing_of_the_proxy() {
        for sent in [
            "for=\"",
            "for=\"\\",
            "a,\"",
            "\"\\\"",
            "for=\"1.1.1.1",
            "\\\"",
            "\"\"\"",
        ] {
            let whole = format!("{sent}, for=\"[2001:db8::1]:443\";host=\"a,b\\\",c\"");

            let (_, last) = last_element(&whole);

            assert_eq!(node(last), address("2001:db8::1"), "{whole}");
        }
    }
}
