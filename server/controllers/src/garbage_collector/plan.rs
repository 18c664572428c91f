//! What becomes of an object whose owners have changed. No I/O.
//!
//! ```text
//! being deleted, orphan ──────► let dependents go ──► drop finalizer
//! being deleted, foreground ──► delete dependents ──► none blocks ──► drop finalizer
//! some owner is there ────────► drop references to owners that are gone
//! all owners gone ────────────► delete
//! ```

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::{Deserialize, Serialize};

/// What an owner reference points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Owner {
    /// An object that is there.
    Present,
    /// An object that waits for this one to be deleted.
    Waiting,
    /// Nothing: the name is free, or another object's.
    Gone,
}

/// A dependent of the object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dependent {
    /// Its uid.
    pub(crate) uid: String,
    /// Whether it keeps an owner that is deleted in the foreground.
    pub(crate) blocks: bool,
    /// Whether it waits for its own dependents.
    pub(crate) foreground: bool,
    /// Whether it is being deleted.
    #[serde(default)]
    pub(crate) deleting: bool,
}

/// What a plan is made from.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Observed {
    /// The object is being deleted.
    pub(crate) deleting: bool,
    /// It has the finalizer `foregroundDeletion`.
    pub(crate) foreground: bool,
    /// It has the finalizer `orphan`.
    pub(crate) orphans: bool,
    /// Its owner references and what they point to.
    pub(crate) owners: Vec<(OwnerReference, Owner)>,
    /// The objects that it owns.
    pub(crate) dependents: Vec<Dependent>,
}

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Propagation {
    /// They are kept.
    Orphan,
    /// They are deleted first.
    Foreground,
    /// They are deleted later.
    Background,
}

/// What is to be done.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    /// Nothing.
    Nothing,
    /// Remove the object from the owners of these dependents, then drop `orphan`.
    LetGo(Vec<String>),
    /// Look at these dependents: they are to be deleted because this object waits for them.
    Press(Vec<String>),
    /// Drop `foregroundDeletion`.
    Finish,
    /// Remove these owners, by uid.
    Disown(Vec<String>),
    /// Delete the object. `unblock` says that its references must first stop to block, because one of
    /// its dependents waits in turn and the circle would never open.
    Delete {
        /// What happens to its dependents.
        propagation: Propagation,
        /// Whether its references must first stop to block.
        unblock: bool,
    },
}

/// Decides.
pub(crate) fn plan(observed: &Observed) -> Action {
    if observed.deleting {
        return while_deleting(observed);
    }
    let with = |state: Owner| {
        let owners = observed.owners.iter().filter(move |(_, s)| *s == state);
        owners.map(|(owner, _)| owner.uid.clone())
    };
    let (present, waiting) = (with(Owner::Present).count(), with(Owner::Waiting).count());
    if observed.owners.is_empty() {
        return Action::Nothing;
    }
    if present > 0 {
        let useless: Vec<String> = with(Owner::Gone).chain(with(Owner::Waiting)).collect();
        return match useless.is_empty() {
            true => Action::Nothing,
            false => Action::Disown(useless),
        };
    }
    if waiting > 0 && !observed.dependents.is_empty() {
        return Action::Delete {
            propagation: Propagation::Foreground,
            unblock: observed.dependents.iter().any(|d| d.foreground),
        };
    }
    let propagation = match (observed.orphans, observed.foreground) {
        (true, _) => Propagation::Orphan,
        (_, true) => Propagation::Foreground,
        _ => Propagation::Background,
    };
    Action::Delete {
        propagation,
        unblock: false,
    }
}

fn while_deleting(observed: &Observed) -> Action {
    let dependents = &observed.dependents;
    let uids = |keep: fn(&&Dependent) -> bool| {
        let kept = dependents.iter().filter(keep);
        kept.map(|d| d.uid.clone()).collect()
    };
    if observed.orphans {
        return Action::LetGo(uids(|_| true));
    }
    if !observed.foreground {
        return Action::Nothing;
    }
    match dependents.iter().any(|d| d.blocks) {
        true => Action::Press(uids(|d| d.blocks && !d.deleting)),
        false => Action::Finish,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn plans_are_as_in_the_test_data() {
        crate::testing::check_plans("garbage_collector", |observed| super::plan(&observed));
    }
}
