//! Scripts: short, with a header, on the one key that they declare.
//!
//! A file that begins with `#!lua` is a script. The others hold functions for several scripts, so
//! they may be longer; those that touch a key take it as their first parameter, `key`. Some are what
//! follows a script, and go by that one's local.

use std::{iter::Peekable, str::Chars};

/// How many lines of code a script stays under.
const LINES: usize = 50;

/// The files that follow a script.
const FOLLOW: [&str; 6] = [
    "admit.lua",
    "rank.lua",
    "seat.lua",
    "several.lua",
    "unusual.lua",
    "write.lua",
];

/// What is sent for administrators only. It reads what a server has, whatever key it is, and changes nothing.
const FOR_ADMINISTRATORS: [&str; 2] = ["scan.lua", "slots.lua"];

/// What is wrong with this file. `helpers` are the functions of all files that take a key first.
pub(crate) fn complaints(path: &str, text: &str, helpers: &[String]) -> Vec<String> {
    let is_script = text.starts_with("#!lua");
    let body = if is_script {
        text.split_once('\n').map_or("", |(_flags, body)| body)
    } else {
        text
    };
    let Some((_header, code)) = body
        .strip_prefix("--[[")
        .and_then(|body| body.split_once("]]"))
    else {
        return vec![format!("{path}: no header")];
    };
    let follows = FOLLOW.iter().any(|name| path.ends_with(name));
    let (tokens, lines) = lex(code);
    let mut complaints = Vec::new();
    if (is_script || follows) && lines >= LINES {
        complaints.push(format!("{lines} lines of code, not under {LINES}"));
    }
    let asked = asks_for_the_time(&tokens);
    if asked > usize::from(is_script) && !path.ends_with("/prelude.lua") {
        complaints.push(format!(
            "asks for the time {asked} times, not once in each script"
        ));
    }
    let declared = declared_keys(&tokens);
    if FOR_ADMINISTRATORS.iter().any(|name| path.ends_with(name)) {
        if !text.starts_with("#!lua flags=no-writes\n") {
            complaints.push("may write".to_owned());
        }
        return complaints;
    }
    let used = tokens.iter().filter(|token| *token == "KEYS").count();
    let key = match (is_script, &declared[..]) {
        (true, [name]) if used == 1 => *name,
        // It goes on where a script leaves off.
        (false, []) if used == 0 && follows => "user",
        (false, []) if used == 0 => "key",
        _ => {
            complaints.push("does not take exactly KEYS[1], once, into a local".to_owned());
            ""
        }
    };
    complaints.extend(bound_again(&tokens, key));
    complaints.extend(foreign_calls(&tokens, key));
    complaints.extend(foreign_helpers(&tokens, key, helpers));
    complaints
        .into_iter()
        .map(|complaint| format!("{path}: {complaint}"))
        .collect()
}

/// The functions of this file that take a key first.
pub(crate) fn helpers(text: &str) -> Vec<String> {
    let (tokens, _lines) = lex(text);
    tokens
        .windows(4)
        .filter(|window| window[0] == "function" && window[2] == "(" && window[3] == "key")
        .map(|window| window[1].clone())
        .collect()
}

/// How often the time is read. All of a script, with what follows it, decides by one moment.
fn asks_for_the_time(tokens: &[String]) -> usize {
    let reads =
        |window: &&[String]| window[0] == "\"TIME\"" || window[0] == "clock" && window[1] == "(";
    tokens.windows(2).filter(reads).count()
}

/// The locals that stand for `KEYS[1]`.
fn declared_keys(tokens: &[String]) -> Vec<&str> {
    tokens
        .windows(7)
        .filter(|window| window[0] == "local" && window[2..] == ["=", "KEYS", "[", "1", "]"])
        .map(|window| window[1].as_str())
        .collect()
}

/// The key's local stands for the key from its first line to the last.
fn bound_again(tokens: &[String], key: &str) -> Option<String> {
    let bound = tokens
        .windows(3)
        .filter(|window| window[0] == key && window[1] == "=" && window[2] != "=");
    let again = bound.count() > 1 || (key == "key" && tokens.windows(2).any(|w| w == ["key", "="]));
    again.then(|| format!("binds `{key}` again"))
}

fn foreign_calls(tokens: &[String], key: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_field = at > 0 && tokens[at - 1] == ".";
        if is_field || !(token == "redis" || token == "server") {
            continue;
        }
        let rest: Vec<&str> = tokens[at + 1..]
            .iter()
            .take(6)
            .map(String::as_str)
            .collect();
        let fine = match rest[..] {
            [".", "call" | "pcall", "(", "\"TIME\"", ")", ..] => true,
            // A channel is no key.
            [".", "pcall", "(", "PUBLISH", ",", "CHANNEL" | "channel"] => continue,
            [".", "call" | "pcall", "(", command, ",", touched] => {
                command.starts_with('"') && touched == key
            }
            _ => false,
        };
        let ends = tokens
            .get(at + 7)
            .is_some_and(|next| next == "," || next == ")");
        if !fine || (rest.get(4) == Some(&",") && !ends) {
            complaints.push(format!("not on `{key}`: {token}{}", rest.concat()));
        }
    }
    complaints
}

fn foreign_helpers(tokens: &[String], key: &str, helpers: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, window) in tokens.windows(3).enumerate() {
        let defined = at > 0 && tokens[at - 1] == "function";
        if helpers.contains(&window[0]) && !defined && (window[1] != "(" || window[2] != key) {
            complaints.push(format!("not on `{key}`: {}", window.concat()));
        }
    }
    complaints
}

/// The tokens of Lua without its comments, and how many lines have any.
fn lex(code: &str) -> (Vec<String>, usize) {
    let mut tokens = Vec::new();
    let mut lines = 0;
    let mut in_comment = false;
    for line in code.lines() {
        let before = tokens.len();
        lex_line(line, &mut in_comment, &mut tokens);
        lines += usize::from(tokens.len() > before);
    }
    (tokens, lines)
}

fn lex_line(line: &str, in_comment: &mut bool, tokens: &mut Vec<String>) {
    let mut rest = line;
    while !rest.is_empty() {
        if *in_comment {
            let Some((_comment, after)) = rest.split_once("]]") else {
                return;
            };
            (*in_comment, rest) = (false, after);
            continue;
        }
        if let Some(comment) = rest.strip_prefix("--") {
            let Some(block) = comment.strip_prefix("[[") else {
                return;
            };
            (*in_comment, rest) = (true, block);
            continue;
        }
        let mut chars = rest.chars().peekable();
        let token = next_token(&mut chars);
        rest = &rest[token.len()..];
        if !token.trim().is_empty() {
            tokens.push(token);
        }
    }
}

/// A text, a word or number, or one other character.
fn next_token(chars: &mut Peekable<Chars<'_>>) -> String {
    let Some(first) = chars.next() else {
        return String::new();
    };
    let mut token = String::from(first);
    if first == '"' || first == '\'' {
        while let Some(next) = chars.next() {
            token.push(next);
            if next == '\\' {
                token.extend(chars.next());
            } else if next == first {
                break;
            }
        }
    } else if is_word(first) {
        while let Some(next) = chars.next_if(|next| is_word(*next)) {
            token.push(next);
        }
    }
    token
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script of this code, after a header.
    fn complaints_of(code: &str) -> Vec<String> {
        let text = format!("#!lua\n--[[\n  KEYS[1] user, KEYS[2] is a word here\n]]\n{code}");
        complaints("a.lua", &text, &["keep".to_owned()])
    }

    #[test]
    fn one_key_through_its_local_is_fine() {
        let code = r#"
            local user = KEYS[1] -- KEYS[2]
            redis.call("HSET", user, ARGV[1], "redis.call(other)")
            local time = redis.call("TIME")
            if user == other then keep(user, 1) end
            return redis.call("HLEN", user)
        "#;

        assert_eq!(complaints_of(code), [""; 0]);
    }

    #[test]
    fn another_key_is_a_complaint() {
        let with = |line: &str| complaints_of(&format!("local user = KEYS[1]\n{line}")).len();

        assert_eq!(with(r#"redis.call("GET", KEYS[2])"#), 2);
        assert_eq!(with(r#"redis.call("GET", KEYS[1])"#), 2);
        assert_eq!(with(r#"redis.call("GET", "sessions:" .. ARGV[1])"#), 1);
        assert_eq!(with(r#"redis.call("GET", user .. ":index")"#), 1);
        assert_eq!(with(r#"redis.pcall("DEL", session)"#), 1);
        assert_eq!(with(r#"redis.call("PUBLISH", ARGV[1], "x")"#), 1);
        assert_eq!(with(r#"redis.call("FLUSHALL")"#), 1);
        assert_eq!(with("redis.call(unpack(ARGV))"), 1);
        assert_eq!(with("local call = redis.call"), 1);
        assert_eq!(with("keep(ARGV[1], 1)"), 1);
        assert_eq!(with("user = ARGV[1]"), 1);
    }

    #[test]
    fn reading_the_time_again_is_a_complaint() {
        let twice = |reads: &str| {
            complaints_of(&format!(
                "local user = KEYS[1]\nlocal now = clock(given)\n{reads}"
            ))
        };
        let continues = "--[[\n  Continues a script.\n]]\nlocal now = clock()";

        assert_eq!(twice(""), [""; 0]);
        assert_eq!(twice("local clock = 1"), [""; 0]);
        assert_eq!(twice("local later = clock()").len(), 1);
        assert_eq!(twice(r#"local later = redis.call("TIME")"#).len(), 1);
        assert_eq!(complaints("seat.lua", continues, &[]).len(), 1);
    }

    #[test]
    fn a_script_without_its_key_is_a_complaint() {
        assert_eq!(complaints_of("return 1").len(), 1);
    }

    #[test]
    fn a_script_without_a_header_is_a_complaint() {
        let text = "#!lua\nlocal user = KEYS[1]\n";

        assert_eq!(complaints("a.lua", text, &[]), ["a.lua: no header"]);
    }

    #[test]
    fn the_fiftieth_line_of_code_is_a_complaint_and_a_comment_is_no_line() {
        let lines = |code: usize| {
            let lines = "local x = 1\n-- why\n\n".repeat(code - 1);
            complaints_of(&format!("local user = KEYS[1]\n{lines}"))
        };

        assert_eq!(lines(49), [""; 0]);
        assert_eq!(lines(50), ["a.lua: 50 lines of code, not under 50"]);
    }

    #[test]
    fn shared_functions_touch_only_the_key_they_are_given() {
        let with = |body: &str| {
            let text = format!("--[[\n  Shared.\n]]\nlocal function f(key, id)\n{body}\nend");
            complaints("b.lua", &text, &helpers(&text)).len()
        };

        assert_eq!(with(r#"redis.call("HDEL", key, id)"#), 0);
        assert_eq!(with("f(key, id)"), 0);
        assert_eq!(with(r#"redis.call("HDEL", id)"#), 1);
        assert_eq!(with("f(id)"), 1);
        assert_eq!(with(r#"redis.call("HDEL", KEYS[1], id)"#), 2);
        assert_eq!(with("key = id"), 1);
    }
}
