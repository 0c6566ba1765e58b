//! Markup, and text that cannot become any.

use std::fmt::{self, Write};

pub(crate) fn push(main: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = main.write_fmt(text);
}

/// Text that cannot become markup. User agents are whatever a client chose to send.
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
