//! How long ago, in words.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// "just now", "2 minutes ago", "1 hour ago", "40 days ago".
pub(super) fn english(age: Duration) -> String {
    let seconds = age.as_secs();
    let (count, unit) = match seconds {
        0..MINUTE => return "just now".to_owned(),
        MINUTE..HOUR => (seconds / MINUTE, "minute"),
        HOUR..DAY => (seconds / HOUR, "hour"),
        DAY.. => (seconds / DAY, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_written_in_its_largest_whole_unit() {
        let written = [0, 59, 60, 119, 120, 3_599, 3_600, 86_399, 86_400, 3_456_000]
            .map(|seconds| english(Duration::from_secs(seconds)));

        assert_eq!(
            written,
            [
                "just now",
                "just now",
                "1 minute ago",
                "1 minute ago",
                "2 minutes ago",
                "59 minutes ago",
                "1 hour ago",
                "23 hours ago",
                "1 day ago",
                "40 days ago",
            ]
        );
    }
}
