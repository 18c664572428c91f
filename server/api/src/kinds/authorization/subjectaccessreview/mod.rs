//! SubjectAccessReview: whether a user may do something.

use serde_json::Value;

use super::access;
use crate::field;
use crate::kind::{ANSWERED, Kind, Resource, Scope};
use crate::review::Authority;

static RESOURCE: Resource = Resource {
    group: super::GROUP,
    version: "v1",
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    verbs: ANSWERED,
    subresources: &[],
    storage_version_hash: "",
    schema: "io.k8s.api.authorization.v1.SubjectAccessReview",
};

/// The kind.
pub(crate) struct SubjectAccessReview;

impl Kind for SubjectAccessReview {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        let mut errors = access::action(object);
        errors.extend(access::subject(object));
        errors.extend(access::selectors(object));
        errors.extend(access::metadata(object, &[], "must be empty"));
        errors
    }

    fn answer(&self, question: &mut Value, authority: &dyn Authority) -> Result<(), String> {
        question["status"] = access::status(question, &access::user(question), authority);
        Ok(())
    }
}
