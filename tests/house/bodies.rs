//! What functions do whose callers cannot see it: where secrets come from, how they are compared and zeroed,
//! and which functions of `Session` make a response private.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{clock::flatten, files::under, some};

/// File, function or `impl`, and what its body says in this order.
const SAYS: [(&str, &str, &[&str]); 6] = [
    (
        "src/model/random.rs",
        "fn fill",
        &["getrandom::fill", "bytes"],
    ),
    ("src/model/random.rs", "fn bytes", &["fill", "bytes"]),
    ("src/model/rotation.rs", "fn random", &["random::bytes"]),
    ("src/model/token.rs", "fn random", &["random::fill"]),
    ("src/model/token.rs", "fn renewed", &["random::fill"]),
    (
        "src/model/token.rs",
        "impl Drop for Token",
        &["secret.zeroize"],
    ),
];

/// What compares bytes until the first difference.
const EARLY: [&str; 6] = ["= =", "! =", ". eq", ". ne", ". cmp", ". starts_with"];

/// What `Session` gives away without a mark on the response, and why it may.
const UNMARKED: [(&str, &str); 2] = [
    ("is_speculative", "it says what the request is"),
    ("peek", "it is for what does not show in the response"),
];

/// Where the body of this function or `impl` does not say what it must.
fn says(path: &str, source: &str, head: &str, parts: &[&str]) -> Option<String> {
    let body = body(source, head).unwrap_or_default();
    let mut rest = &*body;
    for part in parts {
        let words = words(part.parse().unwrap()).join(" ");
        let Some((_before, after)) = rest.split_once(&words) else {
            return Some(format!("{path}: `{head}` does not say `{part}`"));
        };
        rest = after;
    }
    None
}

/// Whether digests are compared in constant time, as far as it can be read.
fn compares(source: &str) -> Vec<String> {
    let Some(body) = body(source, "impl PartialEq for Digest") else {
        return vec!["`Digest` is not compared by a function of its own".to_owned()];
    };
    let early = EARLY.into_iter().filter(|early| body.contains(early));
    let mut complaints: Vec<String> = early
        .map(|early| format!("`Digest` is compared by `{}`", early.replace(' ', "")))
        .collect();
    if !body.contains(". ct_eq") {
        complaints.push("`Digest` is not compared by `ct_eq`".to_owned());
    }
    complaints
}

/// The public functions of `Session` that return something and do not read it.
fn unmarked(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut trees = Vec::new();
    all(source.parse().unwrap(), &mut trees);
    for level in &trees {
        for at in places(level, "impl Session") {
            if let Some(inner) = braces(&level[at..]) {
                let inner: Vec<TokenTree> = inner.into_iter().collect();
                let functions = places(&inner, "fn").into_iter();
                found.extend(functions.filter_map(|at| unread(&inner, at)));
            }
        }
    }
    found.retain(|name| UNMARKED.iter().all(|(unmarked, _why)| unmarked != name));
    let complaint = |name| format!("{path}: `Session::{name}` does not call `self.read()`");
    found.into_iter().map(complaint).collect()
}

/// The name of the public function whose `fn` is here, if it returns something of the session unread.
fn unread(trees: &[TokenTree], at: usize) -> Option<String> {
    let mut before = trees[..at].iter().rev().map(ToString::to_string);
    let public = before.find(|word| word != "async" && word != "const")?;
    let head: Vec<TokenTree> = trees[at..]
        .iter()
        .take_while(|tree| !is_group(tree, Delimiter::Brace))
        .cloned()
        .collect();
    let takes = head
        .iter()
        .position(|tree| is_group(tree, Delimiter::Parenthesis))?;
    let takes_self = words(head[takes].clone().into()).contains(&"self".to_owned());
    let returns = words(head[takes + 1..].iter().cloned().collect());
    let returns = returns.join(" ");
    let returns = returns.split(" where ").next().unwrap();
    let nothing = returns.is_empty() || returns.starts_with("- > Result < , SessionError >");
    let body = words(braces(&trees[at..])?).join(" ");
    let reads = body.contains("self . read");
    (public == "pub" && takes_self && !nothing && !reads).then(|| trees[at + 1].to_string())
}

/// The body after this head, word by word.
fn body(source: &str, head: &str) -> Option<String> {
    let mut trees = Vec::new();
    all(source.parse().unwrap(), &mut trees);
    trees.iter().find_map(|level| {
        let at = *places(level, head).first()?;
        Some(words(braces(&level[at..])?).join(" "))
    })
}

/// The trees of each level.
fn all(tokens: TokenStream, levels: &mut Vec<Vec<TokenTree>>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    for tree in &trees {
        if let TokenTree::Group(group) = tree {
            all(group.stream(), levels);
        }
    }
    levels.push(trees);
}

/// Where these words stand in a row.
fn places(trees: &[TokenTree], head: &str) -> Vec<usize> {
    let head: Vec<&str> = head.split(' ').collect();
    let rows = trees.windows(head.len()).enumerate();
    let is_head = |row: &[TokenTree]| row.iter().map(ToString::to_string).eq(head.iter().copied());
    rows.filter(|(_, row)| is_head(row))
        .map(|(at, _)| at)
        .collect()
}

fn braces(trees: &[TokenTree]) -> Option<TokenStream> {
    trees.iter().find_map(|tree| match tree {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    })
}

fn is_group(tree: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == delimiter)
}

fn words(tokens: TokenStream) -> Vec<String> {
    let mut words = Vec::new();
    flatten(tokens, &mut words);
    words
}

// T1
#[test]
fn secrets_come_from_the_generator_of_the_operating_system_and_are_zeroed() {
    let files = under("src/model", "rs");
    let text = |path: &str| &files.iter().find(|file| file.path == path).unwrap().text;

    let complaints: Vec<String> = SAYS
        .into_iter()
        .filter_map(|(path, head, parts)| says(path, text(path), head, parts))
        .collect();

    assert_eq!(complaints, [""; 0]);
}

// T4
#[test]
fn digests_are_compared_in_constant_time() {
    let files = under("src/model", "rs");
    let token = files.iter().find(|file| file.path == "src/model/token.rs");

    assert_eq!(compares(&token.unwrap().text), [""; 0]);
}

// T65
#[test]
fn what_a_session_returns_marks_the_response_as_its_own() {
    let complaints: Vec<String> = some(under("src/session", "rs"))
        .iter()
        .flat_map(|file| unmarked(&file.path, &file.text))
        .collect();

    assert_eq!(complaints, [""; 0]);
}

#[test]
fn another_source_of_secrets_is_a_complaint() {
    let fill = |body: &str| {
        let source = format!("fn fill(bytes: &mut [u8]) -> Result<(), E> {{ {body} }}");
        says("a.rs", &source, "fn fill", &["getrandom::fill", "bytes"])
    };

    assert_eq!(fill("getrandom::fill(bytes).map_err(E)"), None);
    assert_eq!(
        fill("SEED.fill(bytes)").unwrap(),
        "a.rs: `fn fill` does not say `getrandom::fill`"
    );
    assert!(fill("getrandom::fill(&mut seed)").is_some());
    assert!(says("a.rs", "", "impl Drop for Token", &["zeroize"]).is_some());
}

#[test]
fn a_comparison_that_ends_early_is_a_complaint() {
    let of = |body: &str| {
        let source =
            format!("impl PartialEq for Digest {{ fn eq(&self, other: &Self) {{ {body} }} }}");
        compares(&source)
    };

    assert_eq!(of("self.0.ct_eq(&other.0).into()"), [""; 0]);
    assert_eq!(
        of("self.0 == other.0"),
        [
            "`Digest` is compared by `==`",
            "`Digest` is not compared by `ct_eq`"
        ]
    );
    assert_eq!(
        of("self.0.ct_eq(&other.0).into() || self.0.eq(&other.0)").len(),
        1
    );
    assert_eq!(compares("#[derive(PartialEq)] struct Digest;").len(), 1);
}

#[test]
fn a_function_of_the_session_that_does_not_read_it_is_a_complaint() {
    let of = |functions: &str| unmarked("a.rs", &format!("impl Session {{ {functions} }}"));

    assert_eq!(
        of("pub fn id(&self) -> Id { self.state().id() }"),
        ["a.rs: `Session::id` does not call `self.read()`"]
    );
    assert_eq!(
        of("pub async fn get<T>(&self) -> Result<T, SessionError> where T: Own { g() }").len(),
        1
    );
    for fine in [
        "pub fn id(&self) -> Id { self.read().id() }",
        "fn id(&self) -> Id { self.state().id() }",
        "pub(crate) fn id(&self) -> Id { self.state().id() }",
        "pub fn remove(&self, key: &str) -> Result<(), SessionError> { self.state() }",
        "pub fn for_test() -> Self { new() }",
        "pub fn peek(&self) -> Peek { Peek(self) }",
    ] {
        assert_eq!(of(fine), [""; 0], "{fine}");
    }
}
