//! Which capabilities a container gets, and giving up the others.

use std::collections::BTreeSet;
use std::str::FromStr;

use caps::{CapSet, Capability};

use super::{Error, Security};

/// What container runtimes give by default.
const DEFAULT: [Capability; 14] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FSETID,
    Capability::CAP_FOWNER,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETPCAP,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_KILL,
    Capability::CAP_AUDIT_WRITE,
];

/// A set of capabilities, as the `caps` crate takes it.
pub(crate) type Set = caps::CapsHashSet;

/// What this process could give away at most: asking for more makes the kernel refuse everything.
pub(crate) fn available() -> Result<Set, Error> {
    caps::read(None, CapSet::Bounding).map_err(|error| Error::Io {
        what: "read the bounding set".to_owned(),
        source: std::io::Error::other(error.to_string()),
    })
}

/// The set for a container, within what is available.
pub(crate) fn choose(security: &Security, available: &Set) -> Result<Set, Error> {
    if security.privileged {
        return Ok(available.clone());
    }
    let mut set: Set = DEFAULT.into_iter().collect();
    for name in &security.capabilities.drop {
        if name.eq_ignore_ascii_case("ALL") {
            set.clear();
        } else {
            set.remove(&parse(name)?);
        }
    }
    for name in &security.capabilities.add {
        if name.eq_ignore_ascii_case("ALL") {
            set.extend(available);
        } else {
            set.insert(parse(name)?);
        }
    }
    Ok(set.intersection(available).copied().collect())
}

fn parse(name: &str) -> Result<Capability, Error> {
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") {
        upper
    } else {
        format!("CAP_{upper}")
    };
    Capability::from_str(&full)
        .map_err(|_| Error::InvalidSpec(format!("unknown capability {name:?}")))
}

/// Kubernetes' names, without `CAP_`.
pub(crate) fn names(set: &Set) -> BTreeSet<String> {
    set.iter()
        .map(|capability| capability.to_string().trim_start_matches("CAP_").to_owned())
        .collect()
}

/// Gives up everything else in the calling thread. Nothing is inheritable or ambient (CVE-2022-24769).
pub(crate) fn keep_only(set: &Set) -> Result<(), caps::errors::CapsError> {
    for capability in caps::all() {
        if !set.contains(&capability) && caps::has_cap(None, CapSet::Bounding, capability)? {
            caps::drop(None, CapSet::Bounding, capability)?;
        }
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Effective, set)?;
    caps::set(None, CapSet::Permitted, set)?;
    caps::clear(None, CapSet::Inheritable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Capabilities;

    fn chosen(add: &[&str], drop: &[&str]) -> BTreeSet<String> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let security = Security {
            capabilities: Capabilities {
                add: owned(add),
                drop: owned(drop),
            },
            ..Security::default()
        };
        names(&choose(&security, &caps::all()).expect("known names"))
    }

    #[test]
    fn what_is_dropped_goes_and_what_is_added_comes() {
        let set = chosen(&["NET_ADMIN"], &["cap_mknod"]);
        assert!(set.contains("NET_ADMIN") && !set.contains("MKNOD") && set.contains("CHOWN"));
    }

    #[test]
    fn all_dropped_and_one_added_is_that_one() {
        assert_eq!(
            chosen(&["NET_BIND_SERVICE"], &["ALL"]),
            BTreeSet::from(["NET_BIND_SERVICE".to_owned()])
        );
    }

    #[test]
    fn nothing_beyond_our_own_set_is_given() {
        let available: Set = [Capability::CAP_CHOWN].into_iter().collect();
        let set = choose(&Security::default(), &available).expect("known names");
        assert_eq!(names(&set), BTreeSet::from(["CHOWN".to_owned()]));
    }
}
