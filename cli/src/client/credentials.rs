//! Who the user is: every kind of credential that a kubeconfig can hold.

use std::process::Stdio;

use base64::Engine as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::tls;
use crate::error::{Error, Result};

/// What goes with requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The `Impersonate-*` headers.
    pub(crate) impersonation: Vec<(String, String)>,
    /// The client certificate and its key, PEM.
    pub(crate) certificate: Option<(Vec<u8>, Vec<u8>)>,
}

/// No credentials, only as whom the user acts.
pub(crate) fn only_impersonation(user: &Value) -> Credentials {
    Credentials {
        impersonation: impersonation(user),
        ..Credentials::default()
    }
}

/// The credentials of a user of the kubeconfig.
pub(crate) fn of(user: &Value, cluster: &Value) -> Result<Credentials> {
    let mut credentials = only_impersonation(user);
    let text = |field: &str| user[field].as_str().filter(|v| !v.is_empty());
    let certificate = tls::credential(user, "client-certificate")?;
    let key = tls::credential(user, "client-key")?;
    credentials.certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => return Err(Error::Configuration(vec!["client-key-data or client-key must be specified to use the clientCert authentication method.".into()])),
        (None, Some(_)) => None,
    };
    if let Some(path) = text("tokenFile") {
        let token = std::fs::read_to_string(path).map_err(|error| {
            format!(
                "failed to read token file {path:?}: open {path}: {}",
                crate::error::os(&error)
            )
        })?;
        credentials.authorization = Some(format!("Bearer {}", token.trim()));
    } else if let Some(token) = text("token") {
        credentials.authorization = Some(format!("Bearer {token}"));
    } else if let Some(name) = text("username") {
        let pair = format!("{name}:{}", text("password").unwrap_or_default());
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        credentials.authorization = Some(format!("Basic {pair}"));
    } else if user["exec"].is_object() && credentials.certificate.is_none() {
        plugin(&user["exec"], cluster, &mut credentials)?;
    } else if let Some(provider) = user["auth-provider"]["name"].as_str() {
        provider_token(provider, &user["auth-provider"]["config"], &mut credentials)?;
    }
    Ok(credentials)
}

/// What the name of a header can't have, and the sign that starts an escape.
const HEADER: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

fn impersonation(user: &Value) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let mut add = |name: &str, value: &Value| {
        if let Some(value) = value.as_str().filter(|v| !v.is_empty()) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    };
    add("Impersonate-User", &user["as"]);
    add("Impersonate-Uid", &user["as-uid"]);
    for group in user["as-groups"].as_array().into_iter().flatten() {
        add("Impersonate-Group", group);
    }
    for (key, values) in user["as-user-extra"].as_object().into_iter().flatten() {
        let key = utf8_percent_encode(key, HEADER);
        for value in values.as_array().into_iter().flatten() {
            add(&format!("Impersonate-Extra-{key}"), value);
        }
    }
    headers
}

/// The id token of an OpenID provider, which is the only provider left.
fn provider_token(provider: &str, config: &Value, credentials: &mut Credentials) -> Result<()> {
    match provider {
        "oidc" => {
            let token = config["id-token"]
                .as_str()
                .filter(|t| !t.is_empty())
                .ok_or("No valid id-token, and cannot refresh without refresh-token")?;
            credentials.authorization = Some(format!("Bearer {token}"));
            Ok(())
        }
        "gcp" | "azure" => Err(format!("The {provider} auth plugin has been removed.").into()),
        other => Err(format!("no Auth Provider found for name {other:?}").into()),
    }
}

/// Runs a credential plug-in (`client.authentication.k8s.io`) and takes what it prints.
fn plugin(exec: &Value, cluster: &Value, credentials: &mut Credentials) -> Result<()> {
    let command = exec["command"].as_str().unwrap_or_default();
    let version = exec["apiVersion"]
        .as_str()
        .unwrap_or("client.authentication.k8s.io/v1");
    let interactive = exec["interactiveMode"].as_str().unwrap_or("IfAvailable");
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdin());
    if interactive == "Always" && !terminal {
        return Err(format!("exec plugin cannot support interactive mode: standard input is not a terminal: {command}").into());
    }
    let mut spec = json!({"interactive": terminal && interactive != "Never"});
    if exec["provideClusterInfo"].as_bool().unwrap_or(false) {
        spec["cluster"] = cluster_info(cluster);
    }
    let info = json!({"kind": "ExecCredential", "apiVersion": version, "spec": spec});
    let arguments = exec["args"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let environment = exec["env"].as_array().into_iter().flatten();
    let output = std::process::Command::new(command)
        .args(arguments)
        .envs(environment.filter_map(|e| Some((e["name"].as_str()?, e["value"].as_str()?))))
        .env("KUBERNETES_EXEC_INFO", info.to_string())
        .stdin(if terminal && interactive != "Never" {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| missing(command, exec, &error))?;
    if !output.status.success() {
        let code = output.status.code().unwrap_or(-1);
        return Err(Error::Connect(crate::error::Connect::Other(format!(
            "getting credentials: exec: executable {command} failed with exit code {code}"
        ))));
    }
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("getting credentials: decoding stdout: {error}"))?;
    let given = answer["apiVersion"].as_str().unwrap_or_default();
    if given != version {
        return Err(format!("getting credentials: exec plugin is configured to use API version {version}, plugin returned version {given}").into());
    }
    let status = &answer["status"];
    let pair = (
        status["clientCertificateData"].as_str(),
        status["clientKeyData"].as_str(),
    );
    match (status["token"].as_str(), pair) {
        (None, (Some(certificate), Some(key))) => {
            credentials.certificate = Some((certificate.into(), key.into()));
        }
        (Some(token), pair) => {
            credentials.authorization = Some(format!("Bearer {token}"));
            if let (Some(certificate), Some(key)) = pair {
                credentials.certificate = Some((certificate.into(), key.into()));
            }
        }
        _ => {
            return Err(
                "getting credentials: exec plugin didn't return a token or cert/key pair".into(),
            );
        }
    }
    Ok(())
}

fn missing(command: &str, exec: &Value, error: &std::io::Error) -> Error {
    let mut text = if error.kind() == std::io::ErrorKind::NotFound {
        format!("getting credentials: exec: executable {command} not found")
    } else {
        format!("getting credentials: exec: {}", crate::error::os(error))
    };
    if let Some(hint) = exec["installHint"].as_str().filter(|h| !h.is_empty()) {
        text.push_str("\n\nIt looks like you are trying to use a client-go credential plugin that is not installed.\n\nTo learn more about this feature, consult the documentation available at:\n      https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins\n\n");
        text.push_str(hint);
    }
    Error::Connect(crate::error::Connect::Other(text))
}

fn cluster_info(cluster: &Value) -> Value {
    let mut info = json!({"server": cluster["server"], "config": Value::Null});
    for field in [
        "tls-server-name",
        "insecure-skip-tls-verify",
        "certificate-authority-data",
        "proxy-url",
    ] {
        if !cluster[field].is_null() {
            info[field] = cluster[field].clone();
        }
    }
    if let Ok(Some(pem)) = tls::credential(cluster, "certificate-authority") {
        info["certificate-authority-data"] =
            base64::engine::general_purpose::STANDARD.encode(pem).into();
    }
    info
}
