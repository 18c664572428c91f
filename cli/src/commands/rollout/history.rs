//! `rollout history`: the revisions that are kept, or one of them.

use clap::Args;
use serde_json::Value;

use crate::args::{Files, Print};
use crate::context::{Context, print};
use crate::error::{Error, Result};
use crate::printer::{self, Format};

/// View rollout history.
#[derive(Args, Clone, Debug)]
pub(crate) struct History {
    /// Types and names: deploy web, ds/x
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    print: Print,
    /// The pod template of this revision
    #[arg(long, default_value_t = 0)]
    revision: i64,
    /// Only objects whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
}

impl History {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if self.revision < 0 {
            return Err(format!("revision must be a positive integer: {}", self.revision).into());
        }
        let format = Format::parse(&self.print, false)?;
        let (found, errors) =
            super::objects(context, &self.words, &self.files, self.selector.as_ref()).await?;
        let mut printed = false;
        for wanted in found {
            let revisions = super::revisions(context, &wanted, "history").await?;
            let kind = wanted.resource.kind.as_str();
            if !format.is_human() {
                let wants = |n: i64| self.revision == 0 || n == self.revision;
                let chosen = revisions.iter().filter(|(n, _)| wants(*n));
                let chosen: Vec<&Value> = chosen.map(|(_, object)| object).collect();
                if chosen.is_empty() && self.revision > 0 {
                    return Err(missing());
                }
                for object in chosen {
                    if printed && matches!(format, Format::Yaml) {
                        print("---\n")?;
                    }
                    printed = true;
                    printer::outcome(&format, &self.print, object, &wanted.resource, "")?;
                }
                continue;
            }
            if self.revision > 0 {
                let Some((_, object)) = revisions.iter().find(|(n, _)| *n == self.revision) else {
                    return Err(missing());
                };
                let mut template = super::template(object, kind);
                if let Some(cause) = cause(object).filter(|c| *c != "<none>") {
                    // It may be the only annotation.
                    let annotations = &mut template["metadata"]["annotations"];
                    annotations["kubernetes.io/change-cause"] = cause.into();
                }
                print(&format!(
                    "{} with revision #{}\n{}\n",
                    wanted.display(),
                    self.revision,
                    api::kinds::pod_template(&template)
                ))?;
                continue;
            }
            print(&format!("{} \n{}\n", wanted.display(), table(&revisions)))?;
        }
        Error::many(errors)
    }
}

fn missing() -> Error {
    Error::from("unable to find the specified revision")
}

fn cause(object: &Value) -> Option<&str> {
    api::meta::annotation(object, "kubernetes.io/change-cause")
}

fn table(revisions: &[(i64, Value)]) -> String {
    let widest = revisions
        .iter()
        .map(|(n, _)| n.to_string().len())
        .max()
        .unwrap_or(0)
        .max("REVISION".len());
    let mut out = format!("{:widest$}  CHANGE-CAUSE\n", "REVISION");
    for (number, object) in revisions {
        let cause = cause(object).filter(|c| !c.is_empty()).unwrap_or("<none>");
        out.push_str(&format!("{number:<widest$}  {cause}\n"));
    }
    out
}
