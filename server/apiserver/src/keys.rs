//! Where objects stand in the store: `/registry/<group or core>/<plural>/<namespace>/<name>`, without
//! the namespace for cluster-scoped kinds.

use api::kind::Resource;
use bytes::Bytes;

/// The start of every key.
pub(crate) const ROOT: &[u8] = b"/registry/";

/// The start of the keys of a kind, with the slash.
pub(crate) fn prefix(resource: &Resource) -> String {
    let group = match resource.group {
        "" => "core",
        group => group,
    };
    format!("/registry/{group}/{}/", resource.plural)
}

/// The key of an object. `namespace` is empty for cluster-scoped ones.
pub(crate) fn key(resource: &Resource, namespace: &str, name: &str) -> Bytes {
    let mut key = prefix(resource);
    if !namespace.is_empty() {
        key.push_str(namespace);
        key.push('/');
    }
    key.push_str(name);
    key.into()
}

/// The prefix, namespace and name of a key. `None` for a key that is none of ours.
pub(crate) fn split(key: &[u8]) -> Option<(&str, &str, &str)> {
    let key = str::from_utf8(key).ok()?;
    let below = key.strip_prefix("/registry/")?;
    let (group, rest) = below.split_once('/')?;
    let (plural, rest) = rest.split_once('/')?;
    let prefix = &key[..ROOT.len() + group.len() + plural.len() + 2];
    let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
    Some((prefix, namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_splits_into_its_parts() {
        assert_eq!(
            split(b"/registry/core/pods/ns/web"),
            Some(("/registry/core/pods/", "ns", "web"))
        );
        assert_eq!(
            split(b"/registry/core/nodes/n1"),
            Some(("/registry/core/nodes/", "", "n1"))
        );
        assert_eq!(split(b"/other"), None);
    }
}
