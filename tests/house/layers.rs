//! Which module imports what: a module uses its own floor and those below.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// From the ground up; `lib.rs` is the roof.
const FLOORS: [&str; 6] = ["model", "store", "request", "session", "layer", "api"];

/// How the crate is called from outside, and (by its dev-dependency on itself) from its unit tests.
const CRATE: &str = "tower_user_sessions";

/// What this file imports and may not.
pub(crate) fn complaints(path: &str, source: &str) -> Vec<String> {
    if path == "src/lib.rs" {
        return Vec::new();
    }
    let module = module_of(path);
    let Some(own) = module.first().and_then(|floor| height(floor)) else {
        return vec![format!("{path}: is on no floor")];
    };
    imports(source, &module)
        .into_iter()
        .filter_map(
            |import| match import.first().and_then(|floor| height(floor)) {
                Some(floor) if floor <= own => None,
                Some(_) => Some(format!("{path}: imports upward: {}", import.join("::"))),
                None => Some(format!(
                    "{path}: imports from the roof: {}",
                    import.join("::")
                )),
            },
        )
        .collect()
}

fn height(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|name| *name == floor)
}

/// `src/store/memory/mod.rs` is `store::memory`.
fn module_of(path: &str) -> Vec<String> {
    path.trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .split('/')
        .map(ToOwned::to_owned)
        .collect()
}

/// Every path into the crate, from its root, in `use` and anywhere else. Comments are none.
fn imports(source: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    walk(source.parse().unwrap(), module, &mut found);
    found
}

fn walk(tokens: TokenStream, module: &[String], found: &mut Vec<Vec<String>>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => match inline_module(&trees[..at]) {
                Some(name) => walk(group.stream(), &[module, &[name]].concat(), found),
                None => walk(group.stream(), module, found),
            },
            TokenTree::Ident(_) if continues(&trees, at + 1) && !ends_in_colons(&trees[..at]) => {
                let base = match tree.to_string().as_str() {
                    "crate" | CRATE => Vec::new(),
                    "self" => module.to_vec(),
                    "super" => parent(module),
                    _ => continue,
                };
                read(&trees, at + 3, base, found);
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// The name of the module whose braces come next.
fn inline_module(before: &[TokenTree]) -> Option<String> {
    let [.., keyword, name] = before else {
        return None;
    };
    (keyword.to_string() == "mod").then(|| name.to_string())
}

/// Reads on from a path's `::`, through the groups of a `use`.
fn read(trees: &[TokenTree], mut at: usize, mut base: Vec<String>, found: &mut Vec<Vec<String>>) {
    loop {
        match trees.get(at) {
            Some(TokenTree::Ident(name)) => match name.to_string().as_str() {
                "super" => base = parent(&base),
                "self" => {}
                name => base.push(name.to_owned()),
            },
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let trees: Vec<TokenTree> = group.stream().into_iter().collect();
                for branch in trees.split(|tree| tree.to_string() == ",") {
                    if !branch.is_empty() {
                        read(branch, 0, base.clone(), found);
                    }
                }
                return;
            }
            _ => break,
        }
        if !continues(trees, at + 1) {
            break;
        }
        at += 3;
    }
    found.push(base);
}

fn parent(module: &[String]) -> Vec<String> {
    module[..module.len().saturating_sub(1)].to_vec()
}

fn continues(trees: &[TokenTree], at: usize) -> bool {
    trees.get(at..).is_some_and(|rest| {
        matches!(rest, [TokenTree::Punct(a), TokenTree::Punct(b), ..] if a.as_char() == ':' && b.as_char() == ':')
    })
}

fn ends_in_colons(trees: &[TokenTree]) -> bool {
    trees.len() >= 2 && continues(trees, trees.len() - 2)
}

#[test]
fn its_own_floor_and_those_below_are_fine() {
    let source = "
        use crate::{model::Token, session::{Rules, Session}, store::SharedStore};
        use super::cookie::SessionCookie;
        use tower_layer::Layer;
        fn see() -> crate::model::Limit { self::helper(); super::super::model::limit() }
    ";

    assert_eq!(complaints("src/layer/layer.rs", source), [""; 0]);
}

#[test]
fn an_upward_import_is_a_complaint() {
    let at = |source: &str| complaints("src/session/mod.rs", source);

    assert_eq!(
        at("use crate::layer::Config;"),
        ["src/session/mod.rs: imports upward: layer::Config"]
    );
    assert_eq!(
        at("use crate::{model::Token, layer::{config::Config, Reply}};"),
        [
            "src/session/mod.rs: imports upward: layer::config::Config",
            "src/session/mod.rs: imports upward: layer::Reply",
        ]
    );
}

#[test]
fn an_upward_path_inside_a_function_a_macro_or_a_test_is_a_complaint() {
    let at = |source: &str| complaints("src/store/op.rs", source).len();

    assert_eq!(at("fn f() { let _ = crate::api::DeviceApi::new(); }"), 1);
    assert_eq!(
        at("pin_project! { struct S { inner: crate::layer::Config } }"),
        1
    );
    assert_eq!(at("mod tests { use crate::session::Session; }"), 1);
}

#[test]
fn an_upward_path_by_super_is_a_complaint() {
    assert_eq!(
        complaints(
            "src/store/memory/shard.rs",
            "use super::super::super::layer::Config;"
        ),
        ["src/store/memory/shard.rs: imports upward: layer::Config"]
    );
    assert_eq!(
        complaints(
            "src/model/mod.rs",
            "mod tests { use super::super::store::Which; }"
        ),
        ["src/model/mod.rs: imports upward: store::Which"]
    );
}

#[test]
fn importing_from_the_roof_is_a_complaint() {
    let at = |source: &str| complaints("src/layer/service.rs", source).len();

    assert_eq!(at("use crate::SessionLayer;"), 1);
    assert_eq!(at("use crate::*;"), 1);
    assert_eq!(at("use super::super::*;"), 1);
    assert_eq!(at("use tower_user_sessions::SessionLayer;"), 1);
}

#[test]
fn the_conformance_suite_knows_only_model_and_store() {
    let at = |source: &str| complaints("src/store/conformance/limit.rs", source).len();

    assert_eq!(
        at("use crate::{model::Limit, store::Create}; use super::Suite;"),
        0
    );
    assert_eq!(at("use crate::session::Session;"), 1);
    assert_eq!(at("use crate::request::PeerAddr;"), 1);
}

#[test]
fn a_file_on_no_floor_is_a_complaint() {
    assert_eq!(
        complaints("src/util/mod.rs", ""),
        ["src/util/mod.rs: is on no floor"]
    );
}

#[test]
fn what_stands_in_a_comment_or_a_text_is_no_import() {
    let source = "
        /// See [`Session`](crate::Session).
        const TEXT: &str = \"crate::layer::Config\"; // crate::api::DeviceApi
    ";

    assert_eq!(complaints("src/model/token.rs", source), [""; 0]);
}
