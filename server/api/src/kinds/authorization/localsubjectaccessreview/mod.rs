//! LocalSubjectAccessReview: whether a user may do something in the namespace of the review.

use serde_json::Value;

use super::access;
use crate::field::{self, Path};
use crate::kind::{ANSWERED, Kind, Resource, Scope};
use crate::kinds::read::{has, text};
use crate::meta;
use crate::review::Authority;

static RESOURCE: Resource = Resource {
    group: super::GROUP,
    version: "v1",
    kind: "LocalSubjectAccessReview",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: ANSWERED,
    subresources: &[],
    storage_version_hash: "",
    schema: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
};

/// The kind.
pub(crate) struct LocalSubjectAccessReview;

impl Kind for LocalSubjectAccessReview {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn validate(&self, object: &Value) -> Vec<field::Error> {
        let mut errors = access::action(object);
        errors.extend(access::subject(object));
        errors.extend(access::selectors(object));
        let detail = "must be empty except for namespace";
        errors.extend(access::metadata(object, &["namespace"], detail));
        let spec = &object["spec"];
        let path = Path::new("spec");
        let namespace = text(&spec["resourceAttributes"], "namespace");
        if has(spec, "resourceAttributes") && namespace != meta::namespace(object) {
            let path = path.child("resourceAttributes").child("namespace");
            let detail = "must match metadata.namespace";
            errors.push(field::Error::invalid(&path, namespace, detail));
        }
        if has(spec, "nonResourceAttributes") {
            let shown = access::shown_path(&spec["nonResourceAttributes"]);
            let path = path.child("nonResourceAttributes");
            let detail = "disallowed on this kind of request";
            errors.push(field::Error::invalid(&path, shown, detail));
        }
        errors
    }

    fn answer(&self, question: &mut Value, authority: &dyn Authority) -> Result<(), String> {
        question["status"] = access::status(question, &access::user(question), authority);
        Ok(())
    }
}
