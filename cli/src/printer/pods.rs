//! The pod template of a revision, as `rollout history --revision` describes it.

use serde_json::Value;

/// Describes a template; `cause` is why the revision was made.
pub(crate) fn pod_template(template: &Value, cause: Option<&str>) -> String {
    let mut out = "Pod Template:\n".to_owned();
    map_lines(
        &mut out,
        "  Labels:\t",
        "\t",
        template["metadata"]["labels"].as_object(),
        "=",
    );
    let mut annotations = template["metadata"]["annotations"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    if let Some(cause) = cause {
        annotations.insert("kubernetes.io/change-cause".into(), cause.into());
    }
    if !annotations.is_empty() {
        map_lines(&mut out, "  Annotations:\t", "\t", Some(&annotations), ": ");
    }
    let spec = &template["spec"];
    if let Some(account) = spec["serviceAccountName"].as_str() {
        out.push_str(&format!("  Service Account:\t{account}\n"));
    }
    for (list, heading) in [
        ("initContainers", "Init Containers"),
        ("containers", "Containers"),
    ] {
        let containers = spec[list].as_array().map_or(&[][..], Vec::as_slice);
        if !containers.is_empty() {
            out.push_str(&format!("  {heading}:\n"));
            containers.iter().for_each(|c| container(&mut out, c));
        }
    }
    volumes(&mut out, &spec["volumes"]);
    map_lines(
        &mut out,
        "  Node-Selectors:\t",
        "\t",
        spec["nodeSelector"].as_object(),
        "=",
    );
    tolerations(&mut out, &spec["tolerations"]);
    out
}

fn map_lines(
    out: &mut String,
    first: &str,
    next: &str,
    map: Option<&serde_json::Map<String, Value>>,
    separator: &str,
) {
    let Some(map) = map.filter(|m| !m.is_empty()) else {
        out.push_str(&format!("{first}<none>\n"));
        return;
    };
    for (index, (key, value)) in map.iter().enumerate() {
        let lead = if index == 0 { first } else { next };
        out.push_str(&format!(
            "{lead}{key}{separator}{}\n",
            value.as_str().unwrap_or_default()
        ));
    }
}

fn container(out: &mut String, container: &Value) {
    let text = |field: &str| container[field].as_str().unwrap_or_default().to_owned();
    out.push_str(&format!(
        "   {}:\n    Image:\t{}\n",
        text("name"),
        text("image")
    ));
    let ports = |field: &str| {
        let all: Vec<String> = container["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|p| {
                let name = p["name"]
                    .as_str()
                    .map(|n| format!(" ({n})"))
                    .unwrap_or_default();
                format!(
                    "{}/{}{}",
                    p[field].as_i64().unwrap_or(0),
                    p["protocol"].as_str().unwrap_or("TCP"),
                    name
                )
            })
            .collect();
        (
            if all.len() > 1 { "s" } else { "" },
            if all.is_empty() {
                "<none>".to_owned()
            } else {
                all.join(", ")
            },
        )
    };
    let (plural, shown) = ports("containerPort");
    out.push_str(&format!("    Port{plural}:\t{shown}\n"));
    let (plural, shown) = ports("hostPort");
    out.push_str(&format!("    Host Port{plural}:\t{shown}\n"));
    for (field, heading) in [("command", "Command"), ("args", "Args")] {
        if let Some(words) = container[field].as_array().filter(|w| !w.is_empty()) {
            out.push_str(&format!("    {heading}:\n"));
            for line in words.iter().filter_map(Value::as_str).flat_map(str::lines) {
                out.push_str(&format!("      {line}\n"));
            }
        }
    }
    for (field, heading) in [("limits", "Limits"), ("requests", "Requests")] {
        if let Some(amounts) = container["resources"][field]
            .as_object()
            .filter(|a| !a.is_empty())
        {
            out.push_str(&format!("    {heading}:\n"));
            for (name, amount) in amounts {
                out.push_str(&format!(
                    "      {name}:\t{}\n",
                    amount.as_str().unwrap_or_default()
                ));
            }
        }
    }
    environment(out, container);
    mounts(out, &container["volumeMounts"]);
}

fn environment(out: &mut String, container: &Value) {
    let Some(list) = container["env"].as_array().filter(|e| !e.is_empty()) else {
        out.push_str("    Environment:\t<none>\n");
        return;
    };
    out.push_str("    Environment:\n");
    for variable in list {
        let name = variable["name"].as_str().unwrap_or_default();
        let from = &variable["valueFrom"];
        let part =
            |kind: &str, field: &str| from[kind][field].as_str().unwrap_or_default().to_owned();
        let value = if from["fieldRef"].is_object() {
            format!(
                " ({}:{})",
                from["fieldRef"]["apiVersion"].as_str().unwrap_or("v1"),
                part("fieldRef", "fieldPath")
            )
        } else if from["resourceFieldRef"].is_object() {
            format!(" ({})", part("resourceFieldRef", "resource"))
        } else if from["secretKeyRef"].is_object() {
            format!(
                "<set to the key '{}' in secret '{}'>\tOptional: {}",
                part("secretKeyRef", "key"),
                part("secretKeyRef", "name"),
                from["secretKeyRef"]["optional"].as_bool().unwrap_or(false)
            )
        } else if from["configMapKeyRef"].is_object() {
            format!(
                "<set to the key '{}' of config map '{}'>\tOptional: {}",
                part("configMapKeyRef", "key"),
                part("configMapKeyRef", "name"),
                from["configMapKeyRef"]["optional"]
                    .as_bool()
                    .unwrap_or(false)
            )
        } else {
            variable["value"].as_str().unwrap_or_default().to_owned()
        };
        out.push_str(&format!("      {name}:\t{value}\n"));
    }
}

fn mounts(out: &mut String, mounts: &Value) {
    let mut lines: Vec<String> = mounts
        .as_array()
        .into_iter()
        .flatten()
        .map(|m| {
            let mode = if m["readOnly"] == true { "ro" } else { "rw" };
            let path = m["subPath"]
                .as_str()
                .map(|p| format!(",path={p:?}"))
                .unwrap_or_default();
            format!(
                "      {} from {} ({mode}{path})\n",
                m["mountPath"].as_str().unwrap_or_default(),
                m["name"].as_str().unwrap_or_default()
            )
        })
        .collect();
    lines.sort();
    if lines.is_empty() {
        out.push_str("    Mounts:\t<none>\n");
    } else {
        out.push_str("    Mounts:\n");
        out.push_str(&lines.concat());
    }
}

fn volumes(out: &mut String, volumes: &Value) {
    let Some(list) = volumes.as_array().filter(|v| !v.is_empty()) else {
        out.push_str("  Volumes:\t<none>\n");
        return;
    };
    out.push_str("  Volumes:\n");
    for volume in list {
        out.push_str(&format!(
            "   {}:\n",
            volume["name"].as_str().unwrap_or_default()
        ));
        let text = |source: &str, field: &str| {
            volume[source][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        if volume["configMap"].is_object() {
            out.push_str(&format!("    Type:\tConfigMap (a volume populated by a ConfigMap)\n    Name:\t{}\n    Optional:\t{}\n", text("configMap", "name"), volume["configMap"]["optional"].as_bool().unwrap_or(false)));
        } else if volume["secret"].is_object() {
            out.push_str(&format!("    Type:\tSecret (a volume populated by a Secret)\n    SecretName:\t{}\n    Optional:\t{}\n", text("secret", "secretName"), volume["secret"]["optional"].as_bool().unwrap_or(false)));
        } else if volume["hostPath"].is_object() {
            let kind = text("hostPath", "type");
            out.push_str(&format!("    Type:\tHostPath (bare host directory volume)\n    Path:\t{}\n    HostPathType:\t{kind}\n", text("hostPath", "path")));
        } else if volume["emptyDir"].is_object() {
            let size = volume["emptyDir"]["sizeLimit"]
                .as_str()
                .unwrap_or("<unset>");
            out.push_str(&format!("    Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)\n    Medium:\t{}\n    SizeLimit:\t{size}\n", text("emptyDir", "medium")));
        } else {
            let kind = volume
                .as_object()
                .into_iter()
                .flatten()
                .map(|(k, _)| k.as_str())
                .find(|k| *k != "name")
                .unwrap_or("<unknown>");
            out.push_str(&format!("    Type:\t{kind}\n"));
        }
    }
}

fn tolerations(out: &mut String, tolerations: &Value) {
    let mut lines: Vec<String> = tolerations
        .as_array()
        .into_iter()
        .flatten()
        .map(|t| {
            let text = |field: &str| t[field].as_str().unwrap_or_default();
            let mut line = text("key").to_owned();
            if !text("value").is_empty() {
                line.push_str(&format!("={}", text("value")));
            }
            if !text("effect").is_empty() {
                line.push_str(&format!(":{}", text("effect")));
            }
            if text("operator") == "Exists" && text("value").is_empty() {
                line.push_str(if !text("key").is_empty() || !text("effect").is_empty() {
                    " op=Exists"
                } else {
                    "op=Exists"
                });
            }
            if let Some(seconds) = t["tolerationSeconds"].as_i64() {
                line.push_str(&format!(" for {seconds}s"));
            }
            line
        })
        .collect();
    lines.sort();
    if lines.is_empty() {
        lines.push("<none>".to_owned());
    }
    out.push_str(&format!("  Tolerations:\t{}\n", lines.join("\n\t\t")));
}
