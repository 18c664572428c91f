//! The order of lists that are merged: the patch's entries in the patch's order, the others where
//! they stood.

use serde_json::Value;

use super::{DIRECTIVE, bad_type, malformed, no_merge_key};
use crate::patch::PatchError;

/// What tells entries apart: the merge key's value, or the entry itself.
fn identity<'a>(entry: &'a Value, key: Option<&str>) -> &'a Value {
    match key {
        Some(key) => entry.get(key).unwrap_or(&Value::Null),
        None => entry,
    }
}

/// The identities of a list's entries.
pub(super) fn identities(list: &[Value], key: Option<&str>) -> Vec<Value> {
    list.iter().map(|e| identity(e, key).clone()).collect()
}

/// Whether a list's entries are objects. They must all be of one kind, and not lists.
pub(super) fn are_objects<'a>(
    entries: impl Iterator<Item = &'a Value>,
) -> Result<bool, PatchError> {
    let mut kind = None;
    for entry in entries {
        if entry.is_array() {
            return Err(malformed("lists of lists are not supported"));
        }
        if *kind.get_or_insert(entry.is_object()) != entry.is_object() {
            return Err(malformed("list element types are not identical"));
        }
    }
    Ok(kind.unwrap_or_default())
}

/// Drops repeated values as Kubernetes does: the last value takes the place of a repeated one.
pub(super) fn without_repetition(mut values: Vec<Value>) -> Vec<Value> {
    let mut i = 0;
    while i < values.len() {
        let mut j = i + 1;
        while j < values.len() {
            if values[i] == values[j] {
                values.swap_remove(j);
            } else {
                j += 1;
            }
        }
        i += 1;
    }
    values
}

/// The entries of a patch must come in the order that it sets.
pub(super) fn check(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    if key.is_some()
        && let Some(bad) = patch.iter().chain(order).find(|e| !e.is_object())
    {
        return Err(bad_type("map", bad));
    }
    let plain = |entry: &&Value| entry.get(DIRECTIVE).is_none();
    let mut order_left = order.iter();
    for entry in patch.iter().filter(plain) {
        if let Some(key) = key
            && entry.get(key).is_none()
        {
            return Err(no_merge_key(entry, key));
        }
        let same = |o: &Value| identity(o, key) == identity(entry, key);
        if !order_left.any(same) {
            let text = |list: &[Value]| crate::patch::go_text(&Value::from(list.to_vec()));
            return Err(malformed(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                text(patch),
                text(order)
            )));
        }
    }
    Ok(())
}

/// Brings a merged list into order: entries that `wanted` names as it has them, the others as they
/// are in `server_order`, and both kinds relative to each other as on the server where that is known.
pub(super) fn arrange(
    merged: Vec<Value>,
    wanted: &[Value],
    server_order: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    if let Some(key) = key
        && let Some(bad) = merged.iter().find(|entry| entry.get(key).is_none())
    {
        return Err(no_merge_key(bad, key));
    }
    let (ours, theirs): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|entry| wanted.contains(identity(entry, key)));
    let ours = sorted(ours, wanted, key);
    let theirs = sorted(theirs, server_order, key);
    let position = |entry: &Value| server_order.iter().position(|o| o == identity(entry, key));
    let mut arranged = Vec::with_capacity(ours.len() + theirs.len());
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    loop {
        let server_first = match (theirs.peek(), ours.peek()) {
            (None, None) => return Ok(arranged),
            (None, _) => false,
            (_, None) => true,
            (Some(theirs), Some(ours)) => {
                let both = position(theirs).zip(position(ours));
                both.is_some_and(|(theirs, ours)| theirs < ours)
            }
        };
        let next = if server_first {
            theirs.next()
        } else {
            ours.next()
        };
        arranged.extend(next);
    }
}

/// Sorts by the place in `order`; entries to delete come last.
pub(super) fn sorted(mut list: Vec<Value>, order: &[Value], key: Option<&str>) -> Vec<Value> {
    list.sort_by_cached_key(|entry| {
        let place = order.iter().position(|o| o == identity(entry, key));
        let deleted = entry.get(DIRECTIVE).is_some_and(|d| d == "delete");
        (deleted, place)
    });
    list
}
