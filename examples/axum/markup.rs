//! HTML, and text that is safe in it.

use std::fmt::{self, Write};

pub(crate) fn push(main: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = main.write_fmt(text);
}

/// Text with the special characters of HTML escaped. A client may send any user agent.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
