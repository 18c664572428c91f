//! Whether a namespace lacks its service account. No I/O.

use k8s_openapi::api::core::v1::Namespace;
use serde::{Deserialize, Serialize};

/// What a plan is made from.
#[derive(Debug, Deserialize)]
pub(crate) struct Observed {
    /// The namespace, if it is there.
    pub(crate) namespace: Option<Namespace>,
    /// Whether it has its service account.
    pub(crate) exists: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    /// All is well, or the namespace is going away.
    Nothing,
    /// Create the service account.
    Create,
}

/// Decides.
pub(crate) fn plan(observed: &Observed) -> Action {
    let alive = |n: &Namespace| n.metadata.deletion_timestamp.is_none();
    match observed.exists || !observed.namespace.as_ref().is_some_and(alive) {
        true => Action::Nothing,
        false => Action::Create,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn plans_are_as_in_the_test_data() {
        crate::testing::check_plans("service_account", |observed| super::plan(&observed));
    }
}
