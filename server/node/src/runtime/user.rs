//! Who a container's process is: numbers from the pod, names from the image's own files.

use super::{Error, Security};

/// A process's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Further groups, sorted.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// A line of /etc/passwd.
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn users(passwd: &str) -> impl Iterator<Item = User<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some(User {
            name: fields.next()?,
            uid: fields.nth(1)?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
            home: fields.nth(1)?,
        })
    })
}

/// Name, number and members of each line of /etc/group.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

/// Resolves `runAsUser` and its kin over the image's `User`, with the texts of the image's passwd and group files.
pub(crate) fn resolve(
    image_user: &str,
    security: &Security,
    passwd: &str,
    group: &str,
) -> Result<Identity, Error> {
    let (user, image_group) = match image_user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (image_user, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let entry = match (security.run_as_user, user.parse::<u32>()) {
        (Some(uid), _) | (None, Ok(uid)) => {
            let known = users(passwd).find(|user| user.uid == uid);
            known.unwrap_or(User {
                name: "",
                uid,
                gid: 0,
                home: "/",
            })
        }
        (None, Err(_)) => users(passwd)
            .find(|entry| entry.name == user)
            .ok_or_else(|| {
                let text =
                    format!("unable to find user {user}: no matching entries in passwd file");
                Error::InvalidSpec(text)
            })?,
    };
    let gid = match (security.run_as_group, image_group) {
        (Some(gid), _) => gid,
        // A user given by the pod has nothing to do with the image's group.
        (None, Some(name)) if security.run_as_user.is_none() => find_group(name, group)?,
        _ => entry.gid,
    };
    // The group of the user's own name is the first one, which the pod may have replaced.
    let member = |(group, gid, members): (&str, u32, &str)| {
        let named = !entry.name.is_empty() && group != entry.name;
        let is_member = named && members.split(',').any(|name| name == entry.name);
        is_member.then_some(gid)
    };
    let mut all: Vec<u32> = match security.strict_groups {
        true => Vec::new(),
        false => groups(group).filter_map(member).collect(),
    };
    all.extend(&security.supplemental_groups);
    all.push(gid);
    all.sort_unstable();
    all.dedup();
    Ok(Identity {
        uid: entry.uid,
        gid,
        groups: all,
        home: entry.home.to_owned(),
    })
}

fn find_group(name: &str, group: &str) -> Result<u32, Error> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    groups(group)
        .find(|(other, ..)| *other == name)
        .map(|(_, gid, _)| gid)
        .ok_or_else(|| {
            let text = format!("unable to find group {name}: no matching entries in group file");
            Error::InvalidSpec(text)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/srv:/bin/false\n";
    const GROUP: &str = "root:x:0:\nweb:x:102:web\nlogs:x:200:web,other\n";

    fn resolved(image_user: &str, security: &Security) -> Result<Identity, Error> {
        resolve(image_user, security, PASSWD, GROUP)
    }

    #[test]
    fn a_name_brings_its_group_its_further_groups_and_its_home() {
        let web = resolved("web", &Security::default()).expect("known");
        assert_eq!((web.uid, web.gid, web.home.as_str()), (101, 102, "/srv"));
        assert_eq!(web.groups, [102, 200]);
    }

    #[test]
    fn the_pod_overrules_the_image() {
        let security = Security {
            run_as_user: Some(1000),
            supplemental_groups: vec![7],
            ..Security::default()
        };
        let user = resolved("web:logs", &security).expect("numbers need no entry");
        assert_eq!((user.uid, user.gid), (1000, 0));
        assert_eq!(user.groups, [0, 7]);
    }

    #[test]
    fn a_user_given_by_number_is_in_the_groups_that_the_image_has_for_it() {
        let mut security = Security {
            run_as_user: Some(101),
            supplemental_groups: vec![7],
            ..Security::default()
        };
        let groups = |security: &Security| resolved("", security).expect("known").groups;
        assert_eq!(groups(&security), [7, 102, 200]);
        security.strict_groups = true;
        assert_eq!(groups(&security), [7, 102]);
        // What the pod says of the first group does not take the others away.
        security.run_as_group = Some(8);
        assert_eq!(groups(&security), [7, 8]);
        security.strict_groups = false;
        assert_eq!(groups(&security), [7, 8, 200]);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(resolved("nobody", &Security::default()).is_err());
        assert!(resolved("0:nogroup", &Security::default()).is_err());
    }
}
