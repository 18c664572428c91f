//! `create secret docker-registry`: the credentials of an image registry.

use clap::Args;
use serde_json::{Value, json};

use super::Common;
use super::generators::{encode, one};
use crate::error::Result;
use crate::printer::json::compact;

/// The key that image pulls look for.
const KEY: &str = ".dockerconfigjson";

/// Who pulls from which registry.
#[derive(Args, Debug)]
pub(crate) struct Registry {
    /// The name
    words: Vec<String>,
    /// The mail address of the account
    #[arg(long)]
    docker_email: Option<String>,
    /// The password of the account
    #[arg(long)]
    docker_password: Option<String>,
    /// The registry
    #[arg(long, default_value = "https://index.docker.io/v1/")]
    docker_server: String,
    /// The name of the account
    #[arg(long)]
    docker_username: Option<String>,
    /// A file with the whole configuration, as docker keeps it
    #[arg(long, value_delimiter = ',')]
    from_file: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Registry {
    pub(super) fn object(&self) -> Result<Value> {
        let name = one(&self.words, "secret docker-registry")?;
        let content = match (
            self.from_file.as_slice(),
            &self.docker_username,
            &self.docker_password,
        ) {
            ([source], None, None) => {
                let path = source.split_once('=').map_or(source.as_str(), |(_, p)| p);
                std::fs::read(path)
                    .map_err(|e| format!("error reading {path}: {}", crate::error::os(&e)))?
            }
            ([], Some(user), Some(password)) => self.config(user, password).into_bytes(),
            _ => {
                return Err("either --from-file or the combination of --docker-username, --docker-password and --docker-server is required".into());
            }
        };
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson", "data": {KEY: encode(&content)},
        }))
    }

    /// The configuration with its fields in docker's order.
    fn config(&self, user: &str, password: &str) -> String {
        let quoted = |text: &str| compact(&text.into());
        let email = match self.docker_email.as_deref().filter(|e| !e.is_empty()) {
            Some(email) => format!("\"email\":{},", quoted(email)),
            None => String::new(),
        };
        format!(
            "{{\"auths\":{{{}:{{\"username\":{},\"password\":{},{email}\"auth\":{}}}}}}}",
            quoted(&self.docker_server),
            quoted(user),
            quoted(password),
            quoted(&encode(format!("{user}:{password}").as_bytes())),
        )
    }
}
