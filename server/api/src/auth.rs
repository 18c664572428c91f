//! Who is asking: the identity that every request carries.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The group of every request that proved who it is.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of requests without credentials.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group that no authorizer refuses.
pub const MASTERS: &str = "system:masters";
/// The group of node identities, each named `system:node:NAME`.
pub const NODES: &str = "system:nodes";

/// An authenticated user, as `authentication.k8s.io/v1` `UserInfo` has it.
///
/// An in-process client puts one into the extensions of its HTTP requests, as an `Arc`, and a connection
/// the one that its client certificate names. Extensions don't cross a network, so one that is present
/// when a request reaches the server can be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// The name, `system:serviceaccount:NAMESPACE:NAME` for a service account.
    pub name: String,
    /// The unique id, empty unless the authenticator knows one.
    pub uid: String,
    /// The groups, [`AUTHENTICATED`] included.
    pub groups: Vec<String>,
    /// What else the authenticator knows, such as the node a token is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// A component of the control plane, in [`AUTHENTICATED`] and the given groups.
    pub fn component(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().copied().chain([AUTHENTICATED]);
        Self {
            name: name.to_owned(),
            groups: groups.map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// The user as objects hold it, without what is empty.
    pub fn to_value(&self) -> Value {
        let mut fields = Map::new();
        let mut set = |field: &str, value: Value, empty: bool| {
            if !empty {
                fields.insert(field.to_owned(), value);
            }
        };
        set("username", self.name.as_str().into(), self.name.is_empty());
        set("uid", self.uid.as_str().into(), self.uid.is_empty());
        set("groups", self.groups.clone().into(), self.groups.is_empty());
        let extra = self.extra.iter();
        let extra = extra.map(|(key, values)| (key.clone(), values.clone().into()));
        set(
            "extra",
            Value::Object(extra.collect()),
            self.extra.is_empty(),
        );
        fields.into()
    }

    /// Whether the user is a member of `group`.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}
