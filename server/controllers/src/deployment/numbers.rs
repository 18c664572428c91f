//! How many pods a Deployment may have too many and too few of during a rollout.

use k8s_openapi::api::apps::v1::{Deployment, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// `spec.replicas`.
pub(super) fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

/// Whether pods are replaced one by one rather than all at once.
pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.strategy.as_ref();
    strategy.and_then(|s| s.type_.as_deref()) != Some("Recreate")
}

/// How many pods there may be beyond `spec.replicas`: percentages are rounded up.
pub(super) fn max_surge(deployment: &Deployment) -> i32 {
    bounds(deployment).0
}

/// How many of `spec.replicas` may be unavailable: percentages are rounded down.
pub(super) fn max_unavailable(deployment: &Deployment) -> i32 {
    bounds(deployment).1
}

/// Both bounds. They can't both be zero, or nothing could ever be replaced.
fn bounds(deployment: &Deployment) -> (i32, i32) {
    if !is_rolling(deployment) {
        return (0, 0);
    }
    let replicas = replicas(deployment);
    let strategy = deployment.spec.strategy.as_ref();
    let default = RollingUpdateDeployment::default();
    let update = strategy
        .and_then(|s| s.rolling_update.as_ref())
        .unwrap_or(&default);
    let quarter = IntOrString::String("25%".to_owned());
    let surge = resolve(
        update.max_surge.as_ref().unwrap_or(&quarter),
        replicas,
        true,
    );
    let mut unavailable = resolve(
        update.max_unavailable.as_ref().unwrap_or(&quarter),
        replicas,
        false,
    );
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    (surge, unavailable.min(replicas))
}

fn resolve(value: &IntOrString, replicas: i32, up: bool) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            // Validation refuses other texts.
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let scaled = percent * i64::from(replicas) + if up { 99 } else { 0 };
            i32::try_from(scaled / 100).unwrap_or(i32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(replicas: i32, surge: &str, unavailable: &str) -> Deployment {
        let bound = |text: &str| match text.parse::<i32>() {
            Ok(number) => json!(number),
            Err(_) => json!(text),
        };
        let update = json!({"maxSurge": bound(surge), "maxUnavailable": bound(unavailable)});
        serde_json::from_value(json!({"metadata": {}, "spec": {
            "replicas": replicas, "selector": {}, "template": {},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": update},
        }}))
        .expect("a deployment")
    }

    #[test]
    fn surge_is_rounded_up_and_unavailability_down() {
        for (replicas, surge, unavailable, expected) in [
            (10, "25%", "25%", (3, 2)),
            (1, "25%", "25%", (1, 0)),
            (3, "0", "25%", (0, 1)),
            (0, "25%", "25%", (0, 0)),
            (4, "2", "9", (2, 4)),
            (4, "100%", "0%", (4, 0)),
        ] {
            let bounds = bounds(&deployment(replicas, surge, unavailable));
            assert_eq!(bounds, expected, "{replicas} {surge} {unavailable}");
        }
    }
}
