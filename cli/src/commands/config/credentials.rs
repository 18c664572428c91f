//! `config set-credentials`: how a user authenticates.

use clap::Args;
use serde_json::{Value, json};

use super::edit::{body, certificate, file_of, remove, rewrite};
use crate::context::{Context, line};
use crate::error::Result;

/// Set a user entry.
#[derive(Args, Debug)]
pub(crate) struct SetCredentials {
    /// The name of the user
    words: Vec<String>,
    /// Put the certificate and the key into the file
    #[arg(long)]
    embed_certs: bool,
    /// The command of a credential plug-in
    #[arg(long)]
    exec_command: Option<String>,
    /// The API version of a credential plug-in
    #[arg(long)]
    exec_api_version: Option<String>,
    /// Whether a credential plug-in talks to the user: Never, IfAvailable or Always
    #[arg(long)]
    exec_interactive_mode: Option<String>,
    /// Tell a credential plug-in which cluster it is for
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    exec_provide_cluster_info: Option<bool>,
    /// An argument of a credential plug-in, repeatable
    #[arg(long, value_delimiter = ',')]
    exec_arg: Vec<String>,
    /// A variable of a credential plug-in as key=value, or key- to remove it; repeatable
    #[arg(long)]
    exec_env: Vec<String>,
}

impl SetCredentials {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let [name] = self.words.as_slice() else {
            return Err(format!("unexpected args: [{}]", self.words.join(" ")).into());
        };
        let config = context.config()?;
        let global = &context.global;
        if global.token.is_some()
            && global
                .username
                .as_ref()
                .or(global.password.as_ref())
                .is_some()
        {
            return Err("you cannot specify more than one authentication method at the same time: --token, --username/--password".into());
        }
        if self.embed_certs && global.client_certificate.is_none() && global.client_key.is_none() {
            return Err("you must specify a --client-certificate or --client-key to embed".into());
        }
        for variable in &self.exec_env {
            if !variable.ends_with('-') && variable.find('=').is_none_or(|at| at == 0) {
                return Err(format!("invalid exec-env format: {variable}").into());
            }
        }
        let path = file_of(config, "users", name);
        rewrite(&path, |file| {
            let body = body(file, "users", name);
            for (field, flag) in [
                ("token", &global.token),
                ("username", &global.username),
                ("password", &global.password),
            ] {
                if let Some(value) = flag {
                    body[field] = value.clone().into();
                }
            }
            // The new way to authenticate takes the place of the old one.
            if global.token.is_some() {
                remove(body, &["username", "password", "tokenFile"]);
            } else if global.username.is_some() || global.password.is_some() {
                remove(body, &["token", "tokenFile"]);
            }
            for (field, flag) in [
                ("client-certificate", &global.client_certificate),
                ("client-key", &global.client_key),
            ] {
                if let Some(held) = flag {
                    certificate(body, field, held, self.embed_certs, &path)?;
                }
            }
            self.plugin(body);
            Ok(())
        })?;
        line(&format!("User {name:?} set."))
    }

    /// Changes what the flags name of a credential plug-in, and keeps the rest. Only a command makes
    /// a new one.
    fn plugin(&self, body: &mut Value) {
        if let Some(command) = &self.exec_command {
            if !body["exec"].is_object() {
                body["exec"] = json!({});
            }
            body["exec"]["command"] = command.clone().into();
            // Arguments belong to the command that was there before.
            body["exec"]["args"] = Value::Null;
        }
        let Some(exec) = body.get_mut("exec").filter(|e| e.is_object()) else {
            return;
        };
        for (field, flag) in [
            ("apiVersion", &self.exec_api_version),
            ("interactiveMode", &self.exec_interactive_mode),
        ] {
            if let Some(value) = flag {
                exec[field] = value.clone().into();
            }
        }
        if let Some(provide) = self.exec_provide_cluster_info {
            exec["provideClusterInfo"] = provide.into();
        }
        let arguments: Vec<&String> = self.exec_arg.iter().filter(|a| !a.is_empty()).collect();
        if !arguments.is_empty() {
            exec["args"] = json!(arguments);
        }
        for variable in &self.exec_env {
            set_variable(exec, variable);
        }
    }
}

/// Sets a variable by `NAME=VALUE`, or removes one by `NAME-`.
fn set_variable(exec: &mut Value, variable: &str) {
    let mut env = exec["env"].as_array().cloned().unwrap_or_default();
    match variable.split_once('=') {
        Some((name, value)) => match env.iter_mut().find(|held| held["name"] == name) {
            Some(held) => held["value"] = value.into(),
            None => env.push(json!({"name": name, "value": value})),
        },
        None => env.retain(|held| held["name"] != variable.trim_end_matches('-')),
    }
    exec["env"] = env.into();
}
