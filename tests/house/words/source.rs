//! What a source file says in words: its comments, its messages and the names of its functions.

use super::prose::Line;

#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// A block of comments, or a page.
    Prose(Vec<Line>),
    /// A string literal of several words.
    Message(Vec<Line>),
    /// The name of a function.
    Name(usize, String),
}

/// A whole text, line by line.
pub(super) fn lines(text: &str, first: usize) -> Vec<Line> {
    let line = |(at, text): (usize, &str)| Line {
        number: first + at,
        text: text.to_owned(),
        columns: false,
    };
    text.lines().enumerate().map(line).collect()
}

/// The pieces of a Rust file whose first line has this number.
pub(super) fn rust(text: &str, first: usize) -> Vec<Piece> {
    let mut scan = Scan::new(text, first);
    while let Some(letter) = scan.rest.chars().next() {
        let rest = scan.rest;
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            let marks = ["///", "//!", "//"]
                .into_iter()
                .find(|marks| rest.starts_with(marks));
            let marks = marks.unwrap_or("//");
            scan.comment(marks, &rest[marks.len()..end], end);
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            scan.block(lines(&rest[..end], scan.line), end);
        } else if letter == '"' {
            scan.string(1);
        } else if let Some(hashes) = raw(rest) {
            scan.raw_string(hashes);
        } else if letter == '\'' {
            scan.skip(quoted(rest));
        } else if letter.is_alphabetic() || letter == '_' {
            scan.word("fn");
        } else {
            scan.skip(letter.len_utf8());
        }
    }
    scan.pieces
}

/// The pieces of a script.
pub(super) fn lua(text: &str) -> Vec<Piece> {
    let mut scan = Scan::new(text, 1);
    while let Some(letter) = scan.rest.chars().next() {
        let rest = scan.rest;
        if let Some(block) = rest.strip_prefix("--[[") {
            let end = block.find("]]").unwrap_or(block.len());
            let mut lines = lines(&block[..end], scan.line);
            lines.iter_mut().for_each(|line| line.columns = true);
            scan.block(lines, (end + 6).min(rest.len()));
        } else if rest.starts_with("--") {
            let end = rest.find('\n').unwrap_or(rest.len());
            scan.comment("--", &rest[2..end], end);
        } else if letter == '"' {
            scan.string(1);
        } else if letter.is_alphabetic() || letter == '_' {
            scan.word("function");
        } else {
            scan.skip(letter.len_utf8());
        }
    }
    scan.pieces
}

/// The comments of a shell script, a program in Python, or one in JavaScript, by the marks that begin them.
pub(super) fn comments(text: &str, marks: &'static str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut above = None;
    for line in lines(text, 1) {
        let alone = line.text.trim_start().strip_prefix(marks);
        let code = alone.is_none();
        // After code there is space on both sides, which addresses and colours do not have.
        let after = || line.text.rsplit_once(&*format!(" {marks} "));
        let comment = alone.or_else(|| after().map(|(_code, comment)| comment));
        let Some(comment) = comment.filter(|comment| !comment.starts_with('!')) else {
            above = None;
            continue;
        };
        let found = Line {
            number: line.number,
            text: comment.to_owned(),
            columns: true,
        };
        match pieces.last_mut() {
            Some(Piece::Prose(lines)) if !code && above == Some(line.number - 1) => {
                lines.push(found);
            }
            _ => pieces.push(Piece::Prose(vec![found])),
        }
        above = (!code).then_some(line.number);
    }
    pieces
}

struct Scan<'a> {
    rest: &'a str,
    line: usize,
    pieces: Vec<Piece>,
    /// Marks and line of the comment that stands alone above.
    above: Option<(&'static str, usize)>,
    /// Something other than space came before in this line.
    begun: bool,
    /// The last word was the keyword before a name.
    names: bool,
}

impl<'a> Scan<'a> {
    fn new(rest: &'a str, line: usize) -> Self {
        Self {
            rest,
            line,
            pieces: Vec::new(),
            above: None,
            begun: false,
            names: false,
        }
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        for letter in skipped.chars() {
            if letter == '\n' {
                self.line += 1;
                self.begun = false;
            } else if !letter.is_whitespace() {
                self.begun = true;
            }
        }
        self.rest = rest;
    }

    /// Comments below each other are one text; one after code is its own.
    fn comment(&mut self, marks: &'static str, text: &str, length: usize) {
        let line = Line {
            number: self.line,
            text: text.to_owned(),
            columns: false,
        };
        let goes_on = !self.begun && self.above == Some((marks, self.line - 1));
        match self.pieces.last_mut() {
            Some(Piece::Prose(lines)) if goes_on => lines.push(line),
            _ => self.pieces.push(Piece::Prose(vec![line])),
        }
        self.above = (!self.begun).then_some((marks, self.line));
        self.skip(length);
    }

    fn block(&mut self, lines: Vec<Line>, length: usize) {
        self.pieces.push(Piece::Prose(lines));
        self.skip(length);
    }

    fn message(&mut self, text: &str) {
        if text.trim().contains(char::is_whitespace) {
            let mut lines = lines(text, 0);
            lines.iter_mut().for_each(|line| line.number = self.line);
            self.pieces.push(Piece::Message(lines));
        }
    }

    fn string(&mut self, open: usize) {
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(open).peekable();
        let mut end = self.rest.len();
        while let Some((at, letter)) = letters.next() {
            match (letter, letters.peek().map(|(_, next)| *next)) {
                ('"', _) => {
                    end = at + 1;
                    break;
                }
                ('\\', Some('\n')) => {
                    while letters.next_if(|(_, next)| next.is_whitespace()).is_some() {}
                }
                ('\\', Some(next)) => {
                    text.push(if next == 'n' { '\n' } else { next });
                    letters.next();
                }
                _ => text.push(letter),
            }
        }
        self.message(&text);
        self.skip(end);
    }

    fn raw_string(&mut self, hashes: usize) {
        let open = self.rest.find('"').map_or(0, |at| at + 1);
        let close = format!("\"{}", "#".repeat(hashes));
        let body = &self.rest[open..];
        let end = body.find(&close).unwrap_or(body.len());
        self.message(&body[..end]);
        self.skip((open + end + close.len()).min(self.rest.len()));
    }

    fn word(&mut self, keyword: &str) {
        let end = self
            .rest
            .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        if self.names {
            self.pieces.push(Piece::Name(self.line, word.to_owned()));
        }
        self.names = word == keyword;
        self.skip(end);
    }
}

/// How many hashes the raw string has that begins here.
fn raw(rest: &str) -> Option<usize> {
    let rest = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r')?;
    let string = rest.trim_start_matches('#');
    string.starts_with('"').then(|| rest.len() - string.len())
}

/// The length of a character literal, or of the mark of a lifetime.
fn quoted(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    match letters.next() {
        Some((_, '\\')) => {
            letters.next();
            rest[3..].find('\'').map_or(1, |end| end + 4)
        }
        Some(_) => match letters.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

#[cfg(test)]
fn texts(pieces: Vec<Piece>) -> Vec<String> {
    let joined = |lines: Vec<Line>| {
        let texts: Vec<String> = lines.into_iter().map(|line| line.text).collect();
        texts.join("\n")
    };
    let text = |piece| match piece {
        Piece::Prose(lines) => format!("prose:{}", joined(lines)),
        Piece::Message(lines) => format!("message:{}", joined(lines)),
        Piece::Name(line, name) => format!("name {line}:{name}"),
    };
    pieces.into_iter().map(text).collect()
}

#[test]
fn comments_below_each_other_are_one_and_one_after_code_is_alone() {
    let source = "//! a\n//! b\n/// c\nlet x; // d\nlet y; // e\n// f\n// g\n";

    assert_eq!(
        texts(rust(source, 1)),
        [
            "prose: a\n b",
            "prose: c",
            "prose: d",
            "prose: e",
            "prose: f\n g"
        ]
    );
}

#[test]
fn a_string_is_a_message_if_it_has_several_words() {
    let source = r##"f("one", "two \"words\"", r#"raw "words""#, b"a b", "go \
        on", '"', '\'', 'a', "\u{1} x");"##;

    assert_eq!(
        texts(rust(source, 1)),
        [
            "message:two \"words\"",
            "message:raw \"words\"",
            "message:a b",
            "message:go on",
            "message:u{1} x",
        ]
    );
}

#[test]
fn names_are_those_of_functions() {
    let source = "struct A; async fn b<'a>(c: &'a str) {}\nimpl A { fn d() {} }";

    assert_eq!(texts(rust(source, 1)), ["name 1:b", "name 2:d"]);
}

#[test]
fn a_script_has_a_header_comments_and_functions() {
    let script = "#!lua\n--[[\n  Head.\n]]\nlocal function a() -- b\n  return \"c d\" -- e\nend\n";

    assert_eq!(
        texts(lua(script)),
        [
            "prose:\n  Head.",
            "name 5:a",
            "prose: b",
            "message:c d",
            "prose: e",
        ]
    );
}

#[test]
fn a_shell_script_has_comments_above_and_after_its_code() {
    let script = "#!/bin/sh\n# a\n# b\nx=$# # c\ny=#d\n    # e\n";

    assert_eq!(
        texts(comments(script, "#")),
        ["prose: a\n b", "prose:c", "prose: e"]
    );
    assert_eq!(
        texts(comments("// a\nf(); // b\nlet x = 'http://c'", "//")),
        ["prose: a", "prose:b"]
    );
}
