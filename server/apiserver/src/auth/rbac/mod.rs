//! Role-based access control: what the roles and bindings allow.
//!
//! Bindings are found by their subject, so that a decision looks only at those of the user and its
//! groups. A ClusterRole with an aggregation rule has the rules of the ClusterRoles that it selects, as
//! of now.

mod escalation;
mod rule;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use api::auth::UserInfo;
use api::meta::selector::Labels;
use parking_lot::RwLock;
use serde_json::Value;

use super::Attributes;
pub use escalation::Escalation;
pub(super) use rule::Rule;

/// The group of roles, with which their names are qualified in messages.
const GROUP: &str = "rbac.authorization.k8s.io";

/// What the roles and bindings of the cluster allow.
#[derive(Debug, Default)]
pub struct Index {
    state: RwLock<State>,
}

/// Namespace, empty for a ClusterRole or ClusterRoleBinding; name.
type Key = (String, String);

#[derive(Debug, Default)]
struct State {
    roles: HashMap<Key, Role>,
    bindings: HashMap<Key, Binding>,
    /// The bindings of each subject.
    by_subject: HashMap<Subject, BTreeSet<Key>>,
}

#[derive(Debug)]
struct Role {
    labels: BTreeMap<String, String>,
    rules: Vec<Rule>,
    /// The selectors of the aggregation rule.
    aggregates: Vec<Labels>,
}

#[derive(Debug)]
struct Binding {
    subjects: Vec<Subject>,
    /// What the role's key is.
    role: Key,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    User(String),
    Group(String),
}

impl Index {
    /// Takes note of a Role, RoleBinding, ClusterRole or ClusterRoleBinding as it now is, `None` when it
    /// is gone. Other kinds are ignored.
    pub fn set(&self, kind: &str, namespace: &str, name: &str, object: Option<&Value>) {
        let key = (namespace.to_owned(), name.to_owned());
        match kind {
            "Role" | "ClusterRole" => {
                let mut state = self.state.write();
                match object {
                    Some(object) => state.roles.insert(key, Role::read(object)),
                    None => state.roles.remove(&key),
                };
            }
            "RoleBinding" | "ClusterRoleBinding" => {
                let binding = object.map(|object| Binding::read(namespace, object));
                self.state.write().set_binding(key, binding);
            }
            _ => {}
        }
    }

    /// Whether a rule allows the request. If none does: the problems met on the way, if any, in
    /// Kubernetes' words.
    pub(super) fn allows(&self, attributes: &Attributes<'_>) -> Result<(), Option<String>> {
        let state = self.state.read();
        let combined = attributes.combined();
        let mut missing = Vec::new();
        let mut allowed = false;
        state.visit(attributes.user, attributes.namespace, |role| {
            match state.rules(role) {
                Some(rules) => {
                    allowed = allowed || rules.iter().any(|r| r.allows(attributes, &combined));
                }
                None => missing.push(describe_missing(role)),
            }
            !allowed
        });
        if allowed {
            return Ok(());
        }
        Err(match missing.as_slice() {
            [] => None,
            [one] => Some(format!("RBAC: {one}")),
            more => Some(format!("RBAC: [{}]", more.join(", "))),
        })
    }
}

/// How Kubernetes words that a role does not exist.
fn describe_missing((namespace, name): &Key) -> String {
    let kind = if namespace.is_empty() {
        "clusterrole"
    } else {
        "role"
    };
    format!("{kind}.{GROUP} {name:?} not found")
}

impl State {
    fn set_binding(&mut self, key: Key, binding: Option<Binding>) {
        let old = match binding {
            Some(binding) => {
                for subject in &binding.subjects {
                    let keys = self.by_subject.entry(subject.clone()).or_default();
                    keys.insert(key.clone());
                }
                let kept = binding.subjects.clone();
                let old = self.bindings.insert(key.clone(), binding);
                old.map(|mut old| {
                    old.subjects.retain(|subject| !kept.contains(subject));
                    old
                })
            }
            None => self.bindings.remove(&key),
        };
        for subject in old.into_iter().flat_map(|old| old.subjects) {
            if let Some(keys) = self.by_subject.get_mut(&subject) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.by_subject.remove(&subject);
                }
            }
        }
    }

    /// Shows the roles that a user has, cluster-wide and in a namespace, while `see` returns true.
    fn visit<'a>(&'a self, user: &UserInfo, namespace: &str, mut see: impl FnMut(&'a Key) -> bool) {
        let groups = user.groups.iter().cloned().map(Subject::Group);
        let subjects = std::iter::once(Subject::User(user.name.clone())).chain(groups);
        for subject in subjects {
            for key in self.by_subject.get(&subject).into_iter().flatten() {
                let applies = key.0.is_empty() || key.0 == namespace;
                let Some(binding) = self.bindings.get(key).filter(|_| applies) else {
                    continue;
                };
                if !see(&binding.role) {
                    return;
                }
            }
        }
    }

    /// The rules of a role, those that it aggregates included; `None` when there is no such role.
    fn rules<'a>(&'a self, role: &'a Key) -> Option<Vec<&'a Rule>> {
        let mut rules = Vec::new();
        let mut seen = BTreeSet::new();
        self.collect(role, &mut seen, &mut rules)?;
        Some(rules)
    }

    fn collect<'a>(
        &'a self,
        key: &'a Key,
        seen: &mut BTreeSet<&'a Key>,
        rules: &mut Vec<&'a Rule>,
    ) -> Option<()> {
        let role = self.roles.get(key)?;
        if !seen.insert(key) {
            return Some(());
        }
        if role.aggregates.is_empty() {
            rules.extend(&role.rules);
            return Some(());
        }
        for (other, candidate) in &self.roles {
            let selected =
                other.0.is_empty() && role.aggregates.iter().any(|s| s.matches(&candidate.labels));
            if selected {
                self.collect(other, seen, rules);
            }
        }
        Some(())
    }
}

impl Role {
    fn read(object: &Value) -> Self {
        let labels = object["metadata"]["labels"].as_object();
        let labels = labels.into_iter().flatten();
        let selectors = object["aggregationRule"]["clusterRoleSelectors"].as_array();
        Self {
            labels: labels
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            rules: Rule::list(&object["rules"]),
            // One that can't be read selects nothing.
            aggregates: selectors
                .into_iter()
                .flatten()
                .filter_map(|selector| Labels::from_selector(selector).ok())
                .collect(),
        }
    }
}

impl Binding {
    fn read(namespace: &str, object: &Value) -> Self {
        let subjects = object["subjects"].as_array().into_iter().flatten();
        Self {
            subjects: subjects
                .filter_map(|subject| Subject::read(subject, namespace))
                .collect(),
            role: role_key(namespace, &object["roleRef"]),
        }
    }
}

/// The key of the role that a binding in `namespace` refers to.
fn role_key(namespace: &str, role_ref: &Value) -> Key {
    let text = |field: &str| role_ref[field].as_str().unwrap_or_default();
    let namespace = match text("kind") {
        "Role" => namespace,
        _ => "",
    };
    (namespace.to_owned(), text("name").to_owned())
}

impl Subject {
    fn read(subject: &Value, namespace: &str) -> Option<Self> {
        let name = subject["name"].as_str()?;
        match subject["kind"].as_str()? {
            "User" => Some(Self::User(name.to_owned())),
            "Group" => Some(Self::Group(name.to_owned())),
            "ServiceAccount" => {
                let namespace = subject["namespace"].as_str().unwrap_or(namespace);
                Some(Self::User(format!(
                    "system:serviceaccount:{namespace}:{name}"
                )))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
