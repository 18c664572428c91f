//! The tables, and how their values are encoded. All numbers are little-endian.
//!
//! ```text
//! value    sum u64 | the value
//! changes  sum u64 | one of these for each key of the commit:
//!              index u32 | deleted u8 | created u64 | previous revision u64 | previous index u32
//!              | key length u32 | key
//! ```
//!
//! `sum` covers what follows it. `index` says where in `values` the value is. The previous revision is
//! the one that put the value before the change, 0 when there was none.

use bytes::Bytes;
use redb::TableDefinition;

use crate::Revision;

/// What the `state` table says that it is.
pub(super) const FORMAT_NUMBER: u64 = 1;

/// One row: format, revision, reserved, compacted.
pub(super) const STATE: TableDefinition<'_, (), (u64, u64, u64, u64)> =
    TableDefinition::new("state");
/// Revision → what the commit did.
pub(super) const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
/// Revision, index → value.
pub(super) const VALUES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("values");

/// Where a value is: the revision that put it, and its index in that commit.
pub(super) type Location = (Revision, u32);

/// What is on disk, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The last commit on disk.
    pub(super) revision: Revision,
    /// Where revisions go on after a crash: none after it has been given out.
    pub(super) reserved: Revision,
    /// The oldest revision that can be read.
    pub(super) compacted: Revision,
}

/// What a commit did to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) index: u32,
    pub(super) deleted: bool,
    pub(super) created: Revision,
    pub(super) previous: Option<Location>,
    pub(super) key: Bytes,
}

/// Writes the numbers.
pub(super) fn set_state(
    transaction: &redb::WriteTransaction,
    state: State,
) -> Result<(), redb::Error> {
    let row = (
        FORMAT_NUMBER,
        state.revision,
        state.reserved,
        state.compacted,
    );
    transaction.open_table(STATE)?.insert((), row)?;
    Ok(())
}

/// A sum that tells damaged bytes from good ones; it withstands no attacker.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = bytes.len() as u64;
    for word in words {
        sum = mix(sum, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let sum = mix(sum, u64::from_le_bytes(last));
    sum ^ (sum >> 32)
}

/// What follows the sum, if the sum is right.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (expected, rest) = bytes.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*expected) == sum(rest)).then_some(rest)
}

/// How long an encoded value is.
pub(super) fn value_length(value: &[u8]) -> usize {
    8 + value.len()
}

/// Encodes a value into a space of [`value_length`].
pub(super) fn encode_value(value: &[u8], out: &mut [u8]) {
    out[..8].copy_from_slice(&sum(value).to_le_bytes());
    out[8..].copy_from_slice(value);
}

/// Decodes a value, `None` when it is damaged.
pub(super) fn decode_value(bytes: &[u8]) -> Option<Bytes> {
    checked(bytes).map(Bytes::copy_from_slice)
}

/// Encodes what a commit did.
pub(super) fn encode_changes(changes: &[Change]) -> Vec<u8> {
    let mut out = vec![0; 8];
    for change in changes {
        let (revision, index) = change.previous.unwrap_or_default();
        out.extend_from_slice(&change.index.to_le_bytes());
        out.push(change.deleted.into());
        out.extend_from_slice(&change.created.to_le_bytes());
        out.extend_from_slice(&revision.to_le_bytes());
        out.extend_from_slice(&index.to_le_bytes());
        // A key is a path of some hundred bytes at most.
        out.extend_from_slice(&(change.key.len() as u32).to_le_bytes());
        out.extend_from_slice(&change.key);
    }
    let sum = sum(&out[8..]);
    out[..8].copy_from_slice(&sum.to_le_bytes());
    out
}

/// Decodes what a commit did, `None` when it is damaged.
pub(super) fn decode_changes(bytes: &[u8]) -> Option<Vec<Change>> {
    let mut rest = checked(bytes)?;
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let index = u32::from_le_bytes(*take(&mut rest)?);
        let [deleted] = *take::<1>(&mut rest)?;
        let created = u64::from_le_bytes(*take(&mut rest)?);
        let revision = u64::from_le_bytes(*take(&mut rest)?);
        let previous = u32::from_le_bytes(*take(&mut rest)?);
        let length = u32::from_le_bytes(*take(&mut rest)?);
        let (key, after) = rest.split_at_checked(length as usize)?;
        rest = after;
        changes.push(Change {
            index,
            deleted: deleted != 0,
            created,
            previous: (revision != 0).then_some((revision, previous)),
            key: Bytes::copy_from_slice(key),
        });
    }
    Some(changes)
}

/// Takes so many bytes off the front.
pub(super) fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_values_decode_to_what_was_encoded_and_show_any_flipped_bit() {
        let change = |key: &'static str, previous: Option<Location>| Change {
            index: 3,
            deleted: previous.is_some(),
            created: 7,
            previous,
            key: Bytes::from_static(key.as_bytes()),
        };
        let changes = [change("a", None), change("/registry/b", Some((6, 1)))];
        let mut encoded = encode_changes(&changes);
        assert_eq!(decode_changes(&encoded).unwrap(), changes);
        let mut value = vec![0; value_length(b"some value")];
        encode_value(b"some value", &mut value);
        assert_eq!(decode_value(&value).unwrap(), "some value");
        for bit in 0..encoded.len() * 8 {
            encoded[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_changes(&encoded).is_none(), "bit {bit}");
            encoded[bit / 8] ^= 1 << (bit % 8);
        }
        for bit in 0..value.len() * 8 {
            value[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_value(&value).is_none(), "bit {bit}");
            value[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(decode_value(b"short").is_none());
    }
}
