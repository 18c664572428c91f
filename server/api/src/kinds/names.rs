//! The rules for `metadata.name` that kinds choose from.

use crate::meta::name;

/// A DNS subdomain, as most kinds want.
pub(crate) fn subdomain(text: &str) -> Option<String> {
    name::dns1123_subdomain(text).into_iter().next()
}

/// A DNS label, for names that become part of a host name.
pub(crate) fn label(text: &str) -> Option<String> {
    name::dns1123_label(text).into_iter().next()
}

/// Anything that can be a segment of a URL path, colons included.
pub(crate) fn path_segment(text: &str) -> Option<String> {
    name::path_segment(text).into_iter().next()
}
