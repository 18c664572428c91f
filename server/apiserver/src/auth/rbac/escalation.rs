//! Who may grant what: nobody can give what they don't have, unless they were given the verb `escalate`
//! on the role or `bind` on what a binding refers to.

use std::collections::{BTreeMap, BTreeSet};

use api::auth::{MASTERS, UserInfo};
use serde_json::Value;

use super::rule::quoted;
use super::{Attributes, GROUP, Index, Rule, describe_missing, role_key};

/// Why a role or binding may not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Escalation {
    /// The user lacks rights that it would grant. The text is what follows `roles "x" is forbidden: `.
    #[error("{0}")]
    Forbidden(String),
    /// The role that a binding refers to does not exist, and the user has no right to bind it.
    #[error("{0}")]
    RoleNotFound(String),
}

impl Index {
    /// Checks that a user may write an object of a kind of RBAC; other kinds pass. `namespace` is empty
    /// for cluster-wide ones; `old` is what it replaces.
    pub fn check_escalation(
        &self,
        user: &UserInfo,
        kind: &str,
        namespace: &str,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), Escalation> {
        if user.in_group(MASTERS) {
            return Ok(());
        }
        let unchanged = |field: &str| old.is_some_and(|old| old[field] == object[field]);
        match kind {
            "Role" | "ClusterRole" => {
                if unchanged("rules") && unchanged("aggregationRule") {
                    return Ok(());
                }
                self.check_role(user, kind, namespace, object)
            }
            "RoleBinding" | "ClusterRoleBinding" => {
                if unchanged("roleRef") && unchanged("subjects") {
                    return Ok(());
                }
                self.check_binding(user, namespace, object)
            }
            _ => Ok(()),
        }
    }

    fn check_role(
        &self,
        user: &UserInfo,
        kind: &str,
        namespace: &str,
        object: &Value,
    ) -> Result<(), Escalation> {
        let resource = match kind {
            "Role" => "roles",
            _ => "clusterroles",
        };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if self.may(user, "escalate", resource, namespace, name) {
            return Ok(());
        }
        let aggregates = !object["aggregationRule"].is_null();
        let everything = ["*".to_owned()];
        let all = Rule {
            groups: everything.to_vec(),
            resources: everything.to_vec(),
            verbs: everything.to_vec(),
            ..Rule::default()
        };
        if aggregates && !self.missing(user, namespace, &[&all]).is_empty() {
            let text = "must have cluster-admin privileges to use the aggregationRule";
            return Err(Escalation::Forbidden(text.to_owned()));
        }
        let rules = Rule::list(&object["rules"]);
        self.check_rules(user, namespace, &rules.iter().collect::<Vec<_>>())
    }

    fn check_binding(
        &self,
        user: &UserInfo,
        namespace: &str,
        object: &Value,
    ) -> Result<(), Escalation> {
        let role = role_key(namespace, &object["roleRef"]);
        let resource = match role.0.as_str() {
            "" => "clusterroles",
            _ => "roles",
        };
        if self.may(user, "bind", resource, namespace, &role.1) {
            return Ok(());
        }
        let rules: Vec<Rule> = {
            let state = self.state.read();
            let Some(rules) = state.rules(&role) else {
                return Err(Escalation::RoleNotFound(describe_missing(&role)));
            };
            rules.into_iter().cloned().collect()
        };
        self.check_rules(user, namespace, &rules.iter().collect::<Vec<_>>())
    }

    fn may(
        &self,
        user: &UserInfo,
        verb: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> bool {
        let attributes = Attributes {
            user,
            verb,
            group: GROUP,
            resource,
            subresource: "",
            namespace,
            name,
            field_selector: "",
            path: "",
        };
        self.allows(&attributes).is_ok()
    }

    fn check_rules(
        &self,
        user: &UserInfo,
        namespace: &str,
        rules: &[&Rule],
    ) -> Result<(), Escalation> {
        let missing = self.missing(user, namespace, rules);
        if missing.is_empty() {
            return Ok(());
        }
        let missing: BTreeSet<String> = merge_verbs(missing).iter().map(Rule::compact).collect();
        let missing: Vec<String> = missing.into_iter().collect();
        Err(Escalation::Forbidden(format!(
            "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name,
            quoted(&user.groups),
            missing.join("\n"),
        )))
    }

    /// The parts of the rules that none of the user's own covers.
    fn missing(&self, user: &UserInfo, namespace: &str, rules: &[&Rule]) -> Vec<Rule> {
        let state = self.state.read();
        let mut own = Vec::new();
        state.visit(user, namespace, |_, binding| {
            own.extend(state.rules(&binding.role).into_iter().flatten());
            true
        });
        let atoms = rules.iter().flat_map(|rule| rule.atoms());
        atoms
            .filter(|atom| !own.iter().any(|rule| rule.covers(atom)))
            .collect()
    }
}

/// Rules that differ only in their verb become one.
fn merge_verbs(rules: Vec<Rule>) -> Vec<Rule> {
    let mut merged: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    for mut rule in rules {
        let verbs = std::mem::take(&mut rule.verbs);
        let all = merged.entry(rule).or_default();
        for verb in verbs {
            if !all.contains(&verb) {
                all.push(verb);
            }
        }
    }
    merged
        .into_iter()
        .map(|(rule, verbs)| Rule { verbs, ..rule })
        .collect()
}
