//! `auth whoami`: who the server thinks that one is.

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use crate::args::Print;
use crate::client::Request;
use crate::context::{Context, print};
use crate::error::{Error, Result};
use crate::printer::table::Layout;
use crate::printer::{Format, json as go};

/// The versions that servers have had, the newest first.
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];

/// The fields of an answer as kubectl's types have them.
const ORDER: [&str; 8] = [
    "kind",
    "apiVersion",
    "metadata",
    "status",
    "username",
    "uid",
    "groups",
    "extra",
];

#[derive(Args, Debug)]
pub(crate) struct Whoami {
    /// Words that mean nothing, which kubectl lets pass too
    #[arg(hide = true)]
    words: Vec<String>,
    #[command(flatten)]
    print: Print,
}

impl Whoami {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        context.client()?;
        let format = Format::parse(&self.print, false)?;
        let answer = ask(context).await?;
        if format.is_human() {
            return table(&answer["status"]["userInfo"]);
        }
        match format {
            Format::Json => print(&go::pretty_in(&answer, &ORDER)),
            other => other.print(&answer, None),
        }
    }
}

async fn ask(context: &Context) -> Result<Value> {
    for version in VERSIONS {
        let version = format!("authentication.k8s.io/{version}");
        let question = json!({
            "kind": "SelfSubjectReview", "apiVersion": version, "metadata": {}, "status": {"userInfo": {}},
        });
        let path = format!("/apis/{version}/selfsubjectreviews");
        let request = Request::send(Method::POST, path, &question);
        return match context.client()?.json(request).await {
            Err(error) if error.is_not_found() => continue,
            Err(error) if error.reason() == "Forbidden" => Err(Error::from(
                "the selfsubjectreviews API is not enabled in the cluster or you do not have permission to call it",
            )),
            answered => answered,
        };
    }
    Err("the selfsubjectreviews API is not enabled in the cluster".into())
}

fn table(user: &Value) -> Result<()> {
    let mut layout = Layout::default();
    let mut row = |name: &str, value: String| layout.push(vec![name.to_owned(), value]);
    row("ATTRIBUTE", "VALUE".to_owned());
    for (name, field) in [("Username", "username"), ("UID", "uid")] {
        if let Some(text) = user[field].as_str().filter(|text| !text.is_empty()) {
            row(name, text.to_owned());
        }
    }
    if let Some(groups) = user["groups"].as_array().filter(|g| !g.is_empty()) {
        row("Groups", listed(groups));
    }
    for (key, values) in user["extra"].as_object().into_iter().flatten() {
        let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
        row(&format!("Extra: {key}"), listed(values));
    }
    print(&layout.flush())
}

/// A list as Go prints it.
fn listed(values: &[Value]) -> String {
    let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    format!("[{}]", values.join(" "))
}
