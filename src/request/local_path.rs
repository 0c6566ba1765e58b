//! [`local_path`]: where a redirect may lead.

/// Returns the text if it is a path of this origin, and `None` for anything else.
///
/// Use it before you redirect to an address that came with a request, such as the `next` of a sign-in
/// page. Without this check, a link such as `/login?next=https://evil.example` sends your users to
/// another site.
///
/// A path starts with one `/`; a query and a fragment may follow. Not accepted:
///
/// - other origins: `https://evil.example`, `//evil.example`, `/\evil.example`
/// - the same in disguise: `/%2f/evil.example`, `/%5cevil.example`, `/.//evil.example`, `/a/../b`
/// - spaces, tabs, line breaks and other control characters, also percent-encoded (`%0d%0a`)
/// - backslashes, and characters outside of ASCII: a browser sends these percent-encoded
/// - a `%` in the path that is not followed by two hexadecimal digits
///
/// ```
/// use tower_user_sessions::local_path;
///
/// assert_eq!(local_path("/orders?page=2#last"), Some("/orders?page=2#last"));
/// assert_eq!(local_path("//evil.example/orders"), None);
/// assert_eq!(local_path("https://evil.example"), None);
/// assert_eq!(local_path("/%2fevil.example"), None);
/// // A URL in the query stays here; it is your handler of `/go` that must check it.
/// assert!(local_path("/go?to=https://evil.example/").is_some());
///
/// // In a sign-in handler:
/// let next: Option<String> = Some("/%5cevil.example".to_owned());
/// let target = next.as_deref().and_then(local_path).unwrap_or("/");
/// assert_eq!(target, "/");
/// ```
#[must_use]
pub fn local_path(text: &str) -> Option<&str> {
    let is_written = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if !text.starts_with('/') || !text.bytes().all(is_written) || encodes_control(text) {
        return None;
    }
    let path = text.split(['?', '#']).next()?.as_bytes();
    // A program behind this one may decode a second time.
    let once = decoded(path);
    let twice = decoded(&once);
    let stays = [path, &once, &twice].into_iter().all(stays_here);
    (stays && is_encoded(path)).then_some(text)
}

/// Whether a browser that follows this path stays on its origin.
fn stays_here(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/').skip(1);
    let first_is_empty = path.len() > 1 && segments.clone().next() == Some(b"");
    !first_is_empty
        && !path.contains(&b'\\')
        && !path.iter().any(u8::is_ascii_control)
        && !segments.any(|segment| matches!(segment, b"." | b".."))
}

/// Whether the text has a percent-encoded control character.
fn encodes_control(text: &str) -> bool {
    let mut encoded = text.as_bytes().windows(3).filter_map(byte_of);
    encoded.any(|byte| byte.is_ascii_control())
}

/// Whether each `%` is followed by two digits.
fn is_encoded(path: &[u8]) -> bool {
    let percents = path.iter().filter(|byte| **byte == b'%').count();
    path.windows(3).filter_map(byte_of).count() == percents
}

/// The bytes that this stands for. A `%` that encodes nothing stays, as most programs leave it.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        let encoded = rest.split_at_checked(3);
        let encoded = encoded.and_then(|(three, after)| Some((byte_of(three)?, after)));
        let (byte, after) = encoded.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

/// The byte that `%0d` stands for.
fn byte_of(encoded: &[u8]) -> Option<u8> {
    let [b'%', high, low] = encoded else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}
