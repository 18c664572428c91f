//! What is wrong with the cluster and the user that a kubeconfig chose, before anything is sent.

use serde_json::Value;

/// The problems of a cluster.
pub(super) fn cluster(name: &str, cluster: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(proxy) = set(cluster, "proxy-url") {
        let scheme = proxy.split_once("://").map_or("", |(scheme, _)| scheme);
        if !matches!(scheme, "http" | "https" | "socks5") {
            problems.push(format!(
                "invalid 'proxy-url' {proxy:?} for cluster {name:?}: unsupported scheme {scheme:?}, must be http, https, or socks5"
            ));
        }
    }
    let authority = set(cluster, "certificate-authority");
    if authority.is_some() && set(cluster, "certificate-authority-data").is_some() {
        problems.push(format!(
            "certificate-authority-data and certificate-authority are both specified for {name}. certificate-authority-data will override."
        ));
    }
    if let Some(problem) = authority.and_then(unreadable) {
        let path = authority.unwrap_or_default();
        problems.push(format!(
            "unable to read certificate-authority {path} for {name} due to {problem}"
        ));
    }
    problems
}

/// The problems of a user.
pub(super) fn user(name: &str, user: &Value) -> Vec<String> {
    let mut problems = certificate(name, user);
    if user["exec"].is_object() {
        problems.extend(plugin(name, &user["exec"]));
    }
    let mut methods = Vec::new();
    if set(user, "token").is_some() {
        methods.push("token");
    }
    if set(user, "username").or(set(user, "password")).is_some() {
        methods.push("basicAuth");
    }
    if methods.len() > 1 {
        let methods = methods.join(" ");
        problems.push(format!(
            "more than one authentication method found for {name}; found [{methods}], only one is allowed"
        ));
    }
    let groups = user["as-groups"].as_array().is_some_and(|g| !g.is_empty());
    let extra = user["as-user-extra"]
        .as_object()
        .is_some_and(|e| !e.is_empty());
    if set(user, "as").is_none() && (groups || extra || set(user, "as-uid").is_some()) {
        problems.push(format!(
            "requesting uid, groups or user-extra for {name} without impersonating a user"
        ));
    }
    problems
}

fn certificate(name: &str, user: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let (file, data) = (
        set(user, "client-certificate"),
        set(user, "client-certificate-data"),
    );
    if file.or(data).is_none() {
        return problems;
    }
    let (key, key_data) = (set(user, "client-key"), set(user, "client-key-data"));
    if file.is_some() && data.is_some() {
        problems.push(format!(
            "client-cert-data and client-cert are both specified for {name}. client-cert-data will override."
        ));
    }
    if key.is_some() && key_data.is_some() {
        problems.push(format!(
            "client-key-data and client-key are both specified for {name}; client-key-data will override"
        ));
    }
    if key.or(key_data).is_none() {
        problems.push(format!(
            "client-key-data or client-key must be specified for {name} to use the clientCert authentication method."
        ));
    }
    for (what, path) in [("client-cert", file), ("client-key", key)] {
        if let (Some(path), Some(problem)) = (path, path.and_then(unreadable)) {
            problems.push(format!(
                "unable to read {what} {path} for {name} due to {problem}"
            ));
        }
    }
    problems
}

fn plugin(name: &str, exec: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for field in ["command", "apiVersion"] {
        if set(exec, field).is_none() {
            problems.push(format!(
                "{field} must be specified for {name} to use exec authentication plugin"
            ));
        }
    }
    let beta = set(exec, "apiVersion").is_some_and(|v| v.ends_with("/v1beta1"));
    match set(exec, "interactiveMode") {
        Some("Never" | "IfAvailable" | "Always") => {}
        Some(other) => problems.push(format!("invalid interactiveMode for {name}: {other:?}")),
        None if beta => {}
        None => problems.push(format!(
            "interactiveMode must be specified for {name} to use exec authentication plugin"
        )),
    }
    problems
}

fn set<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    body[field].as_str().filter(|value| !value.is_empty())
}

/// Why a file can't be opened.
fn unreadable(path: &str) -> Option<String> {
    let error = std::fs::File::open(path).err()?;
    Some(format!("open {path}: {}", crate::error::os(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_proxy_that_cannot_be_spoken_with_is_refused() {
        let problems = cluster("c", &json!({"proxy-url": "bogus://x"}));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(cluster("c", &json!({"proxy-url": "socks5://x:1"})).is_empty());
    }

    #[test]
    fn a_user_has_one_way_to_authenticate() {
        let problems = user("u", &json!({"token": "t", "username": "a"}));
        assert_eq!(
            problems,
            [
                "more than one authentication method found for u; found [token basicAuth], only one is allowed"
            ]
        );
    }

    #[test]
    fn a_plugin_says_whether_it_talks_to_the_user() {
        let v1 = json!({"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1"}});
        assert_eq!(user("u", &v1).len(), 1);
        let beta =
            json!({"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1beta1"}});
        assert!(user("u", &beta).is_empty());
    }
}
