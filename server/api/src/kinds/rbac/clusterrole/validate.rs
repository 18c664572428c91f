//! The rules of a ClusterRole, and the selectors of those that are put together from others.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::rbac::rules;
use crate::kinds::read::{has, items};
use crate::kinds::selectors;
use crate::meta::selector::Labels;

pub(super) fn object(object: &Value) -> Vec<Error> {
    let mut errors = rules::validate(object, false);
    if !has(object, "aggregationRule") {
        return errors;
    }
    let path = Path::new("aggregationRule").child("clusterRoleSelectors");
    let selectors = items(&object["aggregationRule"], "clusterRoleSelectors");
    if selectors.is_empty() {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.push(Error::required(&path, detail));
    }
    for (at, selector) in selectors.iter().enumerate() {
        errors.extend(selectors::validate(selector, &path.index(at)));
        if Labels::from_selector(selector).is_err() {
            let detail = "invalid label selector.";
            errors.push(Error::invalid(&path.index(at), Value::Null, detail));
        }
    }
    errors
}
