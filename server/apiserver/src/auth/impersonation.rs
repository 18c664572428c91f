//! Acting as somebody else: the `Impersonate-` headers, and who may use them (KEP-5284).
//!
//! There are several modes, tried one after the other. All but the last need two rights: to act as that
//! user (`impersonate:MODE`), and to do in this mode what the request does (`impersonate-on:MODE:VERB`).
//!
//! ```text
//! associated-node   a pod's service account as the pod's node
//! arbitrary-node    any node
//! serviceaccount    a service account
//! user-info         everybody else, with uid, groups and extra
//! (legacy)          everybody, whatever the request does: the verb `impersonate`
//! ```
//!
//! When no mode allows it, the refusal of the first one that applies is shown.

use std::collections::BTreeMap;

use api::auth::{AUTHENTICATED, MASTERS, NODES, UNAUTHENTICATED, UserInfo};
use api::field::go_quoted;
use api::meta::name;
use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{Attributes, Authorizer, Decision};

const ANONYMOUS: &str = "system:anonymous";
const EXTRA: &str = "impersonate-extra-";
/// The group of what `authentication.k8s.io` defines of a user.
const GROUP: &str = "authentication.k8s.io";
/// From so many groups or values on, the right to all of them is asked for first.
const MANY: usize = 4;

/// Why somebody may not act as somebody else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The headers make no sense.
    #[error("{0}")]
    Malformed(String),
    /// The right is missing.
    #[error("{why}")]
    Forbidden {
        /// The API group of what may not be used.
        group: String,
        /// Its plural, empty for a path that is no resource.
        resource: String,
        /// Its name, or empty.
        name: String,
        /// Kubernetes' words, to follow `users "x" is forbidden: `.
        why: String,
    },
}

/// The user that the headers ask for, as they give it.
pub fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>, Refused> {
    let mut names = headers.keys().map(|name| name.as_str());
    if !names.any(|name| name.starts_with("impersonate-")) {
        return Ok(None);
    }
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let one = |header: &str| headers.get(header).map(text).unwrap_or_default();
    let mut user = UserInfo {
        name: one("impersonate-user"),
        uid: one("impersonate-uid"),
        groups: headers
            .get_all("impersonate-group")
            .iter()
            .map(text)
            .collect(),
        extra: BTreeMap::new(),
    };
    for header in headers.keys() {
        let Some(key) = header.as_str().strip_prefix(EXTRA) else {
            continue;
        };
        let decoded = percent_decode_str(key).decode_utf8();
        let key = decoded.map_or_else(|_| key.to_owned(), |key| key.into_owned());
        let values = headers.get_all(header).iter().map(text);
        user.extra.entry(key).or_default().extend(values);
    }
    if !user.name.is_empty() {
        return Ok(Some(user));
    }
    match only_name(&user) {
        true => Ok(None),
        false => Err(Refused::Malformed(format!(
            "requested {} without impersonating a user name",
            go_syntax(&user)
        ))),
    }
}

/// The user that a request is to act as, with the groups that it then has, if the one who makes the
/// request (that of `attributes`) may act so.
pub fn act_as(
    authorizer: &Authorizer,
    wanted: &UserInfo,
    attributes: &Attributes<'_>,
) -> Result<UserInfo, Refused> {
    let mut first = None;
    for mode in Mode::ALL {
        if !mode.fits(wanted, attributes.user) {
            continue;
        }
        match mode.act_as(authorizer, wanted, attributes) {
            Ok(user) => return Ok(user),
            Err(refused) => first = first.or(Some(refused)),
        }
    }
    Err(first.unwrap_or_else(|| Refused::Malformed("all impersonation modes failed".to_owned())))
}

/// A way to act as somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Legacy,
}

impl Mode {
    const ALL: [Self; 5] = [
        Self::AssociatedNode,
        Self::ArbitraryNode,
        Self::ServiceAccount,
        Self::UserInfo,
        Self::Legacy,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::AssociatedNode => "associated-node",
            Self::ArbitraryNode => "arbitrary-node",
            Self::ServiceAccount => "serviceaccount",
            Self::UserInfo => "user-info",
            Self::Legacy => "legacy",
        }
    }

    /// Whether a user can be acted as in this mode.
    fn fits(self, wanted: &UserInfo, asker: &UserInfo) -> bool {
        let node = node(&wanted.name);
        let account = service_account(&wanted.name);
        match self {
            Self::AssociatedNode => {
                let own = asker.extra.get("authentication.kubernetes.io/node-name");
                let own = own.and_then(|names| match names.as_slice() {
                    [one] => Some(one.as_str()),
                    _ => None,
                });
                node.is_some()
                    && own == node
                    && service_account(&asker.name).is_some()
                    && only_name(wanted)
            }
            Self::ArbitraryNode => node.is_some() && only_name(wanted),
            Self::ServiceAccount => account.is_some() && only_name(wanted),
            Self::UserInfo => node.is_none() && account.is_none(),
            Self::Legacy => true,
        }
    }

    fn act_as(
        self,
        authorizer: &Authorizer,
        wanted: &UserInfo,
        attributes: &Attributes<'_>,
    ) -> Result<UserInfo, Refused> {
        let mut verb = "impersonate".to_owned();
        if self != Self::Legacy {
            let on = format!("impersonate-on:{}:{}", self.name(), attributes.verb);
            permit(
                authorizer,
                &Attributes {
                    verb: &on,
                    ..*attributes
                },
            )?;
            verb = format!("impersonate:{}", self.name());
        }
        let rights = Rights {
            authorizer,
            asker: attributes.user,
            mode: self,
            verb: &verb,
        };
        rights.name(wanted)?;
        rights.uid(&wanted.uid)?;
        rights.groups(&wanted.groups)?;
        rights.extra(&wanted.extra)?;
        Ok(self.completed(wanted))
    }

    /// The user with the groups that it has by its name.
    fn completed(self, wanted: &UserInfo) -> UserInfo {
        let mut user = wanted.clone();
        if user.groups.is_empty()
            && let Some((namespace, _)) = service_account(&user.name)
        {
            user.groups = vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
            ];
        }
        if self != Self::Legacy && node(&user.name).is_some() {
            user.groups = vec![NODES.to_owned()];
        }
        let group = match user.name.as_str() {
            ANONYMOUS => UNAUTHENTICATED,
            _ if user.in_group(UNAUTHENTICATED) => return user,
            _ => AUTHENTICATED,
        };
        if !user.in_group(group) {
            user.groups.push(group.to_owned());
        }
        user
    }
}

/// The rights to each part of a user.
struct Rights<'a> {
    authorizer: &'a Authorizer,
    asker: &'a UserInfo,
    mode: Mode,
    verb: &'a str,
}

impl Rights<'_> {
    fn may(&self, group: &str, resource: &str, part: (&str, &str, &str)) -> Result<(), Refused> {
        let (subresource, namespace, name) = part;
        permit(
            self.authorizer,
            &self.attributes(group, resource, subresource, namespace, name),
        )
    }

    fn attributes<'a>(
        &'a self,
        group: &'a str,
        resource: &'a str,
        subresource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> Attributes<'a> {
        Attributes {
            user: self.asker,
            verb: self.verb,
            group,
            resource,
            subresource,
            namespace,
            name,
            field_selector: "",
            path: "",
        }
    }

    fn is_legacy(&self) -> bool {
        self.mode == Mode::Legacy
    }

    /// Users and groups had no API group before the modes.
    fn group(&self) -> &'static str {
        match self.is_legacy() {
            true => "",
            false => GROUP,
        }
    }

    fn name(&self, wanted: &UserInfo) -> Result<(), Refused> {
        let group = self.group();
        if let Some((namespace, name)) = service_account(&wanted.name) {
            return self.may(group, "serviceaccounts", ("", namespace, name));
        }
        match node(&wanted.name) {
            // The right must be good for every node, as the account's pods are on any.
            Some(_) if self.mode == Mode::AssociatedNode => self.may(group, "nodes", ("", "", "*")),
            Some(node) if !self.is_legacy() => self.may(group, "nodes", ("", "", node)),
            _ => self.may(group, "users", ("", "", &wanted.name)),
        }
    }

    fn uid(&self, uid: &str) -> Result<(), Refused> {
        match uid {
            "" => Ok(()),
            uid => self.may(GROUP, "uids", ("", "", uid)),
        }
    }

    fn groups(&self, groups: &[String]) -> Result<(), Refused> {
        let group = self.group();
        if !self.is_legacy() {
            for (forbidden, shown) in [("", "empty string"), (MASTERS, MASTERS)] {
                if groups.iter().any(|g| g == forbidden) {
                    let attributes = self.attributes(group, "groups", "", "", forbidden);
                    let why = format!("impersonating the {shown} group is not allowed");
                    return Err(refusal(&attributes, attributes.denial(&[why])));
                }
            }
            if groups.len() >= MANY && self.may(group, "groups", ("", "", "*")).is_ok() {
                return Ok(());
            }
        }
        groups
            .iter()
            .try_for_each(|name| self.may(group, "groups", ("", "", name)))
    }

    fn extra(&self, extra: &BTreeMap<String, Vec<String>>) -> Result<(), Refused> {
        if !self.is_legacy() {
            if let Some(problem) = extra.iter().find_map(|(k, v)| extra_problem(k, v)) {
                let attributes = self.attributes(GROUP, "userextras", "", "", "");
                return Err(refusal(&attributes, attributes.denial(&[problem])));
            }
            let many = extra.len() >= MANY || extra.values().map(Vec::len).sum::<usize>() >= MANY;
            if many && self.may(GROUP, "userextras", ("*", "", "*")).is_ok() {
                return Ok(());
            }
        }
        let mut each = extra
            .iter()
            .flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
        each.try_for_each(|(key, value)| self.may(GROUP, "userextras", (key, "", value)))
    }
}

fn permit(authorizer: &Authorizer, attributes: &Attributes<'_>) -> Result<(), Refused> {
    match authorizer.authorize(attributes) {
        Decision::Allow => Ok(()),
        Decision::Deny(why) => Err(refusal(attributes, why)),
    }
}

fn refusal(attributes: &Attributes<'_>, why: String) -> Refused {
    Refused::Forbidden {
        group: attributes.group.to_owned(),
        resource: attributes.resource.to_owned(),
        name: attributes.name.to_owned(),
        why,
    }
}

/// What the modes, other than legacy, find wrong with an entry of extra.
fn extra_problem(key: &str, values: &[String]) -> Option<String> {
    // The path of a URL, RFC 3986.
    let in_path = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    let prefixed = key.split_once('/').is_some_and(|(domain, path)| {
        let good = !path.is_empty() && path.chars().all(in_path);
        good && name::dns1123_subdomain(domain).is_empty()
    });
    if key.is_empty() {
        return Some("impersonating the empty string key in extra is not allowed".to_owned());
    }
    if !prefixed {
        return Some(format!(
            "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: {}: must \
             be a domain-prefixed path (such as \"acme.io/foo\")",
            go_quoted(key)
        ));
    }
    if key != key.to_lowercase() {
        return Some(format!(
            "impersonating a non-lowercase key in extra is not allowed: {}",
            go_quoted(key)
        ));
    }
    if values.iter().any(String::is_empty) {
        return Some("impersonating the empty string value in extra is not allowed".to_owned());
    }
    None
}

fn only_name(user: &UserInfo) -> bool {
    user.uid.is_empty() && user.groups.is_empty() && user.extra.is_empty()
}

/// The node that a user name is that of.
fn node(user: &str) -> Option<&str> {
    let name = user.strip_prefix("system:node:")?;
    name::dns1123_subdomain(name).is_empty().then_some(name)
}

/// The namespace and the name of the service account that a user name is that of.
fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user
        .strip_prefix("system:serviceaccount:")?
        .split_once(':')?;
    let valid =
        name::dns1123_label(namespace).is_empty() && name::dns1123_subdomain(name).is_empty();
    valid.then_some((namespace, name))
}

/// A user in Go's syntax, which Kubernetes shows to who asks for one without a name.
fn go_syntax(user: &UserInfo) -> String {
    let list = |items: &[String]| {
        let items: Vec<String> = items.iter().map(|item| go_quoted(item)).collect();
        format!("[]string{{{}}}", items.join(", "))
    };
    let groups = match user.groups.as_slice() {
        [] => "[]string(nil)".to_owned(),
        groups => list(groups),
    };
    let extra = match user.extra.is_empty() {
        true => "map[string][]string(nil)".to_owned(),
        false => {
            let entries = user.extra.iter();
            let entries =
                entries.map(|(key, values)| format!("{}:{}", go_quoted(key), list(values)));
            let entries: Vec<String> = entries.collect();
            format!("map[string][]string{{{}}}", entries.join(", "))
        }
    };
    format!(
        "&user.DefaultInfo{{Name:\"\", UID:{}, Groups:{groups}, Extra:{extra}}}",
        go_quoted(&user.uid)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_extra_is_a_lowercase_path_of_a_domain() {
        let problem = |key| extra_problem(key, &["v".to_owned()]).unwrap_or_default();
        assert_eq!(problem("acme.io/team"), "");
        assert!(problem("acme.io/Team").contains("non-lowercase key"));
        for key in ["team", "acme.io/", "acme.io/a b", "Acme/a", "/a"] {
            assert!(problem(key).contains("invalid key"), "{key}");
        }
    }
}
