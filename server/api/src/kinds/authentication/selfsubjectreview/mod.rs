//! SelfSubjectReview: who the server thinks that one is.

use serde_json::{Value, json};

use crate::field;
use crate::kind::{ANSWERED, Kind, Resource, Scope};
use crate::meta::time;
use crate::review::Authority;

static RESOURCE: Resource = Resource {
    group: super::GROUP,
    version: "v1",
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    verbs: ANSWERED,
    subresources: &[],
    storage_version_hash: "",
    schema: "io.k8s.api.authentication.v1.SelfSubjectReview",
};

/// The kind.
pub(crate) struct SelfSubjectReview;

impl Kind for SelfSubjectReview {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn validate(&self, _object: &Value) -> Vec<field::Error> {
        Vec::new()
    }

    /// Nothing of the question is in the answer.
    fn answer(&self, question: &mut Value, authority: &dyn Authority) -> Result<(), String> {
        *question = json!({
            "kind": RESOURCE.kind,
            "apiVersion": RESOURCE.api_version(),
            "metadata": { "creationTimestamp": time::seconds(authority.now()) },
            "status": { "userInfo": authority.asker().to_value() },
        });
        Ok(())
    }
}
