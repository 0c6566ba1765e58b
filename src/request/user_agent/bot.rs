//! Programs that visit by themselves.

use super::{agent::Agent, brand::HEADLESS, named::Named};

/// Bots whose name does not end in one of [`ENDINGS`], or that are known by another name.
const BOTS: &[(&str, &str)] = &[
    ("AdsBot-Google", "Google AdsBot"),
    ("AdsBot-Google-Mobile", "Google AdsBot"),
    ("APIs-Google", "Google APIs"),
    ("BingPreview", "Bing preview"),
    ("bingbot", "Bingbot"),
    ("Chrome-Lighthouse", "Lighthouse"),
    ("ChatGPT-User", "ChatGPT"),
    ("Claude-User", "Claude"),
    ("DatadogSynthetics", "Datadog Synthetics"),
    ("ELB-HealthChecker", "AWS health check"),
    ("facebookcatalog", "Facebook crawler"),
    ("facebookexternalhit", "Facebook crawler"),
    ("FeedFetcher-Google", "Google Feedfetcher"),
    ("Google-InspectionTool", "Google inspection tool"),
    ("Google-Read-Aloud", "Google Read Aloud"),
    ("GoogleHC", "Google health check"),
    ("GoogleOther", "GoogleOther"),
    ("HeadlessChrome", HEADLESS),
    ("ia_archiver", "Internet Archive"),
    ("kube-probe", "Kubernetes probe"),
    ("Mediapartners-Google", "Google Mediapartners"),
    ("meta-externalagent", "Meta crawler"),
    ("meta-externalfetcher", "Meta crawler"),
    ("MistralAI-User", "Mistral"),
    ("NewRelicPinger", "New Relic"),
    ("Perplexity-User", "Perplexity"),
    ("PhantomJS", "PhantomJS"),
    ("Prometheus", "Prometheus"),
    ("Site24x7", "Site24x7"),
    ("Slurp", "Yahoo! Slurp"),
    ("StatusCake", "StatusCake"),
    ("Uptime-Kuma", "Uptime Kuma"),
    ("W3C_Validator", "W3C Validator"),
];

/// How the names of bots end.
const ENDINGS: [&str; 3] = ["bot", "crawler", "spider"];

/// A brand of phones, not a bot.
const CUBOT: &str = "cubot";

/// The bot that this is.
pub(super) fn find(agent: &Agent<'_>) -> Option<Named> {
    agent.first_listed(BOTS).or_else(|| by_ending(agent))
}

fn by_ending(agent: &Agent<'_>) -> Option<Named> {
    agent.words().find_map(|word| {
        // An address of a page about the bot, not its name.
        if word.name.contains([':', '@', '+']) || word.name.starts_with("www.") {
            return None;
        }
        let end = bot_ends(word.name)?;
        Named::sent(word.name.get(..end)?, word.version)
    })
}

/// Where the first run of letters ends that has one of the endings.
fn bot_ends(name: &str) -> Option<usize> {
    let mut start = 0;
    for run in name.split_inclusive(|c: char| !c.is_ascii_alphabetic()) {
        let letters = run.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
        if !letters.eq_ignore_ascii_case(CUBOT) && has_ending(letters) {
            return Some(start + letters.len());
        }
        start += run.len();
    }
    None
}

fn has_ending(letters: &str) -> bool {
    ENDINGS.iter().any(|ending| {
        let at = letters.len().checked_sub(ending.len());
        at.and_then(|at| letters.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_is_recognised_by_the_end_of_a_run_of_letters() {
        for (name, bot) in [
            ("GPTBot", Some("GPTBot")),
            ("Slackbot-LinkExpanding", Some("Slackbot")),
            ("archive.org_bot", Some("archive.org_bot")),
            ("robots.txt", None),
            ("CUBOT_X50", None),
            ("Bottle", None),
        ] {
            let end = bot_ends(name);
            assert_eq!(end.and_then(|end| name.get(..end)), bot, "{name}");
        }
    }
}
