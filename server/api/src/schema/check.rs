//! Checks an object against its schema and brings it into the form that kube-apiserver stores.
//!
//! One walk over the object, in place: types are checked, unknown fields are taken out and reported,
//! nulls and empty values that Go's encoder would leave out are dropped, those it always writes are
//! added (`resources: {}`), and quantities, times and base64 are spelled canonically.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::{Field, Schema, Type, go};
use crate::meta::{quantity, time};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The paths of fields that the schema does not know, such as `spec.containers[0].foo`.
    /// They are gone from the object.
    pub unknown: Vec<String>,
    /// The first value of a wrong type, as kube-apiserver words decoding errors. The object is of no
    /// use then.
    pub error: Option<String>,
}

impl Schema {
    /// Checks an object in place.
    pub fn check(&self, object: &mut Value) -> Checked {
        let mut checker = Checked::default();
        match object {
            Value::Object(fields) => checker.fields(self, fields, None),
            Value::Null => {}
            other => {
                let package = self.name.rsplit('.').nth(1).unwrap_or_default();
                checker.error = Some(format!(
                    "json: cannot unmarshal {} into Go value of type {package}.{}",
                    go::json_type(other),
                    self.short_name()
                ));
            }
        }
        checker
    }
}

/// A place in the object, linked to the one around it. Lives on the stack: texts are made only when
/// there is something to report.
#[derive(Clone, Copy)]
struct Place<'a> {
    up: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a Schema, &'a Field),
    Index(usize),
    Key(&'a str),
}

impl Place<'_> {
    /// `spec.containers[0].name`
    fn write(&self, text: &mut String) {
        if let Some(up) = self.up {
            up.write(text);
        }
        let name = match self.step {
            Step::Index(index) => {
                text.push_str(&format!("[{index}]"));
                return;
            }
            Step::Key(name) => name,
            Step::Field(_, field) => field.name,
        };
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(name);
    }

    /// The fields on the way with embedded structs and without indexes, as Go's decoder shows them.
    fn write_go(&self, text: &mut String) {
        if let Some(up) = self.up {
            up.write_go(text);
        }
        let Step::Field(_, field) = self.step else {
            return;
        };
        for part in field.inline.into_iter().chain([field.name]) {
            text.push('.');
            text.push_str(part);
        }
    }

    /// The field that holds the value, and how many lists and maps the value is deep in it.
    fn field(&self) -> Option<(&Schema, &Field, usize)> {
        match (self.step, self.up) {
            (Step::Field(schema, field), _) => Some((schema, field, 0)),
            (_, Some(up)) => up.field().map(|(s, f, depth)| (s, f, depth + 1)),
            _ => None,
        }
    }
}

impl Checked {
    fn fields(&mut self, schema: &Schema, fields: &mut Map<String, Value>, at: Option<&Place<'_>>) {
        if schema.free_form {
            return;
        }
        for index in &schema.always {
            let field = &schema.fields[*index];
            if fields.get(field.name).is_none_or(Value::is_null)
                && let Some(zero) = zero(&field.kind)
            {
                fields.insert(field.name.to_owned(), zero);
            }
        }
        fields.retain(|name, value| {
            if self.error.is_some() {
                return true;
            }
            let Some(field) = schema.field(name) else {
                let step = Step::Key(name);
                self.report_unknown(&Place { up: at, step });
                return false;
            };
            if value.is_null() {
                return false;
            }
            let step = Step::Field(schema, field);
            self.value(&field.kind, value, &Place { up: at, step });
            field.keep_zero || !is_zero(value)
        });
    }

    fn report_unknown(&mut self, place: &Place<'_>) {
        let mut text = String::new();
        place.write(&mut text);
        self.unknown.push(text);
    }

    fn value(&mut self, kind: &Type, value: &mut Value, at: &Place<'_>) {
        match (kind, &mut *value) {
            (Type::Any, _)
            | (Type::String, Value::String(_))
            | (Type::Boolean, Value::Bool(_))
            | (Type::Number, Value::Number(_))
            | (Type::IntOrString, Value::String(_)) => {}
            (Type::Object(_), Value::Object(fields)) => {
                if let Some(schema) = kind.schema() {
                    self.fields(schema, fields, Some(at));
                }
            }
            (Type::List(entry), Value::Array(list)) => {
                for (index, value) in list.iter_mut().enumerate() {
                    let step = Step::Index(index);
                    self.entry(entry, value, &Place { up: Some(at), step });
                }
            }
            (Type::Map(entry), Value::Object(map)) => {
                for (key, value) in map.iter_mut() {
                    let step = Step::Key(key);
                    self.entry(entry, value, &Place { up: Some(at), step });
                }
            }
            (Type::Int32 | Type::IntOrString, Value::Number(number)) => {
                let whole = number.as_i64().and_then(|n| i32::try_from(n).ok());
                if whole.is_none() {
                    let found = format!("number {number}");
                    self.mismatch(&found, kind, at);
                }
            }
            (Type::Int64, Value::Number(number)) => {
                if number.as_i64().is_none() {
                    let found = format!("number {number}");
                    self.mismatch(&found, kind, at);
                }
            }
            (Type::Bytes, Value::String(text)) => self.bytes(text),
            (Type::Time, Value::String(text)) => self.time(text, false),
            (Type::MicroTime, Value::String(text)) => self.time(text, true),
            (Type::Quantity, _) => self.quantity(value),
            (kind, other) => {
                let found = go::json_type(other);
                self.mismatch(found, kind, at);
            }
        }
    }

    /// An entry of a list or map: a null stands for the empty value.
    fn entry(&mut self, kind: &Type, value: &mut Value, at: &Place<'_>) {
        if self.error.is_some() {
            return;
        }
        if value.is_null()
            && let Some(zero) = zero(kind)
        {
            *value = zero;
        }
        if !value.is_null() {
            self.value(kind, value, at);
        }
    }

    fn mismatch(&mut self, found: &str, kind: &Type, at: &Place<'_>) {
        let Some((schema, field, depth)) = at.field() else {
            return;
        };
        let mut path = String::new();
        at.write_go(&mut path);
        let wanted = go_type(field, depth, kind);
        let owner = schema.short_name();
        self.error.get_or_insert_with(|| {
            format!(
                "json: cannot unmarshal {found} into Go struct field {owner}{path} of type {wanted}"
            )
        });
    }

    fn bytes(&mut self, text: &mut String) {
        if is_plain_base64(text.as_bytes()) {
            return;
        }
        if let Some(at) = go::base64_error(text) {
            self.error = Some(format!("illegal base64 data at input byte {at}"));
            return;
        }
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &alphabet::STANDARD,
            GeneralPurposeConfig::new()
                .with_decode_allow_trailing_bits(true)
                .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
        );
        text.retain(|c| !matches!(c, '\r' | '\n'));
        match LENIENT.decode(&*text) {
            Ok(bytes) => *text = LENIENT.encode(bytes),
            Err(e) => self.error = Some(e.to_string()),
        }
    }

    fn time(&mut self, text: &mut String, micros: bool) {
        if let Some(problem) = go::time_error(text, micros) {
            self.error = Some(problem);
            return;
        }
        let length = if micros { 27 } else { 20 };
        if text.len() == length && text.ends_with('Z') {
            return;
        }
        if let Some(parsed) = time::parse(text) {
            *text = match micros {
                true => time::micros(parsed),
                false => time::seconds(parsed),
            };
        }
    }

    fn quantity(&mut self, value: &mut Value) {
        let canonical = match &*value {
            Value::String(text) => quantity::canonical(text),
            Value::Number(number) => {
                let text = number.to_string();
                quantity::canonical(&text).map(|canonical| Some(canonical.unwrap_or(text)))
            }
            _ => Err(quantity::Error::Format),
        };
        match canonical {
            Ok(Some(text)) => *value = text.into(),
            Ok(None) => {}
            Err(e) => self.error = Some(e.to_string()),
        }
    }
}

/// The empty value of a type, `None` where Go writes null.
fn zero(kind: &Type) -> Option<Value> {
    match kind {
        Type::String | Type::Bytes => Some("".into()),
        Type::Boolean => Some(false.into()),
        Type::Int32 | Type::Int64 | Type::Number | Type::IntOrString => Some(0.into()),
        Type::Quantity => Some("0".into()),
        Type::Object(_) => Some(Value::Object(Map::new())),
        Type::Time | Type::MicroTime | Type::List(_) | Type::Map(_) | Type::Any => None,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// The Go type of a value that is `depth` lists and maps deep in a field.
fn go_type(field: &Field, depth: usize, kind: &Type) -> String {
    let mut text = field.go.map(str::to_owned);
    for _ in 0..depth {
        text = text.and_then(|t| {
            let entry = t.strip_prefix("[]").map(str::to_owned);
            entry.or_else(|| Some(t.strip_prefix("map[")?.split_once(']')?.1.to_owned()))
        });
    }
    match (text, kind) {
        // The Go types of these decode themselves, through a plainer type.
        (_, Type::Time | Type::MicroTime) => "string".to_owned(),
        (_, Type::IntOrString) => "int32".to_owned(),
        (Some(text), _) => text,
        (None, kind) => derived(kind),
    }
}

fn derived(kind: &Type) -> String {
    match kind {
        Type::String | Type::Time | Type::MicroTime => "string".to_owned(),
        Type::Boolean => "bool".to_owned(),
        Type::Int32 | Type::IntOrString => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Number => "float64".to_owned(),
        Type::Bytes => "[]uint8".to_owned(),
        Type::Any => "interface {}".to_owned(),
        Type::Quantity => "resource.Quantity".to_owned(),
        Type::List(entry) => format!("[]{}", derived(entry)),
        Type::Map(entry) => format!("map[string]{}", derived(entry)),
        Type::Object(_) => {
            let name = kind.schema().map_or("", |s| s.name);
            let mut parts = name.rsplit('.');
            let short = parts.next().unwrap_or_default();
            format!("{}.{short}", parts.next().unwrap_or_default())
        }
    }
}

/// Whether a text is base64 as an encoder writes it, so that it need not be decoded.
fn is_plain_base64(text: &[u8]) -> bool {
    let [front @ .., c, d] = text else {
        return text.is_empty();
    };
    let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    if !text.len().is_multiple_of(4) || !front.iter().all(good) {
        return false;
    }
    match (c, d) {
        // One byte in the last group: the low four bits of its second character are unused.
        (b'=', b'=') => matches!(front.last(), Some(b'A' | b'Q' | b'g' | b'w')),
        // Two bytes: the low two bits of the third.
        (c, b'=') => b"AEIMQUYcgkosw048".contains(c),
        (c, d) => good(c) && good(d),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::of;

    fn schema(kind: &str) -> &'static Schema {
        of(&format!("io.k8s.api.{kind}")).expect("a schema")
    }

    fn error(kind: &str, mut object: Value) -> String {
        schema(kind).check(&mut object).error.unwrap_or_default()
    }

    fn pod_error(spec: Value) -> String {
        error("core.v1.Pod", json!({ "spec": spec }))
    }

    #[test]
    fn wrong_types_are_refused_in_kube_apiserver_s_words() {
        let container = |container: Value| json!({"containers": [container]});
        let port = |port: Value| container(json!({"livenessProbe": {"httpGet": {"port": port}}}));
        for (spec, found, place) in [
            (json!("x"), "string", "Pod.spec of type v1.PodSpec"),
            (
                json!({"containers": "x"}),
                "string",
                "PodSpec.spec.containers of type []v1.Container",
            ),
            (
                json!({"containers": ["x"]}),
                "string",
                "PodSpec.spec.containers of type v1.Container",
            ),
            (
                container(json!({"name": 1})),
                "number",
                "Container.spec.containers.name of type string",
            ),
            (
                container(json!({"name": true})),
                "bool",
                "Container.spec.containers.name of type string",
            ),
            (
                container(json!({"command": [1]})),
                "number",
                "Container.spec.containers.command of type string",
            ),
            (
                json!({"priority": 1.5}),
                "number 1.5",
                "PodSpec.spec.priority of type int32",
            ),
            (
                json!({"priority": 5000000000i64}),
                "number 5000000000",
                "PodSpec.spec.priority of type int32",
            ),
            (
                json!({"priority": true}),
                "bool",
                "PodSpec.spec.priority of type int32",
            ),
            (
                json!({"hostNetwork": "true"}),
                "string",
                "PodSpec.spec.hostNetwork of type bool",
            ),
            (
                json!({"nodeSelector": {"a": 1}}),
                "number",
                "PodSpec.spec.nodeSelector of type string",
            ),
            (
                json!({"nodeSelector": []}),
                "array",
                "PodSpec.spec.nodeSelector of type map[string]string",
            ),
            (
                json!({"restartPolicy": 5}),
                "number",
                "PodSpec.spec.restartPolicy of type v1.RestartPolicy",
            ),
            (
                json!({"volumes": [{"configMap": {"name": 5}}]}),
                "number",
                "ConfigMapVolumeSource.spec.volumes.VolumeSource.configMap.LocalObjectReference.name of type string",
            ),
            (
                json!({"ephemeralContainers": [{"name": 5}]}),
                "number",
                "EphemeralContainer.spec.ephemeralContainers.EphemeralContainerCommon.name of type string",
            ),
            (
                container(json!({"resources": {"limits": "x"}})),
                "string",
                "ResourceRequirements.spec.containers.resources.limits of type v1.ResourceList",
            ),
            (
                port(json!(true)),
                "bool",
                "HTTPGetAction.spec.containers.livenessProbe.ProbeHandler.httpGet.port of type int32",
            ),
            (
                port(json!(1.5)),
                "number 1.5",
                "HTTPGetAction.spec.containers.livenessProbe.ProbeHandler.httpGet.port of type int32",
            ),
        ] {
            assert_eq!(
                pod_error(spec),
                format!("json: cannot unmarshal {found} into Go struct field {place}")
            );
        }
        assert_eq!(
            error("core.v1.ConfigMap", json!("x")),
            "json: cannot unmarshal string into Go value of type v1.ConfigMap"
        );
        assert_eq!(
            error(
                "core.v1.ConfigMap",
                json!({"metadata": {"creationTimestamp": 5}})
            ),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string"
        );
        assert_eq!(
            error("core.v1.ConfigMap", json!({"binaryData": {"a": 1}})),
            "json: cannot unmarshal number into Go struct field ConfigMap.binaryData of type []uint8"
        );
    }

    #[test]
    fn malformed_values_are_refused() {
        let format = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        assert_eq!(pod_error(json!({"overhead": {"cpu": "x"}})), format);
        assert_eq!(pod_error(json!({"overhead": {"cpu": []}})), format);
        assert_eq!(
            error("core.v1.Secret", json!({"data": {"a": "Y!=="}})),
            "illegal base64 data at input byte 1"
        );
        assert_eq!(
            error(
                "core.v1.ConfigMap",
                json!({"metadata": {"creationTimestamp": "x"}})
            ),
            "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\""
        );
    }

    #[test]
    fn unknown_fields_are_taken_out_and_reported_by_path() {
        let mut pod = json!({"foo": 1, "metadata": {"bar": {}}, "spec": {"containers": [
            {"name": "a"}, {"name": "b", "imagee": "x", "env": [{"name": "E", "val": "1"}]}]}});
        let checked = schema("core.v1.Pod").check(&mut pod);
        assert_eq!(checked.error, None);
        assert_eq!(
            checked.unknown,
            [
                "foo",
                "metadata.bar",
                "spec.containers[1].env[0].val",
                "spec.containers[1].imagee"
            ]
        );
        assert_eq!(pod["spec"]["containers"][1]["env"], json!([{"name": "E"}]));
        assert_eq!(pod.get("foo"), None);
    }

    #[test]
    fn an_object_takes_the_form_that_kube_apiserver_stores() {
        let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "", "labels": {}, "annotations": null,
                "creationTimestamp": "2026-01-02T03:04:05.9+02:00"},
            "spec": {"replicas": 0, "paused": false, "minReadySeconds": 0, "template": {"spec": {
                "hostNetwork": false, "automountServiceAccountToken": false,
                "containers": [{"name": "c", "image": "", "args": [], "env": [{"name": "E", "value": ""}],
                    "command": ["a", null], "resources": {"limits": {"cpu": 1.5, "memory": "1024Mi"}}}],
                "volumes": [{"name": "v", "emptyDir": {}}]}}}});
        let checked = schema("apps.v1.Deployment").check(&mut deployment);
        assert_eq!(checked, Checked::default());
        assert_eq!(
            deployment,
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "creationTimestamp": "2026-01-02T01:04:05Z"},
            "spec": {"replicas": 0, "strategy": {}, "template": {"metadata": {}, "spec": {
                "automountServiceAccountToken": false,
                "containers": [{"name": "c", "env": [{"name": "E"}], "command": ["a", ""],
                    "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}}}],
                "volumes": [{"name": "v", "emptyDir": {}}]}}},
            "status": {}})
        );
    }

    #[test]
    fn base64_is_spelled_canonically() {
        let mut secret = json!({"data": {"a": "YQ=\n=", "b": "YR==", "c": null, "d": "YWI="}});
        assert_eq!(schema("core.v1.Secret").check(&mut secret).error, None);
        assert_eq!(
            secret["data"],
            json!({"a": "YQ==", "b": "YQ==", "c": "", "d": "YWI="})
        );
    }

    #[test]
    fn a_check_changes_nothing_the_second_time() {
        let mut pod = json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "0.5"}}}]}});
        schema("core.v1.Pod").check(&mut pod);
        let once = pod.clone();
        assert_eq!(schema("core.v1.Pod").check(&mut pod), Checked::default());
        assert_eq!(pod, once);
    }
}
