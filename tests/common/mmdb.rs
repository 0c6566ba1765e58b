//! Writes small `MaxMind` DB files (format 2.0): a search tree of 24-bit records, a data section,
//! the metadata.

use std::{fs, net::IpAddr, path::Path};

/// Names by language.
pub(crate) type Names<'a> = &'a [(&'a str, &'a str)];

/// A database of IPv6 addresses under construction, with IPv4 in `::/96`.
pub(crate) struct Mmdb {
    nodes: Vec<[Record; 2]>,
    data: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// The bytes between the tree and the data.
const SEPARATOR: [u8; 16] = [0; 16];
const METADATA: &[u8] = b"\xab\xcd\xefMaxMind.com";

const TEXT: u8 = 2;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
const UINT64: u8 = 9;
const ARRAY: u8 = 11;

impl Mmdb {
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![[Record::Nothing; 2]],
            data: Vec::new(),
        }
    }

    /// Adds a network such as `2.125.160.0/24`, which must not overlap with another.
    pub(crate) fn add(mut self, network: &str, city: Names<'_>, country: Names<'_>) -> Self {
        let at = self.data.len();
        put_map(&mut self.data, 2);
        for (what, names) in [("city", city), ("country", country)] {
            put_text(&mut self.data, what);
            put_map(&mut self.data, 1);
            put_text(&mut self.data, "names");
            put_map(&mut self.data, names.len());
            for (language, name) in names {
                put_text(&mut self.data, language);
                put_text(&mut self.data, name);
            }
        }
        self.insert(network, at);
        self
    }

    fn insert(&mut self, network: &str, data: usize) {
        let (address, length) = network.split_once('/').unwrap();
        let length: usize = length.parse().unwrap();
        let (bits, length) = match address.parse().unwrap() {
            IpAddr::V4(address) => (u128::from(u32::from(address)), length + 96),
            IpAddr::V6(address) => (u128::from(address), length),
        };
        let side = |depth: usize| usize::from(bits >> (127 - depth) & 1 == 1);
        let mut node = 0;
        for depth in 0..length - 1 {
            node = match self.nodes[node][side(depth)] {
                Record::Node(next) => next,
                Record::Data(_) => panic!("{network} overlaps with another"),
                Record::Nothing => {
                    let next = self.nodes.len();
                    self.nodes.push([Record::Nothing; 2]);
                    self.nodes[node][side(depth)] = Record::Node(next);
                    next
                }
            };
        }
        self.nodes[node][side(length - 1)] = Record::Data(data);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = self.nodes.len();
        let mut bytes = Vec::new();
        for record in self.nodes.iter().flatten() {
            let value = match record {
                Record::Nothing => count,
                Record::Node(node) => *node,
                Record::Data(at) => count + SEPARATOR.len() + at,
            };
            let value = u32::try_from(value).unwrap().to_be_bytes();
            bytes.extend(&value[1..]);
        }
        bytes.extend(SEPARATOR);
        bytes.extend(&self.data);
        bytes.extend(METADATA);
        put_map(&mut bytes, 9);
        put_text(&mut bytes, "binary_format_major_version");
        put_uint(&mut bytes, UINT16, 2);
        put_text(&mut bytes, "binary_format_minor_version");
        put_uint(&mut bytes, UINT16, 0);
        put_text(&mut bytes, "build_epoch");
        put_uint(&mut bytes, UINT64, 1_760_000_000);
        put_text(&mut bytes, "database_type");
        put_text(&mut bytes, "Test-City");
        put_text(&mut bytes, "description");
        put_map(&mut bytes, 0);
        put_text(&mut bytes, "ip_version");
        put_uint(&mut bytes, UINT16, 6);
        put_text(&mut bytes, "languages");
        put_control(&mut bytes, ARRAY, 0);
        put_text(&mut bytes, "node_count");
        put_uint(&mut bytes, UINT32, u64::try_from(count).unwrap());
        put_text(&mut bytes, "record_size");
        put_uint(&mut bytes, UINT16, 24);
        bytes
    }

    pub(crate) fn write(&self, path: &Path) {
        fs::write(path, self.bytes()).unwrap();
    }
}

/// The type and size in front of a value. A type above 7 has a byte of its own.
fn put_control(bytes: &mut Vec<u8>, kind: u8, size: usize) {
    let (short, long) = match size {
        0..29 => (size, None),
        29..285 => (29, Some(size - 29)),
        _ => panic!("too long for this writer: {size}"),
    };
    let short = u8::try_from(short).unwrap();
    if kind > 7 {
        bytes.extend([short, kind - 7]);
    } else {
        bytes.push(kind << 5 | short);
    }
    bytes.extend(long.map(|long| u8::try_from(long).unwrap()));
}

fn put_map(bytes: &mut Vec<u8>, pairs: usize) {
    put_control(bytes, MAP, pairs);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_control(bytes, TEXT, text.len());
    bytes.extend(text.as_bytes());
}

/// The bytes without leading zeros.
fn put_uint(bytes: &mut Vec<u8>, kind: u8, value: u64) {
    let digits = value.to_be_bytes();
    let start = digits.iter().take_while(|byte| **byte == 0).count();
    put_control(bytes, kind, digits.len() - start);
    bytes.extend(&digits[start..]);
}
