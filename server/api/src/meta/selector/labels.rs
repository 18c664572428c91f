//! Label selectors.

use std::fmt;

use serde_json::Value;

use super::{comma_separated, parser};
use crate::field;
use crate::meta::{list, name, string_map};

/// How a requirement compares the label's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `key=value`
    Equals,
    /// `key==value`
    DoubleEquals,
    /// `key!=value`: also matches where the label is absent.
    NotEquals,
    /// `key in (a,b)`
    In,
    /// `key notin (a,b)`: also matches where the label is absent.
    NotIn,
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `key>1`, for integers
    GreaterThan,
    /// `key<1`, for integers
    LessThan,
}

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// The comparison.
    pub operator: Operator,
    /// What it is compared with, sorted.
    pub values: Vec<String>,
}

/// A source of labels to match against.
pub trait Lookup {
    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Lookup for std::collections::BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// The map of labels itself, as it stands in `metadata.labels`.
impl Lookup for Value {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
}

/// A label selector. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// All must hold; sorted by key. `None` matches nothing.
    requirements: Option<Vec<Requirement>>,
}

impl Labels {
    /// Matches every object.
    pub fn everything() -> Self {
        Self {
            requirements: Some(Vec::new()),
        }
    }

    /// Matches no object.
    pub fn nothing() -> Self {
        Self { requirements: None }
    }

    /// Reads `app=web,tier in (a,b),!old`.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::of(parser::parse(text)?))
    }

    /// The selector of a `metav1.LabelSelector`: nothing for `null`, everything for `{}`.
    pub fn from_selector(selector: &Value) -> Result<Self, String> {
        if selector.is_null() {
            return Ok(Self::nothing());
        }
        let mut requirements = Vec::new();
        for (key, value) in string_map(&selector["matchLabels"]) {
            requirements.push(requirement(&key, Operator::Equals, vec![value])?);
        }
        for expression in list(&selector["matchExpressions"]) {
            let operator = match expression["operator"].as_str().unwrap_or_default() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    let quoted = field::go_quoted(other);
                    return Err(format!("{quoted} is not a valid label selector operator"));
                }
            };
            let key = expression["key"].as_str().unwrap_or_default();
            let values = list(&expression["values"]).iter();
            let values = values.filter_map(Value::as_str).map(str::to_owned);
            requirements.push(requirement(key, operator, values.collect())?);
        }
        Ok(Self::of(requirements))
    }

    /// The selector of a plain map, such as a ReplicationController's: every pair must be there.
    pub fn from_map(map: &Value) -> Self {
        let pairs = string_map(map).into_iter();
        Self::of(
            pairs
                .map(|(key, value)| Requirement {
                    key,
                    operator: Operator::Equals,
                    values: vec![value],
                })
                .collect(),
        )
    }

    fn of(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self {
            requirements: Some(requirements),
        }
    }

    /// Whether labels meet all requirements.
    pub fn matches(&self, labels: &impl Lookup) -> bool {
        match &self.requirements {
            Some(all) => all.iter().all(|r| r.matches(labels.label(&r.key))),
            None => false,
        }
    }

    /// Whether the labels of an object meet all requirements.
    pub fn matches_object(&self, object: &Value) -> bool {
        self.matches(&object["metadata"]["labels"])
    }

    /// Whether there is nothing to meet.
    pub fn is_everything(&self) -> bool {
        self.requirements.as_ref().is_some_and(Vec::is_empty)
    }

    /// The requirements, none for the selectors of everything and of nothing.
    pub fn requirements(&self) -> &[Requirement] {
        self.requirements.as_deref().unwrap_or_default()
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let among = || value.is_some_and(|v| self.values.iter().any(|own| own == v));
        let integers = || {
            Some((
                value?.parse::<i64>().ok()?,
                self.values.first()?.parse().ok()?,
            ))
        };
        match self.operator {
            Operator::Equals | Operator::DoubleEquals | Operator::In => among(),
            Operator::NotEquals | Operator::NotIn => !among(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => integers().is_some_and(|(label, own): (i64, i64)| label > own),
            Operator::LessThan => integers().is_some_and(|(label, own): (i64, i64)| label < own),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        comma_separated(f, self.requirements())
    }
}

/// Checks a requirement as Kubernetes' `NewRequirement` does, all problems at once.
pub(super) fn requirement(
    key: &str,
    operator: Operator,
    mut values: Vec<String>,
) -> Result<Requirement, String> {
    let mut problems = Vec::new();
    problems.extend(key_problem("key", key));
    let list = || Value::from(values.clone());
    let values_problem = match operator {
        Operator::In | Operator::NotIn if values.is_empty() => {
            Some("for 'in', 'notin' operators, values set can't be empty")
        }
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
            Some("values set must be empty for exists and does not exist")
        }
        _ => None,
    };
    if let Some(problem) = values_problem {
        problems.push(format!("values: Invalid value: {}: {problem}", list()));
    }
    for (i, value) in values.iter().enumerate() {
        let quoted = field::go_quoted(value);
        let numeric = matches!(operator, Operator::GreaterThan | Operator::LessThan);
        if numeric && value.parse::<i64>().is_err() {
            problems.push(format!(
                "values[{i}]: Invalid value: {quoted}: for 'Gt', 'Lt' operators, the value must be \
                 an integer"
            ));
        }
        let wrong = name::label_value(value);
        if !wrong.is_empty() {
            let wrong = wrong.join("; ");
            problems.push(format!(
                "values[{i}][{key}]: Invalid value: {quoted}: {wrong}"
            ));
        }
    }
    values.sort();
    values.dedup();
    match problems.len() {
        0 => Ok(Requirement {
            key: key.to_owned(),
            operator,
            values,
        }),
        1 => Err(problems.remove(0)),
        _ => Err(format!("[{}]", problems.join(", "))),
    }
}

pub(super) fn key_problem(path: &str, key: &str) -> Option<String> {
    let wrong = name::qualified_name(key);
    let quoted = field::go_quoted(key);
    (!wrong.is_empty()).then(|| format!("{path}: Invalid value: {quoted}: {}", wrong.join("; ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Labels {
        Labels::parse(text).expect("a selector")
    }

    #[test]
    fn each_operator_matches_what_it_says() {
        let labels = json!({"app": "web", "tier": "front", "cpu": "8"});
        for text in [
            "",
            "app",
            "app=web",
            "app==web",
            "app!=db",
            "other!=x",
            "app in (db, web)",
            "app notin (db)",
            "other notin (x)",
            "!other",
            "cpu>7",
            "cpu<9",
            "app=web,tier in (front),!x",
        ] {
            assert!(parse(text).matches(&labels), "{text}");
        }
        for text in [
            "other",
            "app=db",
            "app!=web",
            "app in (db)",
            "app notin (web,db)",
            "!app",
            "cpu>8",
            "app>1",
            "app=web,tier=back",
            "app=",
        ] {
            assert!(!parse(text).matches(&labels), "{text}");
        }
        assert!(parse("").is_everything() && !parse("a").is_everything());
        assert!(!Labels::nothing().matches(&labels) && !Labels::nothing().is_everything());
    }

    #[test]
    fn selectors_are_written_back_sorted() {
        assert_eq!(
            parse("b in (y,x),a=1, !c ,d notin(z)").to_string(),
            "a=1,b in (x,y),!c,d notin (z)"
        );
        assert_eq!(
            parse("x in (foo,,baz),y,z notin ()").to_string(),
            "x in (,baz,foo),y,z notin ()"
        );
        assert_eq!(parse("in in (in)").to_string(), "in in (in)");
    }

    #[test]
    fn what_is_wrong_is_said_as_kubernetes_does() {
        for (text, problem) in [
            (
                "a b",
                "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
            ),
            (
                ",a",
                "found ',', expected: !, identifier, or 'end of string'",
            ),
            ("a,,b", "found ',', expected: identifier after ','"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            (
                "a in b",
                "unable to parse requirement: found 'b' expected: '('",
            ),
            (
                "a in (b",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            (
                "!",
                "unable to parse requirement: found '', expected: identifier",
            ),
            (
                "a=(",
                "unable to parse requirement: found '(', expected: identifier",
            ),
            (
                "a=-b",
                "unable to parse requirement: values[0][a]: Invalid value: \"-b\": a valid label must be an \
              empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
              alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
              '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
            (
                "/a",
                "unable to parse requirement: <nil>: Invalid value: \"/a\": prefix part must be non-empty",
            ),
            (
                "a>b",
                "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
        ] {
            assert_eq!(Labels::parse(text), Err(problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn label_selectors_of_objects_are_read() {
        let selector = json!({"matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "a"]},
                {"key": "old", "operator": "DoesNotExist"}]});
        let selector = Labels::from_selector(&selector).expect("a selector");
        assert_eq!(selector.to_string(), "app=web,!old,tier in (a,b)");
        assert!(
            Labels::from_selector(&json!({}))
                .expect("a selector")
                .is_everything()
        );
        assert_eq!(Labels::from_selector(&Value::Null), Ok(Labels::nothing()));
        let unknown = json!({"matchExpressions": [{"key": "a", "operator": "Near"}]});
        assert_eq!(
            Labels::from_selector(&unknown),
            Err("\"Near\" is not a valid label selector operator".to_owned())
        );
        let empty = json!({"matchExpressions": [{"key": "a", "operator": "In"}]});
        assert_eq!(
            Labels::from_selector(&empty),
            Err(
                "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                    .to_owned()
            )
        );
        assert!(
            Labels::from_map(&json!({"app": "web"}))
                .matches_object(&json!({"metadata": {"labels": {"app": "web"}}}))
        );
    }
}
