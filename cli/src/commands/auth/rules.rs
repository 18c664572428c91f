//! Reconciling roles and bindings: what is to become of the object that is there, from the one that is
//! wanted. Nothing is asked here.

use serde_json::{Map, Value, json};

/// The annotation of objects that want to be left alone.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    None,
    Create,
    Update,
    Recreate,
}

impl Operation {
    /// The word for it, `None` where there is nothing to say.
    pub(super) fn word(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Create => Some("create"),
            Self::Update => Some("update"),
            Self::Recreate => Some("recreate"),
        }
    }
}

/// How an object is brought to what is wanted.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) object: Value,
    pub(super) operation: Operation,
    /// Whether it wants to be left alone.
    pub(super) protected: bool,
    /// Rules of a role, or subjects of a binding, that were not there.
    pub(super) missing: Vec<Value>,
    /// Those that nobody wants.
    pub(super) extra: Vec<Value>,
}

/// The list of a kind that is reconciled.
pub(super) fn list_of(kind: &str) -> &'static str {
    match kind {
        "Role" | "ClusterRole" => "rules",
        _ => "subjects",
    }
}

/// Plans for an object of a kind, `present` being the one that is there. `remove` takes away what nobody
/// wants.
pub(super) fn plan(kind: &str, wanted: &Value, present: Option<&Value>, remove: bool) -> Plan {
    let list = list_of(kind);
    let Some(present) = present else {
        return Plan {
            object: wanted.clone(),
            operation: Operation::Create,
            protected: false,
            missing: items(wanted, list).to_vec(),
            extra: Vec::new(),
        };
    };
    let protected = present["metadata"]["annotations"][AUTOUPDATE] == "false";
    if list == "subjects" && role_ref(wanted) != role_ref(present) {
        return Plan {
            object: wanted.clone(),
            operation: Operation::Recreate,
            protected,
            missing: Vec::new(),
            extra: Vec::new(),
        };
    }
    let mut object = present.clone();
    let mut changed = false;
    for field in ["annotations", "labels"] {
        changed |= merge(&mut object["metadata"], field, &wanted["metadata"][field]);
    }
    let (is, should) = (items(present, list), items(wanted, list));
    let (missing, mut extra) = match list {
        "rules" => (uncovered(is, should), uncovered(should, is)),
        _ => (others(should, is), others(is, should)),
    };
    let aggregated = |object: &Value| !object["aggregationRule"].is_null();
    if aggregated(wanted) && aggregated(present) {
        // The rules are those of other roles.
        extra.clear();
    }
    if remove && !(missing.is_empty() && extra.is_empty()) {
        object[list] = should.into();
        changed = true;
    } else if !remove && !missing.is_empty() {
        object[list] = [is, &missing].concat().into();
        changed = true;
    }
    changed |= aggregate(&mut object, wanted, present, remove);
    Plan {
        object,
        operation: match changed {
            true => Operation::Update,
            false => Operation::None,
        },
        protected,
        missing,
        extra,
    }
}

/// Brings the aggregation rule to what is wanted; returns whether that changes it.
fn aggregate(object: &mut Value, wanted: &Value, present: &Value, remove: bool) -> bool {
    let rule = "aggregationRule";
    if wanted[rule].is_null() {
        let fields = object.as_object_mut();
        return fields.is_some_and(|fields| fields.remove(rule).is_some());
    }
    let selectors = "clusterRoleSelectors";
    let (is, should) = (
        items(&present[rule], selectors),
        items(&wanted[rule], selectors),
    );
    let (missing, extra) = (others(should, is), others(is, should));
    if remove && !(missing.is_empty() && extra.is_empty()) {
        object[rule] = wanted[rule].clone();
    } else if !remove && !missing.is_empty() {
        object[rule] = json!({ selectors: Value::from([is, &missing].concat()) });
    } else {
        return false;
    }
    true
}

/// Adds what is wanted to a map, in which what is there stays; returns whether that changes it.
fn merge(metadata: &mut Value, field: &str, wanted: &Value) -> bool {
    let mut merged = wanted.as_object().cloned().unwrap_or_default();
    let present = metadata[field].as_object().cloned().unwrap_or_default();
    merged.extend(present.clone());
    if merged == present {
        return false;
    }
    metadata[field] = merged.into();
    true
}

fn items<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().map_or(&[], Vec::as_slice)
}

/// Those of `all` that are not in `known`, each once. Fields that are empty count as absent.
fn others(all: &[Value], known: &[Value]) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for item in all {
        let same = |other: &&Value| filled(other) == filled(item);
        if known.iter().find(same).is_none() && found.iter().find(same).is_none() {
            found.push(item.clone());
        }
    }
    found
}

fn role_ref(binding: &Value) -> Map<String, Value> {
    filled(&binding["roleRef"])
}

fn filled(value: &Value) -> Map<String, Value> {
    let fields = value.as_object().into_iter().flatten();
    let fields = fields.filter(|(_, value)| !value.is_null() && *value != "");
    fields.map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// The parts of `servant` that no rule of `owner` covers: a verb, a group, a resource and at most a name
/// each, or a verb and a path.
fn uncovered(owner: &[Value], servant: &[Value]) -> Vec<Value> {
    let parts = servant.iter().flat_map(parts);
    parts
        .filter(|part| !owner.iter().any(|rule| covers(rule, part)))
        .collect()
}

fn texts<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    items(rule, field)
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

fn parts(rule: &Value) -> Vec<Value> {
    let verbs = texts(rule, "verbs");
    let names = texts(rule, "resourceNames");
    let mut parts = Vec::new();
    for group in texts(rule, "apiGroups") {
        for resource in texts(rule, "resources") {
            for verb in &verbs {
                let part =
                    json!({ "verbs": [verb], "apiGroups": [group], "resources": [resource] });
                if names.is_empty() {
                    parts.push(part.clone());
                }
                for name in &names {
                    let mut named = part.clone();
                    named["resourceNames"] = json!([name]);
                    parts.push(named);
                }
            }
        }
    }
    for url in texts(rule, "nonResourceURLs") {
        let each = verbs.iter();
        parts.extend(each.map(|verb| json!({ "verbs": [verb], "nonResourceURLs": [url] })));
    }
    parts
}

fn covers(rule: &Value, part: &Value) -> bool {
    let all = |field: &str, fits: &dyn Fn(&str, &str) -> bool| {
        let owned = texts(rule, field);
        let wanted = texts(part, field);
        wanted
            .iter()
            .all(|wanted| owned.iter().any(|owned| fits(owned, wanted)))
    };
    let or_star = |owned: &str, wanted: &str| owned == "*" || owned == wanted;
    let resource = |owned: &str, wanted: &str| {
        let part = wanted.split_once('/').map(|(_, part)| part);
        or_star(owned, wanted) || part.is_some_and(|part| owned.strip_prefix("*/") == Some(part))
    };
    let url = |owned: &str, wanted: &str| {
        owned == wanted || owned.ends_with('*') && wanted.starts_with(owned.trim_end_matches('*'))
    };
    let limited = !items(rule, "resourceNames").is_empty();
    let names = match items(part, "resourceNames") {
        [] => !limited,
        _ => !limited || all("resourceNames", &|owned, wanted| owned == wanted),
    };
    names
        && all("verbs", &or_star)
        && all("apiGroups", &or_star)
        && all("resources", &resource)
        && all("nonResourceURLs", &url)
}

/// A rule or a subject as Go prints its struct.
pub(super) fn shown(list: &str, item: &Value) -> String {
    let words: Vec<String> = match list {
        "rules" => [
            ("Verbs", "verbs"),
            ("APIGroups", "apiGroups"),
            ("Resources", "resources"),
            ("ResourceNames", "resourceNames"),
            ("NonResourceURLs", "nonResourceURLs"),
        ]
        .map(|(name, field)| format!("{name}:[{}]", texts(item, field).join(" ")))
        .to_vec(),
        _ => [
            ("Kind", "kind"),
            ("APIGroup", "apiGroup"),
            ("Name", "name"),
            ("Namespace", "namespace"),
        ]
        .map(|(name, field)| format!("{name}:{}", item[field].as_str().unwrap_or_default()))
        .to_vec(),
    };
    format!("{{{}}}", words.join(" "))
}
