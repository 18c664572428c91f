//! TokenReview: whose a token is.

use serde_json::{Value, json};

use crate::field;
use crate::kind::{ANSWERED, Kind, Resource, Scope};
use crate::kinds::read::{text, texts};
use crate::review::Authority;

static RESOURCE: Resource = Resource {
    group: super::GROUP,
    version: "v1",
    kind: "TokenReview",
    plural: "tokenreviews",
    singular: "tokenreview",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    verbs: ANSWERED,
    subresources: &[],
    storage_version_hash: "",
    schema: "io.k8s.api.authentication.v1.TokenReview",
};

/// The kind.
pub(crate) struct TokenReview;

impl Kind for TokenReview {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn validate(&self, _object: &Value) -> Vec<field::Error> {
        Vec::new()
    }

    fn answer(&self, question: &mut Value, authority: &dyn Authority) -> Result<(), String> {
        let spec = &question["spec"];
        let token = text(spec, "token");
        if token.is_empty() {
            return Err("token is required for TokenReview in authentication".to_owned());
        }
        let status = match authority.bearer(token, &texts(spec, "audiences")) {
            Ok(bearer) => json!({
                "authenticated": true,
                "user": bearer.user.to_value(),
                "audiences": bearer.audiences,
            }),
            Err(error) => json!({ "user": {}, "error": error }),
        };
        question["status"] = status;
        Ok(())
    }
}
