//! `create poddisruptionbudget`, `create priorityclass` and `create quota`.

use clap::Args;
use serde_json::{Value, json};

use super::Common;
use super::generators::one;
use crate::error::Result;

/// How many pods of a set may be missing at once.
#[derive(Args, Debug)]
pub(crate) struct DisruptionBudget {
    /// The name
    words: Vec<String>,
    /// How many may be missing, as a number or a percentage
    #[arg(long)]
    max_unavailable: Option<String>,
    /// How many must be there, as a number or a percentage
    #[arg(long)]
    min_available: Option<String>,
    /// The pods
    #[arg(long)]
    selector: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl DisruptionBudget {
    pub(super) fn object(&self) -> Result<Value> {
        let name = one(&self.words, "poddisruptionbudget")?;
        let Some(selector) = &self.selector else {
            return Err("a selector must be specified".into());
        };
        let (field, amount) = match (&self.min_available, &self.max_unavailable) {
            (Some(amount), None) => ("minAvailable", amount),
            (None, Some(amount)) => ("maxUnavailable", amount),
            (None, None) => {
                return Err("one of min-available or max-unavailable must be specified".into());
            }
            (Some(_), Some(_)) => {
                return Err("min-available and max-unavailable cannot be both specified".into());
            }
        };
        let amount = amount
            .parse::<i64>()
            .map_or_else(|_| Value::from(amount.as_str()), Value::from);
        let mut budget = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": pairs(selector)?}},
            "status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
        });
        budget["spec"][field] = amount;
        Ok(budget)
    }
}

/// How much more important than others pods are.
#[derive(Args, Debug)]
pub(crate) struct PriorityClass {
    /// The name
    words: Vec<String>,
    /// When to use the class
    #[arg(long)]
    description: Option<String>,
    /// The class of pods that name none
    #[arg(long)]
    global_default: bool,
    /// Whether its pods push others out: PreemptLowerPriority or Never
    #[arg(long, default_value = "PreemptLowerPriority")]
    preemption_policy: String,
    /// The priority
    #[arg(long, default_value_t = 0)]
    value: i64,
    #[command(flatten)]
    pub(super) common: Common,
}

impl PriorityClass {
    pub(super) fn object(&self) -> Result<Value> {
        let name = one(&self.words, "priorityclass")?;
        let mut class = json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name}, "value": self.value,
            "preemptionPolicy": self.preemption_policy,
        });
        if self.global_default {
            class["globalDefault"] = true.into();
        }
        if let Some(description) = self.description.as_deref().filter(|d| !d.is_empty()) {
            class["description"] = description.into();
        }
        Ok(class)
    }
}

/// How much a namespace may use.
#[derive(Args, Debug)]
pub(crate) struct Quota {
    /// The name
    words: Vec<String>,
    /// The limits as resource=amount, with commas
    #[arg(long)]
    hard: Option<String>,
    /// What counts, with commas
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Quota {
    pub(super) fn object(&self) -> Result<Value> {
        let name = one(&self.words, "quota")?;
        let mut spec = json!({});
        if let Some(hard) = self.hard.as_deref().filter(|h| !h.is_empty()) {
            for pair in hard.split(',') {
                let (resource, amount) = pair.split_once('=').ok_or_else(|| {
                    format!("Invalid argument syntax {pair}, expected <resource>=<value>")
                })?;
                spec["hard"][resource] = amount.into();
            }
        }
        if !self.scopes.is_empty() {
            spec["scopes"] = self.scopes.clone().into();
        }
        Ok(json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name},
            "spec": spec, "status": {},
        }))
    }
}

/// The map of `a=b,c=d`.
pub(super) fn pairs(text: &str) -> Result<Value> {
    let mut map = json!({});
    for pair in text.split(',') {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("invalid selector {text:?}: expected key=value"))?;
        map[key] = value.into();
    }
    Ok(map)
}
