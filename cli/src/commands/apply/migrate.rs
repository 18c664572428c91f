//! From client-side to server-side apply: what the former owned would stay for ever, because nobody
//! would ever give it up. After an apply by the server, the fields go to its manager.

use serde_json::{Map, Value, json};

use super::LAST_APPLIED;
use crate::client::{Client, Request};
use crate::context::note;
use crate::error::Result;
use crate::target::Wanted;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patch {
    /// The object, by force if the user says so.
    Apply,
    /// The annotation alone, which takes nothing from others.
    Keep,
    /// Changes to managed fields.
    Json,
}

impl Patch {
    /// The content type.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Apply | Self::Keep => "application/apply-patch+yaml",
            Self::Json => "application/json-patch+json",
        }
    }
}

/// Who owns the annotation of client-side apply once nothing else of it is left.
const KEEPER: &str = "kubectl-last-applied";
/// The manager of those who name none; others keep their fields to themselves.
const DEFAULT: &str = "kubectl";
/// How often a change that others got ahead of is tried again.
const TRIES: usize = 5;

/// What a migration needs: `send` makes a request of a body and a manager.
pub(super) struct Migration<'a> {
    pub(super) client: &'a Client,
    pub(super) manager: &'a str,
    pub(super) send: &'a dyn Fn(Patch, &Value, &str) -> Request,
}

impl Migration<'_> {
    /// Does what is needed after an apply, and gives the object as it is then. What fails is no more
    /// than a warning: the object has been applied, and the next apply tries again.
    pub(super) async fn run(&self, target: &Wanted, applied: Value) -> Result<Value> {
        let kept = match self.keep_annotation(applied.clone()).await {
            Ok(object) => object,
            Err(error) => {
                note(&format!(
                    "Warning: failed to migrate {LAST_APPLIED} for Server-Side Apply. This is non-fatal and will be retried next time you apply. Error: {error}"
                ));
                return Ok(applied);
            }
        };
        let moved = match self.move_fields(target, &kept).await {
            Ok(true) => {
                self.client
                    .json((self.send)(Patch::Apply, &target.object, self.manager))
                    .await
            }
            Ok(false) => return Ok(kept),
            Err(error) => {
                note(&format!(
                    "Warning: server rejected managed fields migration to Server-Side Apply. This is non-fatal and will be retried next time you apply. Error: {error}"
                ));
                return Ok(kept);
            }
        };
        moved.or_else(|error| {
            note(&format!(
                "Warning: failed to re-apply configuration after performing Server-Side Apply migration. This is non-fatal and will be retried next time you apply. Error: {error}"
            ));
            Ok(kept)
        })
    }

    /// Gives the annotation an owner of its own, so that it goes away only when it should.
    async fn keep_annotation(&self, object: Value) -> Result<Value> {
        let Some(text) = api::meta::annotation(&object, LAST_APPLIED) else {
            return Ok(object);
        };
        if self.manager != DEFAULT || entries(&object).iter().any(|e| owns(e, "Apply")) {
            return Ok(object);
        }
        let mut only = json!({
            "apiVersion": object["apiVersion"], "kind": object["kind"],
            "metadata": {"name": api::meta::name(&object), "annotations": {LAST_APPLIED: text}},
        });
        let namespace = api::meta::namespace(&object);
        if !namespace.is_empty() {
            only["metadata"]["namespace"] = namespace.into();
        }
        self.client
            .json((self.send)(Patch::Keep, &only, KEEPER))
            .await
    }

    /// Gives the fields of client-side apply to the manager. Tells whether there were any.
    async fn move_fields(&self, target: &Wanted, object: &Value) -> Result<bool> {
        let of_client = entries(object).iter().filter(|e| owns(e, "Update"));
        let managers: Vec<String> = of_client
            .filter_map(|e| e["manager"].as_str().map(str::to_owned))
            .collect();
        let mut object = object.clone();
        let mut tries = 0;
        loop {
            let mut moved = entries(&object).to_vec();
            for old in &managers {
                moved = taken_over(moved, old, self.manager);
            }
            if moved == entries(&object) {
                return Ok(false);
            }
            let patch = json!([
                {"op": "replace", "path": "/metadata/managedFields", "value": moved},
                // An object that is another by now is a conflict.
                {"op": "replace", "path": "/metadata/resourceVersion", "value": object["metadata"]["resourceVersion"]},
            ]);
            let request = (self.send)(Patch::Json, &patch, self.manager);
            match self.client.json(request).await {
                Ok(_) => return Ok(true),
                Err(error) if error.reason() == "Conflict" && tries < TRIES => {
                    tries += 1;
                    object = self.client.json(Request::get(target.path())).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn entries(object: &Value) -> &[Value] {
    let entries = object["metadata"]["managedFields"].as_array();
    entries.map_or(&[], Vec::as_slice)
}

/// Whether an entry of managed fields owns the annotation by this operation.
fn owns(entry: &Value, operation: &str) -> bool {
    let annotations = &entry["fieldsV1"]["f:metadata"]["f:annotations"];
    entry["operation"] == operation && annotations.get(format!("f:{LAST_APPLIED}")).is_some()
}

/// The entries after `new` has taken over what `old` had by updates.
fn taken_over(mut entries: Vec<Value>, old: &str, new: &str) -> Vec<Value> {
    let of = |entry: &Value, manager: &str, operation: &str| {
        entry["manager"] == manager
            && entry["operation"] == operation
            && entry["subresource"].as_str().unwrap_or_default().is_empty()
    };
    let applied = entries.iter().position(|e| of(e, new, "Apply"));
    let Some(at) = applied.or_else(|| entries.iter().position(|e| of(e, old, "Update"))) else {
        return entries;
    };
    let version = entries[at]["apiVersion"].clone();
    let same = |entry: &&Value| of(entry, old, "Update") && entry["apiVersion"] == version;
    let fields = entries.iter().find(same).map(|e| e["fieldsV1"].clone());
    entries[at]["operation"] = "Apply".into();
    entries[at]["manager"] = new.into();
    if let Some(fields) = fields {
        unite(&mut entries[at]["fieldsV1"], &fields);
    }
    entries.retain(|entry| !of(entry, old, "Update"));
    entries
}

/// Adds a set of fields to another.
fn unite(into: &mut Value, from: &Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else {
        return;
    };
    for (name, below) in from {
        let Some(known) = into.get_mut(name) else {
            into.insert(name.clone(), below.clone());
            continue;
        };
        // A field without any below is owned itself; with some it is only if a dot says so.
        let empty = |fields: &Value| fields.as_object().is_some_and(Map::is_empty);
        if empty(known) != empty(below) {
            known["."] = Value::Object(Map::new());
        }
        unite(known, below);
    }
}
