//! Whether a namespace lacks the certificate authority, or has another one. No I/O.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// The key in the config map.
const DATA_KEY: &str = "ca.crt";
/// The annotation that says what the config map is good for, and its text in every cluster.
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
     endpoints such as the internal service IP or kubernetes.default.svc. No other usage is \
     guaranteed across distributions of Kubernetes clusters.",
);

/// What a plan is made from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Observed {
    /// The namespace, if it is there.
    pub(crate) namespace: Option<Namespace>,
    /// Its config map, if it is there.
    pub(crate) config_map: Option<ConfigMap>,
    /// The certificate authority in PEM.
    pub(crate) root_ca: String,
}

/// What is to be done.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    /// All is well, or the namespace is going away.
    Nothing,
    /// Create the config map.
    Create(Box<ConfigMap>),
    /// Give the config map this data and these annotations.
    Update(Box<ConfigMap>),
}

/// Decides.
pub(crate) fn plan(observed: &Observed) -> Action {
    let alive = |n: &Namespace| n.metadata.deletion_timestamp.is_none();
    if !observed.namespace.as_ref().is_some_and(alive) {
        return Action::Nothing;
    }
    let wanted = BTreeMap::from([(DATA_KEY.to_owned(), observed.root_ca.clone())]);
    let description = BTreeMap::from([(DESCRIPTION.0.to_owned(), DESCRIPTION.1.to_owned())]);
    let map = Box::new(ConfigMap {
        metadata: ObjectMeta {
            name: Some(super::NAME.to_owned()),
            annotations: Some(description),
            ..ObjectMeta::default()
        },
        data: Some(wanted),
        ..ConfigMap::default()
    });
    let Some(present) = &observed.config_map else {
        return Action::Create(map);
    };
    let annotations = present.metadata.annotations.as_ref();
    let described = annotations.is_some_and(|a| a.contains_key(DESCRIPTION.0));
    match present.data == map.data && described {
        true => Action::Nothing,
        false => Action::Update(map),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn plans_are_as_in_the_test_data() {
        crate::testing::check_plans("root_ca", |observed| super::plan(&observed));
    }
}
