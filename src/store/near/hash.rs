//! A hash of tags under random keys.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes hashes of tags. Others choose the tags of forged tokens, but without the keys they cannot make their hashes
/// collide.
///
/// This is multilinear hashing (Lemire and Kaser, "Strongly universal string hashing is fast"): for any two tags, all
/// pairs of hashes are equally likely.
#[derive(Clone, Copy, Debug)]
pub(super) struct TagHashes {
    first: u128,
    eight: u128,
    four: u128,
}

impl Default for TagHashes {
    fn default() -> Self {
        // The source of random keys that the standard library has for its own maps.
        let random = RandomState::new();
        let key = |number: u8| {
            let [upper, lower] = [0, 1].map(|half: u8| u128::from(random.hash_one((number, half))));
            upper << 64 | lower
        };
        Self {
            first: key(0),
            eight: key(1),
            four: key(2),
        }
    }
}

impl BuildHasher for TagHashes {
    type Hasher = TagHash;

    #[inline]
    fn build_hasher(&self) -> TagHash {
        TagHash {
            keys: *self,
            sum: self.first,
        }
    }
}

/// The hash of one tag.
#[derive(Debug)]
pub(super) struct TagHash {
    keys: TagHashes,
    sum: u128,
}

impl Hasher for TagHash {
    #[inline]
    fn write(&mut self, tag: &[u8]) {
        // A tag has twelve bytes. What is longer is cut, and what is shorter filled up.
        let mut words = [0; 16];
        words.iter_mut().zip(tag).for_each(|(to, from)| *to = *from);
        let both = u128::from_le_bytes(words);
        let (eight, four) = (both & u128::from(u64::MAX), both >> 64);
        let sum = self.keys.eight.wrapping_mul(eight);
        let sum = sum.wrapping_add(self.keys.four.wrapping_mul(four));
        self.sum = self.sum.wrapping_add(sum);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The upper half depends on all bits of a tag.
        u64::try_from(self.sum >> 64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tag;

    #[test]
    fn a_tag_has_one_hash_under_the_same_keys_and_each_of_its_bytes_changes_it() {
        let keys = TagHashes::default();
        let tag = [7; 12];
        let hash = |tag: [u8; 12]| keys.hash_one(Tag::from_bytes(tag));

        for at in 0..12 {
            let mut other = tag;
            other[at] ^= 1;

            assert_ne!(hash(tag), hash(other), "{at}");
        }
        assert_eq!(hash(tag), hash(tag));
        assert_ne!(
            hash(tag),
            TagHashes::default().hash_one(Tag::from_bytes(tag))
        );
    }
}
