//! The slot of a key.

/// How many slots a Cluster has.
pub(in super::super) const SLOTS: u16 = 16_384;

/// The slot of a key: of what stands between its braces.
///
/// `redis::cluster_routing::Slot` does not show its number.
pub(in super::super) fn of(key: &str) -> u16 {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map(|(tag, _)| tag)
        .filter(|tag| !tag.is_empty());
    crc(tag.unwrap_or(key).as_bytes()) % SLOTS
}

/// The slot of a session set, of whose tag this is the text.
pub(in super::super) fn of_tag(tag: &[u8; 16]) -> u16 {
    crc(tag) % SLOTS
}

/// CRC16 of XMODEM.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::cluster_routing::Slot;

    use super::*;

    #[test]
    fn it_is_the_one_that_the_client_library_takes() {
        for number in 0..1_000 {
            for key in [
                format!("sessions:{{tag-{number}}}"),
                format!("plain-{number}"),
                format!("{{}}-{number}"),
                format!("a}}{{b{number}}}c}}"),
            ] {
                assert_eq!(Slot::new(of(&key)), Some(Slot::for_key(&key)), "{key}");
            }
        }
        assert_eq!(of("123456789"), 12_739);
    }
}
