//! The environment of a container, as descriptions show it.

use serde_json::Value;

use crate::kinds::description::Description;
use crate::kinds::read::{entries, flag, has, items, text};
use crate::meta::quantity::Quantity;

/// Adds the environment. `pod` gives the values of its own fields, where there is a pod.
pub(super) fn environment(out: &mut Description, container: &Value, pod: Option<&Value>) {
    let sources = items(container, "envFrom");
    if !sources.is_empty() {
        out.line(2, "Environment Variables from:");
    }
    for source in sources {
        let (kind, from) = match &source["configMapRef"] {
            Value::Null => ("Secret", &source["secretRef"]),
            map => ("ConfigMap", map),
        };
        let prefix = match text(source, "prefix") {
            "" => String::new(),
            prefix => format!(" with prefix '{prefix}'"),
        };
        let (name, optional) = (text(from, "name"), flag(from, "optional"));
        out.line(3, &format!("{name}\t{kind}{prefix}\tOptional: {optional}"));
    }
    let variables = items(container, "env");
    let none = if variables.is_empty() { "\t<none>" } else { "" };
    out.line(2, &format!("Environment:{none}"));
    for variable in variables {
        self::variable(out, container, variable, pod);
    }
}

fn variable(out: &mut Description, container: &Value, variable: &Value, pod: Option<&Value>) {
    let name = text(variable, "name");
    let from = &variable["valueFrom"];
    if from.is_null() {
        for (at, line) in text(variable, "value").split('\n').enumerate() {
            let name = if at == 0 {
                format!("{name}:")
            } else {
                String::new()
            };
            out.line(3, &format!("{name}\t{line}"));
        }
    } else if has(from, "fieldRef") {
        let field = &from["fieldRef"];
        let path = text(field, "fieldPath");
        let value = pod.map(|pod| field_value(pod, path)).unwrap_or_default();
        let version = text(field, "apiVersion");
        out.field(3, name, format!("{value} ({version}:{path})"));
    } else if has(from, "resourceFieldRef") {
        let field = &from["resourceFieldRef"];
        let resource = text(field, "resource");
        let value = match resource_value(container, field) {
            0 if matches!(resource, "limits.cpu" | "limits.memory") => {
                "node allocatable".to_owned()
            }
            value => value.to_string(),
        };
        out.field(3, name, format!("{value} ({resource})"));
    } else {
        for (field, place) in [
            ("secretKeyRef", "in secret"),
            ("configMapKeyRef", "of config map"),
        ] {
            let key = &from[field];
            if !key.is_null() {
                let (object, optional) = (text(key, "name"), flag(key, "optional"));
                let key = text(key, "key");
                let value =
                    format!("<set to the key '{key}' {place} '{object}'>\tOptional: {optional}");
                return out.field(3, name, value);
            }
        }
    }
}

/// A field of the pod as a variable gets it.
fn field_value(pod: &Value, path: &str) -> String {
    if let Some((base, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        let field = base.trim_start_matches("metadata.");
        return text(&pod["metadata"][field], key).to_owned();
    }
    match path.split_once('.') {
        Some(("metadata", field @ ("labels" | "annotations"))) => {
            let lines = entries(&pod["metadata"], field);
            let lines = lines.map(|(key, value)| {
                let value = value.as_str().unwrap_or_default();
                format!("{key}={value:?}")
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        Some(("metadata", field)) => text(&pod["metadata"], field).to_owned(),
        // The others resolve in the running container alone.
        _ => String::new(),
    }
}

/// An amount of a container's resources in units of the divisor, rounded up.
fn resource_value(container: &Value, field: &Value) -> i128 {
    let parse = |text: &str| text.parse::<Quantity>().unwrap_or_default();
    let (list, name) = text(field, "resource").split_once('.').unwrap_or_default();
    let amount = parse(text(&container["resources"][list], name));
    let divisor = match text(field, "divisor") {
        "" | "0" => parse("1"),
        divisor => parse(divisor),
    };
    let (amount, divisor) = if name == "cpu" {
        (amount.milli(), divisor.milli())
    } else {
        (amount.value(), divisor.value())
    };
    let divisor = divisor.max(1);
    (amount + divisor - 1) / divisor
}
