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

pub mod certificate;
pub mod node;
pub mod rbac;
pub mod service_account;
pub mod token_file;

mod authenticator;
mod known;

use api::auth::{MASTERS, UserInfo};
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
        let mut text = if self.resource.is_empty() {
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
        if attributes.user.in_group(MASTERS) {
            return Decision::Allow;
        }
        let mut reasons = Vec::new();
        match self.known.nodes.authorize(attributes) {
            node::Opinion::Allow => return Decision::Allow,
            node::Opinion::None(reason) => reasons.extend(reason),
        }
        match self.known.rbac.allows(attributes) {
            Ok(()) => Decision::Allow,
            Err(reason) => {
                reasons.extend(reason);
                Decision::Deny(attributes.denial(&reasons))
            }
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
