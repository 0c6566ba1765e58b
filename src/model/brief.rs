//! Reads the body that most records have without serde, which takes three times as long: each request reads one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What `MessagePack` begins these with.
const NIL: u8 = 0xc0;
const U8: u8 = 0xcc;
const TEXT_8: u8 = 0xd9;
const TEXT_16: u8 = 0xda;
const ARRAY_OF_3: u8 = 0x93;

/// What an address begins with: a map of its variant to an array of 4 or 16 octets.
const V4: &[u8] = b"\x81\xa2V4\x94";
const V6: &[u8] = b"\x81\xa2V6\xdc\x00\x10";

/// A body of three fields.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Brief<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) address: Option<IpAddr>,
    pub(super) user_agent: Option<&'a str>,
}

/// The body is of another form.
struct Other;

impl<'a> Brief<'a> {
    /// `None` if the body is anything else, which serde reads or refuses.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let mut rest = body.strip_prefix(&[ARRAY_OF_3])?;
        let brief = Self {
            user: text(&mut rest).ok()?,
            address: address(&mut rest).ok()?,
            user_agent: text(&mut rest).ok()?,
        };
        rest.is_empty().then_some(brief)
    }
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a str>, Other> {
    let len = match byte(rest)? {
        NIL => return Ok(None),
        short @ 0xa0..=0xbf => usize::from(short & 0x1f),
        TEXT_8 => byte(rest)?.into(),
        TEXT_16 => u16::from_be_bytes([byte(rest)?, byte(rest)?]).into(),
        _ => return Err(Other),
    };
    let text = rest.split_off(..len).ok_or(Other)?;
    str::from_utf8(text).map(Some).map_err(|_error| Other)
}

fn address(rest: &mut &[u8]) -> Result<Option<IpAddr>, Other> {
    if let Some(after) = rest.strip_prefix(V4) {
        *rest = after;
        return Ok(Some(Ipv4Addr::from(octets(rest)?).into()));
    }
    if let Some(after) = rest.strip_prefix(V6) {
        *rest = after;
        return Ok(Some(Ipv6Addr::from(octets(rest)?).into()));
    }
    match byte(rest)? {
        NIL => Ok(None),
        _ => Err(Other),
    }
}

fn octets<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Other> {
    let mut octets = [0; N];
    for octet in &mut octets {
        *octet = match byte(rest)? {
            small @ 0..=0x7f => small,
            U8 => byte(rest)?,
            _ => return Err(Other),
        };
    }
    Ok(octets)
}

fn byte(rest: &mut &[u8]) -> Result<u8, Other> {
    rest.split_off_first().copied().ok_or(Other)
}
