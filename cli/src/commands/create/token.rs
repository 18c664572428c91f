//! `create token`: asks for a token of a service account.

use clap::Args;
use http::Method;
use jiff::SignedDuration;
use serde_json::json;

use super::generators::one;
use crate::args::Print;
use crate::client::Request;
use crate::context::{Context, line};
use crate::duration;
use crate::error::{Error, Result};
use crate::printer::Format;

/// The kinds that a token can be bound to, with their versions.
const BINDABLE: [(&str, &str); 3] = [("Node", "v1"), ("Pod", "v1"), ("Secret", "v1")];

/// What the token is for.
#[derive(Args, Debug)]
pub(crate) struct Token {
    /// The name of the service account
    words: Vec<String>,
    /// Whom the token is meant for, repeatable; the API server unless given
    #[arg(long)]
    audience: Vec<String>,
    /// The kind of an object that the token lives as long as: Pod, Secret or Node
    #[arg(long)]
    bound_object_kind: Option<String>,
    /// The name of that object
    #[arg(long)]
    bound_object_name: Option<String>,
    /// The uid of that object
    #[arg(long)]
    bound_object_uid: Option<String>,
    /// How long the token is to be valid; 0 leaves it to the server
    #[arg(long, value_parser = duration::parse, default_value = "0s")]
    duration: SignedDuration,
    #[command(flatten)]
    print: Print,
}

impl Token {
    pub(super) async fn run(&self, context: &Context) -> Result<()> {
        let name = one(&self.words, "token")?;
        let format = Format::parse(&self.print, false)?;
        if self.duration.is_negative() {
            return Err("--duration must be greater than or equal to 0".into());
        }
        let mut request = json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {}, "spec": {"audiences": self.audience},
        });
        if !self.duration.is_zero() {
            request["spec"]["expirationSeconds"] = self.duration.as_secs().into();
        }
        if let Some(bound) = self.bound()? {
            request["spec"]["boundObjectRef"] = bound;
        }
        let path = format!(
            "/api/v1/namespaces/{}/serviceaccounts/{name}/token",
            context.namespace()?
        );
        let answer = context
            .client()?
            .json(Request::send(Method::POST, path, &request))
            .await
            .map_err(|error| match error {
                Error::Status { .. } => Error::Plain(format!("failed to create token: {error}")),
                other => other,
            })?;
        if format.is_human() {
            return line(answer["status"]["token"].as_str().unwrap_or_default());
        }
        format.print(&answer, None)
    }

    fn bound(&self) -> Result<Option<serde_json::Value>> {
        let Some(kind) = self.bound_object_kind.as_deref() else {
            if self.bound_object_name.is_some() {
                return Err(
                    "--bound-object-name can only be set if --bound-object-kind is provided".into(),
                );
            }
            if self.bound_object_uid.is_some() {
                return Err(
                    "--bound-object-uid can only be set if --bound-object-kind is provided".into(),
                );
            }
            return Ok(None);
        };
        let Some((kind, version)) = BINDABLE.iter().find(|(known, _)| *known == kind) else {
            return Err(format!(
                "supported --bound-object-kind values are {}",
                BINDABLE.map(|(kind, _)| kind).join(", ")
            )
            .into());
        };
        let Some(name) = &self.bound_object_name else {
            return Err(
                "--bound-object-name is required if --bound-object-kind is provided".into(),
            );
        };
        let mut bound = json!({"kind": kind, "apiVersion": version, "name": name});
        if let Some(uid) = &self.bound_object_uid {
            bound["uid"] = uid.clone().into();
        }
        Ok(Some(bound))
    }
}
