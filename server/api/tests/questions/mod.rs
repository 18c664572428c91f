//! Kinds that are answered and not stored: each document of a case is a question of its own. The
//! recordings are the answers to an administrator of a new cluster, of which nothing is kept that
//! differs from one cluster to the next.

use api::auth::{AUTHENTICATED, MASTERS, UserInfo};
use api::field::Error;
use api::kind::{Kind, Scope};
use api::review::{Access, Authority, Bearer, Rule, Rules, Verdict};
use api::{meta, schema};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The answers of a real server, which `send` asks.
pub(crate) fn record(steps: &[Value], send: impl Fn(&Value) -> Value) -> Value {
    let answers = steps.iter().map(|step| {
        let answer = send(step);
        if answer["kind"] != "Status" {
            return answered(answer);
        }
        match answer["details"]["causes"].as_array() {
            None => json!({"refused": answer["message"]}),
            Some(causes) => {
                let texts = causes.iter().map(|cause| {
                    let text = |field: &str| cause[field].as_str().unwrap_or_default();
                    format!("{}: {}", text("field"), text("message"))
                });
                problems(texts)
            }
        }
    });
    answers.collect()
}

/// The same as `kind` answers.
pub(crate) fn replay(kind: &dyn Kind, steps: &[Value]) -> Value {
    let answers = steps.iter().map(|step| {
        let mut question = step.clone();
        if !question["metadata"].is_object() {
            question["metadata"] = json!({});
        }
        if kind.resource().scope == Scope::Namespaced && meta::namespace(&question).is_empty() {
            question["metadata"]["namespace"] = "default".into();
        }
        let schema = schema::of(kind.resource().schema).expect("tested elsewhere");
        let checked = schema.check(&mut question);
        assert!(checked.error.is_none(), "{:?}", checked.error);
        let found = kind.validate(&question);
        if !found.is_empty() {
            return problems(found.iter().map(Error::to_string));
        }
        match kind.answer(&mut question, &Cluster::new()) {
            Ok(()) => answered(question),
            Err(why) => json!({"refused": why}),
        }
    });
    answers.collect()
}

/// Problems without the metadata that they show: the server has noted there who asks, and when.
fn problems(texts: impl Iterator<Item = String>) -> Value {
    let shown = "metadata: Invalid value: ";
    let texts = texts.map(|text| match text.rsplit_once('}') {
        Some((_, detail)) if text.starts_with(shown) => format!("{shown}{{}}{detail}"),
        _ => text,
    });
    json!({"problems": texts.collect::<Vec<_>>()})
}

/// An answer without times, certificates and the order of rules, which is by chance.
fn answered(mut answer: Value) -> Value {
    if let Some(metadata) = answer["metadata"].as_object_mut() {
        for field in ["creationTimestamp", "managedFields"] {
            metadata.remove(field);
        }
    }
    if let Some(user) = answer["status"]
        .get_mut("userInfo")
        .and_then(Value::as_object_mut)
    {
        user.remove("extra");
    }
    for rules in ["resourceRules", "nonResourceRules"] {
        if let Some(rules) = answer["status"]
            .get_mut(rules)
            .and_then(Value::as_array_mut)
        {
            rules.sort_by_cached_key(ToString::to_string);
        }
    }
    json!({"object": answer})
}

/// A new cluster, whose administrator asks.
struct Cluster(UserInfo);

impl Cluster {
    fn new() -> Self {
        Self(UserInfo::component("admin", &[MASTERS]))
    }
}

impl Authority for Cluster {
    fn asker(&self) -> &UserInfo {
        &self.0
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn access(&self, user: &UserInfo, _access: &Access<'_>) -> Verdict {
        Verdict {
            allowed: user.in_group(MASTERS),
            reason: String::new(),
        }
    }

    fn rules(&self, _namespace: &str) -> Rules {
        assert!(self.0.in_group(AUTHENTICATED));
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let resources = |group: &str, resources: &[&str], verb: &str| Rule {
            verbs: list(&[verb]),
            groups: list(&[group]),
            resources: list(resources),
            ..Rule::default()
        };
        let urls = |urls: &[&str], verb: &str| Rule {
            verbs: list(&[verb]),
            urls: list(urls),
            ..Rule::default()
        };
        let discovery = [
            "/api",
            "/api/*",
            "/apis",
            "/apis/*",
            "/healthz",
            "/livez",
            "/openapi",
            "/openapi/*",
            "/readyz",
            "/version",
            "/version/",
        ];
        let own = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
        Rules {
            rules: vec![
                resources("*", &["*"], "*"),
                urls(&["*"], "*"),
                resources("authorization.k8s.io", &own, "create"),
                resources("authentication.k8s.io", &["selfsubjectreviews"], "create"),
                urls(&discovery, "get"),
                urls(
                    &["/healthz", "/livez", "/readyz", "/version", "/version/"],
                    "get",
                ),
            ],
            ..Rules::default()
        }
    }

    fn bearer(&self, _token: &str, _audiences: &[&str]) -> Result<Bearer, String> {
        Err("invalid bearer token".to_owned())
    }
}
