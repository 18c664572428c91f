//! Questions to the server: what kinds ask that are answered and stored nowhere, see
//! [`Kind::answer`](crate::kind::Kind::answer).

use jiff::Timestamp;

use crate::auth::UserInfo;

/// Something that a user may or may not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access<'a> {
    /// The verb; for a path that is no resource, the HTTP method in lower case.
    pub verb: &'a str,
    /// The API group, empty for the core group.
    pub group: &'a str,
    /// The plural; empty for a path that is no resource.
    pub resource: &'a str,
    /// Such as `status`; empty for the resource itself.
    pub subresource: &'a str,
    /// Empty for the cluster scope and for all namespaces.
    pub namespace: &'a str,
    /// Empty for all names.
    pub name: &'a str,
    /// The field selector of a list or watch.
    pub field_selector: &'a str,
    /// The path, for one that is no resource.
    pub path: &'a str,
}

/// Whether a user may do something. Nobody is refused for good: what one authorizer has no opinion of,
/// another might allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the user may.
    pub allowed: bool,
    /// Why, in Kubernetes' words; empty where there is nothing to say.
    pub reason: String,
}

/// One rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The verbs.
    pub verbs: Vec<String>,
    /// The API groups of the resources.
    pub groups: Vec<String>,
    /// The resources.
    pub resources: Vec<String>,
    /// The names that it is limited to; none for no limit.
    pub names: Vec<String>,
    /// The paths that are no resources.
    pub urls: Vec<String>,
}

/// What a user may do in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Whether the user may do more than can be listed.
    pub incomplete: bool,
    /// What went wrong on the way, or empty.
    pub error: String,
}

/// Whose a token is, and for which of the audiences it is good that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    /// The user.
    pub user: UserInfo,
    /// The audiences.
    pub audiences: Vec<String>,
}

/// Who answers: authentication and authorization of the server, as far as one request is concerned.
pub trait Authority {
    /// Who asks.
    fn asker(&self) -> &UserInfo;

    /// When.
    fn now(&self) -> Timestamp;

    /// Whether a user may do something.
    fn access(&self, user: &UserInfo, access: &Access<'_>) -> Verdict;

    /// What the asker may do in a namespace.
    fn rules(&self, namespace: &str) -> Rules;

    /// Whose a token is; the error is why it is nobody's. Without audiences: those of this API.
    fn bearer(&self, token: &str, audiences: &[&str]) -> Result<Bearer, String>;
}
