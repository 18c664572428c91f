//! Role-based access control: what the roles and bindings allow.
//!
//! Bindings are found by their subject, so that a decision looks only at those of the user and its
//! groups. A ClusterRole with an aggregation rule has the rules of the ClusterRoles that it selects, as
//! of now.

mod escalation;
mod rule;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use api::auth::UserInfo;
use api::meta::selector::Labels;
use parking_lot::RwLock;
use serde_json::Value;

use super::Attributes;
pub use escalation::Escalation;
pub(super) use rule::{Rule, quoted};

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
    subjects: Vec<Bound>,
    /// What the role's key is.
    role: Key,
}

/// A subject of a binding.
#[derive(Clone, Debug)]
struct Bound {
    subject: Subject,
    /// How messages show it: `Group "x"`.
    shown: String,
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
        self.find(attributes, |_, _| ())
    }

    /// The same, with the binding that allows it in Kubernetes' words.
    pub(super) fn explain(&self, attributes: &Attributes<'_>) -> Result<String, Option<String>> {
        self.find(attributes, |key, binding| {
            let source = binding.describe(key, attributes.user);
            format!("RBAC: allowed by {source}")
        })
    }

    /// What `found` makes of the first binding that allows the request.
    fn find<T>(
        &self,
        attributes: &Attributes<'_>,
        found: impl Fn(&Key, &Binding) -> T,
    ) -> Result<T, Option<String>> {
        let state = self.state.read();
        let combined = attributes.combined();
        let mut missing = Vec::new();
        let mut allowed = None;
        state.visit(attributes.user, attributes.namespace, |key, binding| {
            match state.rules(&binding.role) {
                Some(rules) => {
                    if rules.iter().any(|r| r.allows(attributes, &combined)) {
                        allowed = Some(found(key, binding));
                    }
                }
                None => missing.push(describe_missing(&binding.role)),
            }
            allowed.is_none()
        });
        allowed.ok_or_else(|| together(missing).map(|missing| format!("RBAC: {missing}")))
    }

    /// The rules that a user has in a namespace, and the problems met on the way.
    pub(super) fn rules(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Option<String>) {
        let state = self.state.read();
        // A binding counts once, however many of its subjects the user is.
        let mut bindings = BTreeMap::new();
        state.visit(user, namespace, |key, binding| {
            bindings.insert(key, binding);
            true
        });
        let (mut all, mut missing) = (Vec::new(), Vec::new());
        for binding in bindings.into_values() {
            match state.rules(&binding.role) {
                Some(rules) => all.extend(rules.into_iter().cloned()),
                None => missing.push(describe_missing(&binding.role)),
            }
        }
        (all, together(missing))
    }
}

/// Several problems as Go joins them: each once, more than one in brackets.
fn together(problems: Vec<String>) -> Option<String> {
    let mut texts: Vec<String> = Vec::with_capacity(problems.len());
    for problem in problems {
        if !texts.contains(&problem) {
            texts.push(problem);
        }
    }
    match texts.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        more => Some(format!("[{}]", more.join(", "))),
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
                for Bound { subject, .. } in &binding.subjects {
                    let keys = self.by_subject.entry(subject.clone()).or_default();
                    keys.insert(key.clone());
                }
                let kept = binding.subjects.clone();
                let old = self.bindings.insert(key.clone(), binding);
                old.map(|mut old| {
                    let is_kept = |old: &Bound| kept.iter().any(|new| new.subject == old.subject);
                    old.subjects.retain(|subject| !is_kept(subject));
                    old
                })
            }
            None => self.bindings.remove(&key),
        };
        for Bound { subject, .. } in old.into_iter().flat_map(|old| old.subjects) {
            if let Some(keys) = self.by_subject.get_mut(&subject) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.by_subject.remove(&subject);
                }
            }
        }
    }

    /// Shows the bindings that a user has, cluster-wide and in a namespace, while `see` returns true.
    /// One of several subjects that the user is comes once for each.
    fn visit<'a>(
        &'a self,
        user: &UserInfo,
        namespace: &str,
        mut see: impl FnMut(&'a Key, &'a Binding) -> bool,
    ) {
        for subject in subjects(user) {
            for key in self.by_subject.get(&subject).into_iter().flatten() {
                let applies = key.0.is_empty() || key.0 == namespace;
                let Some(binding) = self.bindings.get(key).filter(|_| applies) else {
                    continue;
                };
                if !see(key, binding) {
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
                .filter_map(|subject| Bound::read(subject, namespace))
                .collect(),
            role: role_key(namespace, &object["roleRef"]),
        }
    }

    /// How Kubernetes names a binding as what allows something to a user.
    fn describe(&self, (namespace, name): &Key, user: &UserInfo) -> String {
        let (kind, slash) = match namespace.as_str() {
            "" => ("ClusterRoleBinding", ""),
            _ => ("RoleBinding", "/"),
        };
        let role = match self.role.0.as_str() {
            "" => "ClusterRole",
            _ => "Role",
        };
        let own: HashSet<Subject> = subjects(user).collect();
        let bound = self.subjects.iter().find(|b| own.contains(&b.subject));
        let bound = bound.map_or("", |bound| bound.shown.as_str());
        let binding = format!("{name}{slash}{namespace}");
        format!("{kind} {binding:?} of {role} {:?} to {bound}", self.role.1)
    }
}

/// What a user is to bindings: itself and each of its groups.
fn subjects(user: &UserInfo) -> impl Iterator<Item = Subject> {
    let groups = user.groups.iter().cloned().map(Subject::Group);
    std::iter::once(Subject::User(user.name.clone())).chain(groups)
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

impl Bound {
    fn read(subject: &Value, namespace: &str) -> Option<Self> {
        let name = subject["name"].as_str()?;
        let kind = subject["kind"].as_str()?;
        let (subject, shown) = match kind {
            "User" => (Subject::User(name.to_owned()), name.to_owned()),
            "Group" => (Subject::Group(name.to_owned()), name.to_owned()),
            "ServiceAccount" => {
                let namespace = subject["namespace"].as_str().unwrap_or(namespace);
                (
                    Subject::User(format!("system:serviceaccount:{namespace}:{name}")),
                    format!("{name}/{namespace}"),
                )
            }
            _ => return None,
        };
        Some(Self {
            subject,
            shown: format!("{kind} {shown:?}"),
        })
    }
}

#[cfg(test)]
mod tests;
