//! The browser that `Sec-CH-UA` names.

use super::{in_app::APP, named::Named};

/// Engines and views, which say little about the app around them.
const ENGINES: &[(&str, &str)] = &[
    ("Android WebView", APP),
    ("Microsoft Edge WebView2", APP),
    ("Chromium", "Chromium"),
];

/// Brands that users know by another name. The others keep the name that they send.
const BROWSERS: &[(&str, &str)] = &[
    ("Microsoft Edge", "Edge"),
    ("YaBrowser", "Yandex Browser"),
    ("Yandex", "Yandex Browser"),
    ("OperaMobile", "Opera"),
    ("Opera Mobile", "Opera"),
    ("DuckDuckGo Privacy Browser", "DuckDuckGo"),
];

/// A browser that a program drives.
pub(super) const HEADLESS: &str = "Headless Chrome";

/// What a brand names.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Brand {
    /// A browser.
    Browser(Named),
    /// An engine or a view, in any app.
    Engine(Named),
    /// A browser that a program drives.
    Headless(Named),
}

/// The brand that says most; of two such, the first.
pub(super) fn find(list: &str) -> Option<Brand> {
    let mut best: Option<(u8, Brand)> = None;
    for (brand, version) in brands(list).filter(|(brand, _)| !is_grease(brand)) {
        let Some((weight, brand)) = weigh(&brand, version) else {
            continue;
        };
        if best.as_ref().is_none_or(|(heaviest, _)| weight > *heaviest) {
            best = Some((weight, brand));
        }
    }
    best.map(|(_, brand)| brand)
}

/// The brand, and how much it says.
fn weigh(brand: &str, version: Option<&str>) -> Option<(u8, Brand)> {
    let known = |table: &[(&str, &'static str)]| {
        let (_, name) = table.iter().find(|(token, _)| *token == brand)?;
        Some(Named::known(name, version))
    };
    if let Some(mut named) = known(ENGINES) {
        if named.name == APP {
            // The version is the view's, not the app's.
            named = named.unversioned();
        }
        return Some((0, Brand::Engine(named)));
    }
    if brand == "Google Chrome" {
        // Browsers that are built on it send its name as well.
        return Some((1, Brand::Browser(Named::known("Chrome", version))));
    }
    if brand == "HeadlessChrome" {
        return Some((3, Brand::Headless(Named::known(HEADLESS, version))));
    }
    if let Some(named) = known(BROWSERS) {
        return Some((3, Brand::Browser(named)));
    }
    Named::sent(brand, version).map(|named| (2, Brand::Browser(named)))
}

/// Browsers add brands such as `Not/A)Brand`, so that no server relies on the order or the number.
fn is_grease(brand: &str) -> bool {
    let letters: String = brand
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    letters.is_empty() || (letters.starts_with("not") && letters.ends_with("brand"))
}

/// The well-formed members of the list: `"brand";v="version"`.
fn brands(list: &str) -> impl Iterator<Item = (String, Option<&str>)> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (_, from) = rest.split_once('"')?;
        let (brand, after) = quoted(from)?;
        let (version, after) = match after.trim_start().strip_prefix(";v=\"") {
            Some(version) => {
                let (version, after) = version.split_once('"')?;
                (Some(version), after)
            }
            None => (None, after),
        };
        rest = after;
        Some((brand, version))
    })
}

/// The text up to the closing quote, and what follows it.
fn quoted(from: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = from.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, from.get(at + 1..)?)),
            '\\' => text.push(chars.next()?.1),
            _ => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grease_is_recognised_by_its_letters() {
        for brand in [
            " Not A;Brand",
            "Not/A)Brand",
            "Not:A-Brand",
            "Not;A=Brand",
            "Not_A Brand",
            "Not.A/Brand",
            "Not)A;Brand",
            "Not?A_Brand",
            "Not=A?Brand",
            "(Not(A:Brand",
            "\\Not\"A;Brand",
            "Not A Brand",
            "Not;A Brand",
            ";Not A Brand",
            "99",
            "",
        ] {
            assert!(is_grease(brand), "{brand}");
        }
        for brand in ["Chromium", "Notable", "Brandy", "Opera"] {
            assert!(!is_grease(brand), "{brand}");
        }
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_brand() {
        let list = r#""\\Not\"A;Brand";v="8", "Chromium";v="142""#;

        let brands: Vec<_> = brands(list).collect();

        assert_eq!(
            brands,
            [
                (r#"\Not"A;Brand"#.to_owned(), Some("8")),
                ("Chromium".to_owned(), Some("142")),
            ]
        );
    }
}
