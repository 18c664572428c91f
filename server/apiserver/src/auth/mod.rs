//! Who a request is from, and whether they may do what it asks.
//!
//! ```text
//! request ──Authenticator──► UserInfo ──Attributes──► Authorizer ──► Allow | Deny("User … cannot …")
//!           in-process user             system:masters, nodes, RBAC
//!           client certificate                ▲
//!           bearer token                    Known ◄── observe(kind, …) ── watch cache
//! ```
//!
//! | module | what it decides |
//! |---|---|
//! | [`token_file`] | the tokens of `--token-auth-file` |
//! | [`certificate`] | the user that a client certificate names |
//! | [`service_account`] | issuing and checking the tokens of service accounts |
//! | [`rbac`] | what roles and bindings allow, and who may grant what |
//! | [`node`] | what a node may read and write |
//! | [`impersonation`] | whom a user may act as |

pub mod certificate;
pub mod impersonation;
pub mod node;
pub mod rbac;
pub mod service_account;
pub mod token_file;

mod authenticator;
mod known;

use api::auth::{MASTERS, UserInfo};
use api::review::{Rule, Rules, Verdict};
use std::sync::Arc;

pub use authenticator::{Authenticator, Unauthenticated};
pub use known::Known;

/// What a request wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a UserInfo,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for a path
    /// that is no resource, the HTTP method in lower case.
    pub verb: &'a str,
    /// The API group, empty for the core group.
    pub group: &'a str,
    /// The plural; empty when the path is no resource.
    pub resource: &'a str,
    /// Such as `status`; empty for the resource itself.
    pub subresource: &'a str,
    /// Empty at the cluster scope and across namespaces. For a `namespaces` object, its own name.
    pub namespace: &'a str,
    /// Empty when it is not in the path, nor selected by `metadata.name`.
    pub name: &'a str,
    /// The field selector of a list or watch.
    pub field_selector: &'a str,
    /// The path, for one that is no resource.
    pub path: &'a str,
}

/// Whether a request may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, with Kubernetes' words for it, to follow `pods is forbidden: `.
    Deny(String),
}

impl Attributes<'_> {
    /// Whether it is about a resource, not about some other path.
    fn is_resource(&self) -> bool {
        !self.resource.is_empty() || self.path.is_empty()
    }

    /// The resource with its subresource, as RBAC rules name it.
    fn combined(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }

    /// How Kubernetes says no.
    fn denial(&self, reasons: &[String]) -> String {
        let (user, verb) = (&self.user.name, self.verb);
        let mut text = if !self.is_resource() {
            format!("User {user:?} cannot {verb} path {:?}", self.path)
        } else {
            let (resource, group) = (self.combined(), self.group);
            let place = match self.namespace {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {namespace:?}"),
            };
            format!(
                "User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {place}"
            )
        };
        if !reasons.is_empty() {
            text.push_str(": ");
            text.push_str(&reasons.join("\n"));
        }
        text
    }
}

/// Decides what users may do: members of `system:masters` all, nodes what [`node`] says, and everybody
/// what RBAC allows.
#[derive(Clone, Debug)]
pub struct Authorizer {
    known: Arc<Known>,
}

impl Authorizer {
    /// An authorizer that knows what `known` observes.
    pub fn new(known: Arc<Known>) -> Self {
        Self { known }
    }

    /// Decides on a request.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        match self.decide(attributes, |rbac| rbac.allows(attributes)) {
            Ok(_) => Decision::Allow,
            Err(reasons) => Decision::Deny(attributes.denial(&reasons)),
        }
    }

    /// Decides on a request that nobody makes, and says why.
    pub fn review(&self, attributes: &Attributes<'_>) -> Verdict {
        let decided = self.decide(attributes, |rbac| rbac.explain(attributes));
        let allowed = decided.is_ok();
        let reason = match decided {
            Ok(reason) => reason.unwrap_or_default(),
            Err(reasons) => reasons.join("\n"),
        };
        Verdict { allowed, reason }
    }

    /// Asks one authorizer after the other. `Ok` is what RBAC has found, if it was that; `Err` what each
    /// has to say.
    fn decide<T>(
        &self,
        attributes: &Attributes<'_>,
        ask_rbac: impl Fn(&rbac::Index) -> Result<T, Option<String>>,
    ) -> Result<Option<T>, Vec<String>> {
        if attributes.user.in_group(MASTERS) {
            return Ok(None);
        }
        let mut reasons = Vec::new();
        match self.known.nodes.authorize(attributes) {
            node::Opinion::Allow => return Ok(None),
            node::Opinion::None(reason) => {
                reasons.extend(reason.map(|reason| format!("node: {reason}")));
            }
        }
        ask_rbac(&self.known.rbac).map(Some).map_err(|reason| {
            reasons.extend(reason.map(|reason| format!("rbac: {reason}")));
            reasons
        })
    }

    /// What a user may do in a namespace. What a node may do is not all of it a rule.
    pub fn rules(&self, user: &UserInfo, namespace: &str) -> Rules {
        let (rules, problem) = self.known.rbac.rules(user, namespace);
        let incomplete = node::name(user).is_some();
        let unlisted = "node authorizer does not support user rule resolution".to_owned();
        let problems: Vec<String> = incomplete
            .then_some(unlisted)
            .into_iter()
            .chain(problem)
            .collect();
        Rules {
            rules: rules.into_iter().map(Rule::from).collect(),
            incomplete,
            error: match problems.as_slice() {
                [node, rbac] => format!("[{node}, {rbac}]"),
                one => one.concat(),
            },
        }
    }

    /// The RBAC index, for checks against escalation.
    pub fn rbac(&self) -> &rbac::Index {
        &self.known.rbac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes<'a>(user: &'a UserInfo) -> Attributes<'a> {
        Attributes {
            user,
            verb: "list",
            group: "",
            resource: "pods",
            subresource: "",
            namespace: "default",
            name: "",
            field_selector: "",
            path: "/api/v1/namespaces/default/pods",
        }
    }

    #[test]
    fn a_denial_reads_as_kubernetes_words_it() {
        let authorizer = Authorizer::new(Arc::default());
        let user = UserInfo::component("x", &[]);
        let deny = |attributes: Attributes<'_>| match authorizer.authorize(&attributes) {
            Decision::Deny(text) => text,
            Decision::Allow => panic!("allowed: {attributes:?}"),
        };
        assert_eq!(
            deny(attributes(&user)),
            r#"User "x" cannot list resource "pods" in API group "" in the namespace "default""#
        );
        let cluster = Attributes {
            namespace: "",
            group: "apps",
            resource: "deployments",
            subresource: "scale",
            ..attributes(&user)
        };
        assert_eq!(
            deny(cluster),
            r#"User "x" cannot list resource "deployments/scale" in API group "apps" at the cluster scope"#
        );
        let path = Attributes {
            verb: "get",
            resource: "",
            path: "/metrics",
            ..attributes(&user)
        };
        assert_eq!(deny(path), r#"User "x" cannot get path "/metrics""#);
    }

    #[test]
    fn masters_may_do_everything() {
        let authorizer = Authorizer::new(Arc::default());
        let user = UserInfo::component("x", &[MASTERS]);
        let decision = authorizer.authorize(&attributes(&user));
        assert_eq!(decision, Decision::Allow);
    }
}
