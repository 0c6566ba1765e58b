//! Whether two clients look like the same browser in the same network.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::label::product;
use crate::model::{Client, client::network};

/// Whether addresses and user agents are alike. Nearly every request comes from the same client as the one
/// before, so that this comes first and allocates nothing.
pub(crate) fn alike(
    (address, agent): (Option<IpAddr>, Option<&[u8]>),
    (address_before, agent_before): (Option<IpAddr>, Option<&[u8]>),
) -> bool {
    let networks = match (address, address_before) {
        (Some(now), Some(before)) => now == before || network(now) == network(before),
        // Without an address nothing is known.
        (None, _) | (_, None) => true,
    };
    networks
        && match (agent, agent_before) {
            (Some(now), Some(before)) => now == before || words(now).eq(words(before)),
            (now, before) => now.is_none() && before.is_none(),
        }
}

/// Whether these clients have the same network, browser and system.
pub(crate) fn same_client(now: &Client, before: &Client) -> bool {
    let agents = [now, before].map(|client| client.user_agent().map(str::as_bytes));
    let [agent, agent_before] = agents;
    let (address, address_before) = (now.address(), before.address());
    alike((address, agent), (address_before, agent_before))
        || (alike((address, None), (address_before, None))
            && agent.is_some() == agent_before.is_some()
            && product(now) == product(before))
}

/// A number for network, browser and system.
pub(crate) fn mark(client: &Client) -> u64 {
    let mut hash = Sha256::new();
    hash.update(client.address().map_or([0; 16], network));
    hash.update(product(client));
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// A user agent without its versions: a browser that was updated is the same browser.
fn words(agent: &[u8]) -> impl Iterator<Item = &u8> {
    let version = |byte: &&u8| !byte.is_ascii_digit() && !matches!(byte, b'.' | b'_');
    agent.iter().filter(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
                          Gecko) Chrome/142.0.0.0 Safari/537.36";

    fn client(address: &str, agent: &str) -> Client {
        Client::new()
            .with_address(address.parse().ok())
            .with_user_agent(Some(agent.as_bytes()))
    }

    #[test]
    fn a_newer_version_of_a_browser_is_alike_at_first_glance() {
        let is_alike = |now: &str, before: &str| {
            let [now, before] = [now, before].map(|agent| (None, Some(agent.as_bytes())));
            alike(now, before)
        };
        for now in [
            CHROME.replace("142.0", "143.1"),
            CHROME.replace("142.0.0.0", "99.1"),
            CHROME.replace("NT 10.0", "NT 10_0_1"),
        ] {
            assert!(is_alike(&now, CHROME), "{now}");
        }
        assert!(!is_alike(&CHROME.replace("Chrome", "Chromium"), CHROME));

        // Nothing else is known of these: neither browser nor system.
        let now = client("192.0.2.1", "Kiosk (rev 2.10)");
        assert!(same_client(&now, &client("192.0.2.1", "Kiosk (rev 2.9)")));
        assert!(!same_client(&now, &client("192.0.2.1", "Panel (rev 2.10)")));
    }

    #[test]
    fn an_address_in_the_same_network_and_a_newer_version_are_the_same_client() {
        let before = client("192.0.2.1", CHROME);
        for (address, agent) in [
            ("192.0.2.254", CHROME.to_owned()),
            ("::ffff:192.0.2.9", CHROME.to_owned()),
            ("unknown", CHROME.to_owned()),
            ("192.0.2.1", CHROME.replace("142.0", "143.1")),
            ("192.0.2.1", CHROME.replace("142.0.0.0", "143.0.1")),
            (
                "192.0.2.1",
                CHROME.replace("Windows NT 10.0", "Windows NT 10_0_1"),
            ),
            // Other words, but the same browser and system.
            ("192.0.2.1", CHROME.replace("Win64; x64", "WOW64")),
        ] {
            let now = client(address, &agent);
            assert!(same_client(&now, &before), "{address} {agent}");
        }

        let v6 = client("2001:db8:1:2::1", CHROME);
        assert!(same_client(&client("2001:db8:1:ff::9", CHROME), &v6));
        assert!(!same_client(&client("2001:db8:1:102::1", CHROME), &v6));
    }

    #[test]
    fn another_network_and_another_browser_are_another_client() {
        let before = client("192.0.2.1", CHROME);
        for now in [
            client("192.0.3.1", CHROME),
            client("2001:db8::1", CHROME),
            client("192.0.2.1", "curl/8.5.0"),
            client("192.0.2.1", &CHROME.replace("Windows NT", "Macintosh")),
            client("192.0.2.1", ""),
        ] {
            assert!(!same_client(&now, &before), "{now:?}");
            assert_ne!(mark(&now), mark(&before), "{now:?}");
        }
    }
}
