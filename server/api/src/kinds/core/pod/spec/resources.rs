//! The problems of resource requirements and amounts.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::check::{problems, qualified_name};
use crate::kinds::read::{entries, has, items, text};
use crate::meta::name;
use crate::meta::quantity::Quantity;

const DOMAIN: &str = "kubernetes.io/";
const HUGE_PAGES: &str = "hugepages-";
/// What a container can ask for without a domain.
const COMPUTE: &[&str] = &["cpu", "memory", "ephemeral-storage"];
/// What a quota can count without a domain.
const QUOTA: &[&str] = &[
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];
/// What comes in whole pieces.
const WHOLE: &[&str] = &[
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// The amount that a quantity stands for; the schema has refused what is none.
fn amount(value: &Value) -> Quantity {
    let text = value.as_str().unwrap_or("0");
    text.parse().unwrap_or_default()
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains(DOMAIN)
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && name::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether pods may together ask for less than they may use.
fn may_overcommit(name: &str) -> bool {
    is_native(name) && !name.starts_with(HUGE_PAGES)
}

/// Adds the problems of what a container asks for.
pub(super) fn requirements(errors: &mut Vec<Error>, resources: &Value, path: &Path) {
    let limits = &resources["limits"];
    for (name, value) in entries(resources, "limits") {
        each(errors, name, value, &path.child("limits").key(name));
    }
    let at = path.child("requests");
    for (name, value) in entries(resources, "requests") {
        each(errors, name, value, &at.key(name));
        if has(limits, name) {
            against_limit(errors, name, value, &limits[name], &at);
        } else if !may_overcommit(name) {
            let detail = "Limit must be set for non overcommitable resources";
            errors.push(Error::required(&path.child("limits"), detail));
        }
    }
    let asked = |wanted: &dyn Fn(&str) -> bool| {
        let lists = ["limits", "requests"];
        lists
            .iter()
            .any(|list| entries(resources, list).any(|(name, _)| wanted(name)))
    };
    let basic = asked(&|n| matches!(n, "cpu" | "memory"));
    if !basic && asked(&|n| n.starts_with(HUGE_PAGES)) {
        errors.push(Error::forbidden(path, "HugePages require cpu or memory"));
    }
    claims(errors, resources, &path.child("claims"));
}

fn claims(errors: &mut Vec<Error>, resources: &Value, path: &Path) {
    for (at, claim) in items(resources, "claims").iter().enumerate() {
        if text(claim, "name").is_empty() {
            errors.push(Error::required(&path.index(at), ""));
        }
    }
}

/// The name and the amount of one resource of a container.
fn each(errors: &mut Vec<Error>, name: &str, value: &Value, path: &Path) {
    let before = errors.len();
    qualified_name(errors, path, name);
    let readable = errors.len() == before;
    let plain = !name.contains('/');
    let standard = COMPUTE.contains(&name) || name.starts_with(HUGE_PAGES);
    let quota = QUOTA.contains(&name) || name.starts_with("requests.hugepages-");
    let mut wrong = |detail: &str| errors.push(Error::invalid(path, name, detail));
    if plain {
        if readable && !standard && !quota {
            wrong("must be a standard resource type or fully qualified");
        }
        if !standard {
            wrong("must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        wrong("doesn't follow extended resource name standard");
    }
    quantity(errors, name, value, path);
    huge_pages(errors, name, value, path);
}

/// Huge pages come in multiples of their size.
fn huge_pages(errors: &mut Vec<Error>, name: &str, value: &Value, path: &Path) {
    let Some(size) = name.strip_prefix(HUGE_PAGES) else {
        return;
    };
    let size = size.parse::<Quantity>().map_or(0, Quantity::value);
    let bytes = amount(value).value();
    if size <= 0 || bytes % size != 0 {
        let shown = amount(value).to_string();
        let detail = format!("{shown} is not positive integer multiple of {name}");
        errors.push(Error::invalid(path, shown, detail));
    }
}

fn against_limit(errors: &mut Vec<Error>, name: &str, request: &Value, limit: &Value, path: &Path) {
    let (request, limit) = (amount(request), amount(limit));
    let detail = if request != limit && !may_overcommit(name) {
        format!("must be equal to {name} limit of {limit}")
    } else if request > limit {
        format!("must be less than or equal to {name} limit of {limit}")
    } else {
        return;
    };
    errors.push(Error::invalid(path, request.to_string(), detail));
}

/// The problems of an amount of a resource, wherever it stands.
pub(crate) fn quantity(errors: &mut Vec<Error>, name: &str, value: &Value, path: &Path) {
    let amount = amount(value);
    if amount.sign() < 0 {
        let detail = "must be greater than or equal to 0";
        problems(errors, path, &amount.to_string(), vec![detail.to_owned()]);
    }
    let whole = WHOLE.contains(&name) || is_extended(name);
    if whole && amount.milli() % 1000 != 0 {
        errors.push(Error::invalid(
            path,
            amount.to_string(),
            "must be an integer",
        ));
    }
}
