//! Text that came over the wire, made fit to be kept and shown.

/// Text of at most so many bytes, without control characters; `None` if nothing is left.
pub(super) fn clean(raw: &[u8], max: usize) -> Option<Box<str>> {
    // What is longer than this is hostile, and work on it has to end.
    let head = raw.get(..4 * max).unwrap_or(raw);
    if head.len() <= max && head.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        // What nearly every client sends, at a tenth of the time.
        let text = str::from_utf8(head).ok()?.trim();
        return (!text.is_empty()).then(|| Box::from(text));
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
    // After the cutoff, so that cleaning again, as a stored record is, changes nothing.
    kept.truncate(kept.trim_end().len());
    (!kept.is_empty()).then(|| kept.into_boxed_str())
}

/// Characters that only turn or hide others: with them, a label would read as another device's.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
    ) || matches!(
        c,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}
