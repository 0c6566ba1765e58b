//! Which crates the public API names: their types are in users' code, so only those that the docs promise.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::clock::flatten;

/// The page "Types of other crates" of `lib.rs` names them.
const PROMISED: [&str; 13] = [
    "axum_core",
    "bytes",
    "deadpool_postgres",
    "deadpool_redis",
    "http",
    "http_body",
    "redis",
    "serde",
    "tokio_postgres",
    "tonic",
    "tower_layer",
    "tower_service",
    "uuid",
];

/// The dependencies of this manifest that the public API may not name.
pub(crate) fn private_crates(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && !section.contains("dev-")
            && let Some((name, _)) = line.split_once(" = ")
            && !name.starts_with('#')
        {
            names.insert(name.replace('-', "_"));
        }
    }
    names.retain(|name| !PROMISED.contains(&name.as_str()));
    names
}

/// The types and traits of this file that are `pub`: by the lint `unreachable_pub`, users can name them.
pub(crate) fn public_types(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    each_item(source.parse().unwrap(), &mut |trees| {
        if let [a, b, c, ..] = trees
            && is(a, "pub")
            && ["struct", "enum", "trait"].contains(&b.to_string().as_str())
        {
            found.push(c.to_string());
        }
    });
    found
}

/// Where this file names a type of a private crate in the public API.
pub(crate) fn complaints(
    path: &str,
    source: &str,
    private: &BTreeSet<String>,
    public: &BTreeSet<String>,
) -> Vec<String> {
    let tokens: TokenStream = source.parse().unwrap();
    let mut imported = BTreeSet::new();
    each_item(tokens.clone(), &mut |trees| {
        if let [a, b, ..] = trees
            && is(a, "use")
            && private.contains(&b.to_string())
        {
            let words = words(up_to(trees, |tree| is(tree, ";")));
            // `Digest as _` imports no name.
            let renamed = words.iter().skip(1).map(|next| next == "as").chain([false]);
            let kept = words.iter().zip(renamed).filter(|(_, renamed)| !renamed);
            imported.extend(kept.map(|(word, _)| word.clone()));
        }
    });
    let mut complaints = Vec::new();
    each_item(tokens, &mut |trees| {
        let is_function = trees.first().is_some_and(|first| is(first, "pub"))
            && (trees.iter().skip(1))
                .find(|tree| !is(tree, "const") && !is(tree, "async"))
                .is_some_and(|tree| is(tree, "fn"));
        let is_impl = trees.first().is_some_and(|first| is(first, "impl"));
        if !is_function && !is_impl {
            return;
        }
        let header = words(up_to(trees, |tree| is(tree, ";") || is_brace(tree)));
        // An `impl` of a trait is as public as the types in its header.
        let of_a_trait = || {
            header.iter().any(|word| word == "for")
                && header.iter().any(|word| public.contains(word))
        };
        if is_function || of_a_trait() {
            let named = named(&header, private, &imported);
            complaints.extend(named.map(|name| format!("{path}: the public API names `{name}`")));
        }
    });
    complaints
}

/// What of this comes from a private crate: a type that is imported, or a path that begins with the crate.
fn named<'a>(
    words: &'a [String],
    private: &'a BTreeSet<String>,
    imported: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a String> {
    words.iter().enumerate().filter_map(move |(at, word)| {
        let has_path = words
            .get(at + 1..at + 3)
            .is_some_and(|next| next == [":", ":"]);
        let begins = at < 2
            || words
                .get(at - 2..at)
                .is_none_or(|before| before != [":", ":"]);
        let is_type = word.starts_with(char::is_uppercase);
        let foreign =
            imported.contains(word) && (is_type || has_path) || private.contains(word) && has_path;
        (foreign && begins).then_some(word)
    })
}

/// Calls this with the tokens from each word on, to the end of its group.
fn each_item(tokens: TokenStream, call: &mut impl FnMut(&[TokenTree])) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => each_item(group.stream(), call),
            TokenTree::Ident(_) => call(&trees[at..]),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn up_to(trees: &[TokenTree], is_end: impl Fn(&TokenTree) -> bool) -> &[TokenTree] {
    let end = trees.iter().position(is_end).unwrap_or(trees.len());
    &trees[..end]
}

fn is_brace(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

/// Without a text of each token: a group would be written out whole.
fn is(tree: &TokenTree, word: &str) -> bool {
    match tree {
        TokenTree::Group(_) => false,
        TokenTree::Punct(punct) => word.chars().eq([punct.as_char()]),
        other => other.to_string() == word,
    }
}

fn words(trees: &[TokenTree]) -> Vec<String> {
    let mut words = Vec::new();
    flatten(trees.iter().cloned().collect(), &mut words);
    words
}

#[cfg(test)]
fn complaints_of(source: &str) -> Vec<String> {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let public: BTreeSet<String> = public_types(source).into_iter().collect();
    complaints("src/a.rs", source, &set(&["cookie", "tower_http"]), &public)
}

#[test]
fn a_type_of_a_private_crate_in_the_public_api_is_a_complaint() {
    let of = |code: &str| complaints_of(&format!("pub struct Mine; {code}"));
    let cookie = ["src/a.rs: the public API names `cookie`"];

    assert_eq!(of("impl From<Mine> for cookie::SameSite { }"), cookie);
    assert_eq!(of("impl From<cookie::SameSite> for Mine { }"), cookie);
    assert_eq!(
        of("impl Mine { pub fn of(it: cookie::SameSite) { } }"),
        cookie
    );
    assert_eq!(
        of(
            "use tower_http::csrf::{ConfigError, CsrfLayer}; pub fn of() -> Result<(), ConfigError> { }"
        ),
        ["src/a.rs: the public API names `ConfigError`"]
    );
    assert_eq!(
        of("use cookie::same_site; impl Mine { pub const fn of() -> same_site::SameSite { } }"),
        ["src/a.rs: the public API names `same_site`"]
    );
}

#[test]
fn private_functions_and_types_may_name_any_crate() {
    let source = "
        use cookie::{Cookie, Digest as _, time};
        pub struct Mine;
        struct Hidden;
        impl From<cookie::ParseError> for Hidden { fn from(_: cookie::ParseError) -> Self { Self } }
        impl Mine {
            pub fn after(&self, time: Duration) -> Duration { time::now(); Cookie::new(); time }
            pub(crate) fn of(cookie: Cookie) { }
            pub fn digest(&self) -> Digest { }
            fn at(cookie: cookie::Cookie) { }
        }
        pub fn named(it: crate::cookie::Mine) { }
    ";

    assert_eq!(complaints_of(source), [""; 0]);
}

#[test]
fn the_private_crates_are_the_other_dependencies() {
    let manifest = "
[dependencies]
# why
http = \"1\"
rmp-serde = \"1\"

[target.'cfg(unix)'.dependencies]
libc = { version = \"0.2\" }

[dev-dependencies]
axum = \"0.8\"
";

    let names: Vec<String> = private_crates(manifest).into_iter().collect();
    assert_eq!(names, ["libc", "rmp_serde"]);
}
