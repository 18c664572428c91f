//! SelfSubjectAccessReview: whether the asker may do something.

use serde_json::Value;

use super::access;
use crate::field;
use crate::kind::{ANSWERED, Kind, Resource, Scope};
use crate::review::Authority;

static RESOURCE: Resource = Resource {
    group: super::GROUP,
    version: "v1",
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    verbs: ANSWERED,
    subresources: &[],
    storage_version_hash: "",
    schema: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
};

/// The kind.
pub(crate) struct SelfSubjectAccessReview;

impl Kind for SelfSubjectAccessReview {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        let mut errors = access::action(object);
        errors.extend(access::selectors(object));
        errors.extend(access::metadata(object, &[], "must be empty"));
        errors
    }

    fn answer(&self, question: &mut Value, authority: &dyn Authority) -> Result<(), String> {
        question["status"] = access::status(question, authority.asker(), authority);
        Ok(())
    }
}
