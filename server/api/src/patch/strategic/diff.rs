//! What a strategic merge patch must say to turn one object into another.

use serde_json::{Map, Value};

use super::{
    DELETE_FROM, DIRECTIVE, Fields, RETAIN_KEYS, SET_ORDER, below, field_of, no_merge_key, order,
};
use crate::patch::{PatchError, go_text};
use crate::schema::Schema;

/// Which differences a diff reports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What is new or changed.
    Changes,
    /// What is gone.
    Deletions,
    /// All.
    Both,
}

impl Wanted {
    fn changes(self) -> bool {
        self != Self::Deletions
    }

    fn deletions(self) -> bool {
        self != Self::Changes
    }
}

/// The patch from one map to another; empty if there is nothing to say.
pub(super) fn maps(
    original: &Fields,
    modified: &Fields,
    schema: Option<&Schema>,
    wanted: Wanted,
) -> Result<Fields, PatchError> {
    retaining_maps(original, modified, schema, wanted, false)
}

fn retaining_maps(
    original: &Fields,
    modified: &Fields,
    schema: Option<&Schema>,
    wanted: Wanted,
    retain: bool,
) -> Result<Fields, PatchError> {
    let mut patch = Map::new();
    for (key, value) in modified {
        let field = field_of(schema, key);
        match (original.get(key), value) {
            (Some(Value::Object(_)), Value::Object(_))
                if field.is_some_and(|f| f.patch.replace) =>
            {
                // Kubernetes sends such an object even when it has not changed.
                let sent = wanted.changes().then(|| (key.clone(), value.clone()));
                patch.extend(sent);
            }
            (Some(Value::Object(before)), Value::Object(after)) => {
                let retain = field.is_some_and(|f| f.patch.retain_keys);
                let below = retaining_maps(before, after, below(field), wanted, retain)?;
                if !below.is_empty() {
                    patch.insert(key.clone(), Value::Object(below));
                }
            }
            (Some(Value::Array(before)), Value::Array(after))
                if field.is_some_and(|f| f.patch.merge) =>
            {
                let merge_key = field.and_then(|f| f.merge_key);
                let retain = field.is_some_and(|f| f.patch.retain_keys);
                let lists = Lists {
                    before,
                    after,
                    schema: below(field),
                    key: merge_key,
                    wanted,
                    retain,
                };
                lists.diff(key, &mut patch)?;
            }
            (Some(before), after) if before == after => {}
            (_, after) if wanted.changes() => {
                patch.insert(key.clone(), after.clone());
            }
            _ => {}
        }
    }
    if wanted.deletions() {
        for key in original.keys().filter(|key| !modified.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    let retained = || modified.iter().filter(|(_, v)| !v.is_null());
    let more = || original.keys().any(|key| !modified.contains_key(key));
    if retain && retained().next().is_some() && (!patch.is_empty() || more()) {
        let keys: Vec<Value> = retained().map(|(k, _)| k.as_str().into()).collect();
        patch.insert(RETAIN_KEYS.to_owned(), keys.into());
    }
    Ok(patch)
}

/// Two lists that merge.
struct Lists<'a> {
    before: &'a [Value],
    after: &'a [Value],
    schema: Option<&'static Schema>,
    key: Option<&'a str>,
    wanted: Wanted,
    retain: bool,
}

impl Lists<'_> {
    fn diff(&self, name: &str, patch: &mut Fields) -> Result<(), PatchError> {
        if self.before.is_empty() {
            if !self.after.is_empty() && self.wanted.changes() {
                patch.insert(name.to_owned(), self.after.to_vec().into());
            }
            return Ok(());
        }
        if order::are_objects(self.before.iter().chain(self.after))? {
            return self.diff_objects(name, patch);
        }
        let (added, deleted) = self.scalars();
        // Kubernetes compares with a list that it has sorted in place; clients see its patches.
        let changed = sorted(self.before) != self.after;
        let reorder =
            (self.wanted.deletions() && !deleted.is_empty()) || (self.wanted.changes() && changed);
        if !added.is_empty() {
            patch.insert(
                name.to_owned(),
                order::sorted(added, self.after, None).into(),
            );
        }
        if !deleted.is_empty() {
            let deleted = order::without_repetition(deleted);
            patch.insert(format!("{DELETE_FROM}/{name}"), deleted.into());
        }
        if reorder && !self.after.is_empty() {
            patch.insert(format!("{SET_ORDER}/{name}"), self.after.to_vec().into());
        }
        Ok(())
    }

    fn diff_objects(&self, name: &str, patch: &mut Fields) -> Result<(), PatchError> {
        let key = self.key.unwrap_or_default();
        let entries = self.objects(key)?;
        let same_order = self.before.len() == self.after.len()
            && self
                .before
                .iter()
                .zip(self.after)
                .all(|(b, a)| b.get(key) == a.get(key));
        let reorder = (self.wanted.changes() && (!entries.is_empty() || !same_order))
            || (self.wanted.deletions() && !entries.is_empty());
        if !entries.is_empty() {
            patch.insert(name.to_owned(), entries.into());
        }
        if reorder && !self.after.is_empty() {
            let identities = order::identities(self.after, self.key).into_iter();
            let named: Vec<Value> = identities
                .map(|value| Value::Object(Fields::from_iter([(key.to_owned(), value)])))
                .collect();
            patch.insert(format!("{SET_ORDER}/{name}"), named.into());
        }
        Ok(())
    }

    /// Changed and new entries in the order of the new list, then those to delete.
    fn objects(&self, key: &str) -> Result<Vec<Value>, PatchError> {
        let (before, after) = (by_text(self.before, key)?, by_text(self.after, key)?);
        let mut changed = Vec::new();
        let mut deleted = Vec::new();
        let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
        loop {
            let which = match (before.peek(), after.peek()) {
                (None, None) => break,
                (None, _) => std::cmp::Ordering::Greater,
                (_, None) => std::cmp::Ordering::Less,
                (Some((before, _)), Some((after, _))) => before.cmp(after),
            };
            let (old, new) = match which {
                std::cmp::Ordering::Equal => (before.next(), after.next()),
                std::cmp::Ordering::Less => (before.next(), None),
                std::cmp::Ordering::Greater => (None, after.next()),
            };
            match (old, new) {
                (Some((_, old)), Some((_, new))) => {
                    let (Some(old), Some(fields)) = (old.as_object(), new.as_object()) else {
                        continue;
                    };
                    let mut below =
                        retaining_maps(old, fields, self.schema, self.wanted, self.retain)?;
                    if !below.is_empty() {
                        below.insert(key.to_owned(), new[key].clone());
                        changed.push(Value::Object(below));
                    }
                }
                (None, Some((_, new))) if self.wanted.changes() => changed.push(new.clone()),
                (Some((_, old)), None) if self.wanted.deletions() => {
                    deleted.push(Value::Object(Fields::from_iter([
                        (DIRECTIVE.to_owned(), "delete".into()),
                        (key.to_owned(), old[key].clone()),
                    ])));
                }
                _ => {}
            }
        }
        let identities = order::identities(self.after, self.key);
        let mut entries = order::sorted(changed, &identities, self.key);
        entries.extend(deleted);
        Ok(entries)
    }

    /// Values that are new, and values that are gone.
    fn scalars(&self) -> (Vec<Value>, Vec<Value>) {
        let mut before = sorted(self.before).into_iter().peekable();
        let mut after = sorted(self.after).into_iter().peekable();
        let (mut added, mut deleted) = (Vec::new(), Vec::new());
        loop {
            let which = match (before.peek(), after.peek()) {
                (None, None) => break,
                (None, _) => std::cmp::Ordering::Greater,
                (_, None) => std::cmp::Ordering::Less,
                (Some(before), Some(after)) => go_text(before).cmp(&go_text(after)),
            };
            match which {
                std::cmp::Ordering::Equal => {
                    before.next();
                    after.next();
                }
                std::cmp::Ordering::Less => deleted.extend(before.next()),
                std::cmp::Ordering::Greater => added.extend(after.next()),
            }
        }
        if !self.wanted.changes() {
            added.clear();
        }
        if !self.wanted.deletions() {
            deleted.clear();
        }
        (added, deleted)
    }
}

/// Plain values sorted by their text.
fn sorted(list: &[Value]) -> Vec<Value> {
    let mut list = list.to_vec();
    list.sort_by_cached_key(go_text);
    list
}

/// A list's entries sorted by the text of their merge key.
fn by_text<'a>(list: &'a [Value], key: &str) -> Result<Vec<(String, &'a Value)>, PatchError> {
    let mut entries = Vec::with_capacity(list.len());
    for entry in list {
        let value = entry.get(key).ok_or_else(|| no_merge_key(entry, key))?;
        entries.push((go_text(value), entry));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}
