//! The tokens of `--token-auth-file`: CSV with `token,user,uid` and, optionally, `"group1,group2"`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use api::auth::{AUTHENTICATED, UserInfo};
use sha2::{Digest as _, Sha256};

/// Why a token file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("cannot read the token file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A line has too few columns.
    #[error(
        "token file {path:?}, line {line}: must have at least 3 columns (token, user name, user uid), found {found}"
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// How many there are.
        found: usize,
    },
    /// A quote is not closed, or something follows one that is.
    #[error("token file {path:?}, line {line}: a quoted column must end with a quote")]
    Quote {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// Users by the digest of their token, so that looking one up tells nothing about the others.
#[derive(Debug, Default)]
pub struct TokenFile {
    users: HashMap<[u8; 32], UserInfo>,
}

impl TokenFile {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
        let mut users = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            if line.trim().is_empty() {
                continue;
            }
            let columns = columns(line).ok_or_else(|| Error::Quote {
                path: path.to_owned(),
                line: line_number,
            })?;
            let [token, name, uid, rest @ ..] = columns.as_slice() else {
                return Err(Error::Columns {
                    path: path.to_owned(),
                    line: line_number,
                    found: columns.len(),
                });
            };
            if token.is_empty() {
                tracing::warn!(path = %path.display(), line = line_number, "an empty token is ignored");
                continue;
            }
            let groups = rest.first().map_or("", String::as_str).split(',');
            let groups = groups.map(str::trim).filter(|g| !g.is_empty());
            let user = UserInfo {
                name: name.clone(),
                uid: uid.clone(),
                groups: groups.chain([AUTHENTICATED]).map(str::to_owned).collect(),
                ..UserInfo::default()
            };
            if users.insert(digest(token), user).is_some() {
                tracing::warn!(path = %path.display(), line = line_number, "a token is listed twice, the last line counts");
            }
        }
        Ok(Self { users })
    }

    /// The user of a token.
    pub fn user(&self, token: &str) -> Option<&UserInfo> {
        self.users.get(&digest(token))
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The columns of a line of CSV (RFC 4180, without line breaks in quotes); `None` when a quote is
/// misplaced.
fn columns(line: &str) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    let mut rest = line.trim();
    loop {
        let column;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut tail = quoted;
            loop {
                let end = tail.find('"')?;
                text.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                match tail.strip_prefix('"') {
                    Some(after) => {
                        text.push('"');
                        tail = after;
                    }
                    None => break,
                }
            }
            column = text;
            rest = tail;
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            column = rest[..end].to_owned();
            rest = &rest[end..];
        }
        columns.push(column);
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None => return Some(columns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TokenFile, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        TokenFile::open(file.path())
    }

    #[test]
    fn a_token_stands_for_its_user_and_groups() {
        let tokens =
            read("t1,alice,1,\"dev, ops\"\n\nt2,bob,2\nt3,\"a \"\"b\"\"\",3,one\n").unwrap();
        let alice = tokens.user("t1").unwrap();
        assert_eq!((&alice.name[..], &alice.uid[..]), ("alice", "1"));
        assert_eq!(alice.groups, ["dev", "ops", AUTHENTICATED]);
        assert_eq!(tokens.user("t2").unwrap().groups, [AUTHENTICATED]);
        assert_eq!(tokens.user("t3").unwrap().name, "a \"b\"");
        assert!(tokens.user("t").is_none());
        assert!(tokens.user("").is_none());
    }

    #[test]
    fn a_malformed_line_is_refused_by_its_number() {
        let error = read("t1,alice,1\nt2,bob\n").unwrap_err().to_string();
        assert!(
            error.contains("line 2: must have at least 3 columns"),
            "{error}"
        );
        let error = read("t1,alice,1,\"dev\n").unwrap_err().to_string();
        assert!(error.contains("line 1: a quoted column"), "{error}");
    }
}
