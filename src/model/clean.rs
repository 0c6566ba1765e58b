//! Cleans text from request headers, so that it can be stored and displayed, and cuts text.

/// At most `max` bytes of the text, without control characters; `None` if nothing is left.
pub(super) fn clean<T: for<'a> From<&'a str>>(raw: &[u8], max: usize) -> Option<T> {
    // Longer text is hostile; this bounds the work on it.
    let head = raw.get(..4 * max).unwrap_or(raw);
    if head.len() <= max && head.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        // Nearly every client sends plain ASCII, and this path takes a tenth of the time.
        let text = str::from_utf8(head).ok()?.trim();
        return (!text.is_empty()).then(|| T::from(text));
    }
    let text = String::from_utf8_lossy(head);
    let mut kept = String::new();
    let plain = text
        .chars()
        .filter(|c| !c.is_control() && !is_invisible(*c));
    for c in plain.skip_while(|c| c.is_whitespace()) {
        if kept.len() + c.len_utf8() > max {
            break;
        }
        kept.push(c);
    }
    // Trimmed last, so that cleaning the result again changes nothing.
    kept.truncate(kept.trim_end().len());
    (!kept.is_empty()).then(|| T::from(&kept))
}

/// The start of the text, without a part of a character: at most `max` bytes.
pub(crate) fn at_most(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.split_at(end).0
}

/// Characters that hide others or change their direction: they could disguise a device's label.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
    ) || matches!(
        c,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}
