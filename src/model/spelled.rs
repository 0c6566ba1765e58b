//! The 48 bytes that 64 characters of base64url spell.

/// Set in the value of a character that is not one of base64url.
const NONE: u8 = 0x80;

/// Reads no table and branches on no character, so that its time says nothing about a token. 64 characters have no
/// bits left over, so there is one spelling only.
pub(super) fn decode(text: &[u8; 64]) -> Option<[u8; 48]> {
    let mut sextets = [0; 64];
    let mut all = 0;
    for (sextet, character) in sextets.iter_mut().zip(text) {
        *sextet = sextet_of(*character);
        all |= *sextet;
    }
    let mut bytes = [0; 48];
    let (eights, _) = sextets.as_chunks::<8>();
    let (sixes, _) = bytes.as_chunks_mut::<6>();
    for (six, eight) in sixes.iter_mut().zip(eights) {
        *six = pack(u64::from_be_bytes(*eight));
    }
    (all & NONE == 0).then_some(bytes)
}

/// A compiler can do this to sixteen characters at a time.
fn sextet_of(character: u8) -> u8 {
    let one_of = |first: u8, count: u8| {
        let at = character.wrapping_sub(first);
        if at < count { u8::MAX } else { 0 }
    };
    let (upper, lower, digit) = (one_of(b'A', 26), one_of(b'a', 26), one_of(b'0', 10));
    let (minus, underscore) = (one_of(b'-', 1), one_of(b'_', 1));
    let to = |value: u8, first: u8| value.wrapping_sub(first);
    let shift = upper & to(0, b'A')
        | lower & to(26, b'a')
        | digit & to(52, b'0')
        | minus & to(62, b'-')
        | underscore & to(63, b'_');
    let known = upper | lower | digit | minus | underscore;
    known & character.wrapping_add(shift) | !known & NONE
}

/// Eight times six bits, the first ones in the highest byte.
fn pack(sextets: u64) -> [u8; 6] {
    let twelves = (sextets >> 2) & 0x0FC0_0FC0_0FC0_0FC0 | sextets & 0x003F_003F_003F_003F;
    let twenty_fours = (twelves >> 4) & 0x00FF_F000_00FF_F000 | twelves & 0x0000_0FFF_0000_0FFF;
    let [_, _, six @ ..] =
        ((twenty_fours >> 8) & 0xFFFF_FF00_0000 | twenty_fours & 0x00FF_FFFF).to_be_bytes();
    six
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn every_byte_in_every_place_is_read_as_base64_does() {
        let bytes: [u8; 48] = std::array::from_fn(|at| (at * 37 + 11).to_le_bytes()[0]);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        for at in 0..64 {
            for other in 0..=u8::MAX {
                let mut text: [u8; 64] = text.as_bytes().try_into().unwrap();
                text[at] = other;

                let theirs = URL_SAFE_NO_PAD.decode(text).ok();

                assert_eq!(decode(&text).map(Vec::from), theirs, "{other} at {at}");
            }
        }
    }
}
