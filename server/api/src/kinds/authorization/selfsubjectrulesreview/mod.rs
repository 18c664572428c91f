//! SelfSubjectRulesReview: what the asker may do in a namespace.

use serde_json::{Value, json};

use crate::field;
use crate::kind::{ANSWERED, Kind, Resource, Scope};
use crate::kinds::read::text;
use crate::review::{Authority, Rule};

static RESOURCE: Resource = Resource {
    group: super::GROUP,
    version: "v1",
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    verbs: ANSWERED,
    subresources: &[],
    storage_version_hash: "",
    schema: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
};

/// The kind.
pub(crate) struct SelfSubjectRulesReview;

impl Kind for SelfSubjectRulesReview {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn validate(&self, _object: &Value) -> Vec<field::Error> {
        Vec::new()
    }

    /// Nothing of the question is in the answer.
    fn answer(&self, question: &mut Value, authority: &dyn Authority) -> Result<(), String> {
        let namespace = text(&question["spec"], "namespace");
        if namespace.is_empty() {
            return Err("no namespace on request".to_owned());
        }
        let rules = authority.rules(namespace);
        let resources = rules.rules.iter().filter(|rule| !rule.resources.is_empty());
        let urls = rules.rules.iter().filter(|rule| !rule.urls.is_empty());
        let mut status = json!({
            "resourceRules": resources.map(of_resources).collect::<Vec<_>>(),
            "nonResourceRules": urls.map(of_urls).collect::<Vec<_>>(),
            "incomplete": rules.incomplete,
        });
        if !rules.error.is_empty() {
            status["evaluationError"] = rules.error.into();
        }
        *question = json!({
            "kind": RESOURCE.kind,
            "apiVersion": RESOURCE.api_version(),
            "metadata": {},
            "spec": {},
            "status": status,
        });
        Ok(())
    }
}

fn of_resources(rule: &Rule) -> Value {
    let mut shown = json!({ "verbs": rule.verbs });
    let lists = [
        ("apiGroups", &rule.groups),
        ("resources", &rule.resources),
        ("resourceNames", &rule.names),
    ];
    for (field, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        shown[field] = json!(list);
    }
    shown
}

fn of_urls(rule: &Rule) -> Value {
    json!({ "verbs": rule.verbs, "nonResourceURLs": rule.urls })
}
