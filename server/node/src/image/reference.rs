//! Image names as Docker and Kubernetes read them.

use super::Error;

/// Completes an image name: `demo` becomes `docker.io/library/demo:latest`.
///
/// # Errors
/// [`Error::Reference`] when a part has characters that it can't have.
pub fn normalize(name: &str) -> Result<String, Error> {
    let invalid = || Error::Reference(name.to_owned());
    let (rest, digest) = match name.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (name, None),
    };
    // A colon after the last slash begins a tag; one before it is a registry's port.
    let (repository, tag) = match rest.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (rest, None),
    };
    let (registry, path) = match repository.split_once('/') {
        Some((first, path))
            if first.contains('.') || first.contains(':') || first == "localhost" =>
        {
            (first, path.to_owned())
        }
        Some(_) => ("docker.io", repository.to_owned()),
        None => ("docker.io", format!("library/{repository}")),
    };
    let registry = if registry == "index.docker.io" {
        "docker.io"
    } else {
        registry
    };
    let path = if registry == "docker.io" && !path.contains('/') {
        format!("library/{path}")
    } else {
        path
    };
    if !is_host(registry) || !path.split('/').all(is_path_component) || path.len() > 255 {
        return Err(invalid());
    }
    if tag.is_some_and(|tag| !is_tag(tag)) || digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(invalid());
    }
    Ok(match (tag, digest) {
        (_, Some(digest)) => format!("{registry}/{path}@{digest}"),
        (tag, None) => format!("{registry}/{path}:{}", tag.unwrap_or("latest")),
    })
}

/// `sha256:` and 64 lower-case hexadecimal digits.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_hex)
}

/// 64 lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_host(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

fn is_path_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(alphanumeric)
        && bytes.last().copied().is_some_and(alphanumeric)
        && bytes
            .iter()
            .all(|&byte| alphanumeric(byte) || b"._-".contains(&byte))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().copied().is_some_and(word)
        && bytes
            .iter()
            .all(|&byte| word(byte) || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed() {
        for (name, full) in [
            ("demo", "docker.io/library/demo:latest"),
            ("demo:v1", "docker.io/library/demo:v1"),
            ("me/demo", "docker.io/me/demo:latest"),
            ("docker.io/demo", "docker.io/library/demo:latest"),
            ("localhost/demo:1", "localhost/demo:1"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ] {
            assert_eq!(normalize(name).expect(name), full);
        }
    }

    #[test]
    fn a_digest_replaces_the_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(
            normalize(&format!("demo:v1@{digest}")).expect("valid"),
            format!("docker.io/library/demo@{digest}")
        );
    }

    #[test]
    fn names_with_other_characters_are_refused() {
        for name in [
            "",
            "Demo",
            "a//b",
            "../x",
            "a:b c",
            "a@sha256:12",
            "-a",
            "a:-",
        ] {
            assert!(normalize(name).is_err(), "{name}");
        }
    }
}
