//! Lifecycle hooks: a command, a request, or a pause.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use super::effects::Context;
use crate::probe::{command, http};

/// Runs a hook to its end.
///
/// # Errors
/// Why it failed.
pub(super) async fn run(
    context: &Context,
    container: &Container,
    id: &str,
    hook: &LifecycleHandler,
) -> Result<(), String> {
    if let Some(exec) = &hook.exec {
        let sandbox = context.sandbox().ok_or("the pod has no sandbox")?;
        let words = exec.command.clone().unwrap_or_default();
        let finished = command::run(sandbox.as_ref(), id, words).await;
        let finished = finished.map_err(|error| error.to_string())?;
        return match finished.code {
            0 => Ok(()),
            code => Err(format!(
                "command terminated with exit code {code}: {}",
                finished.output
            )),
        };
    }
    if let Some(action) = &hook.http_get {
        let address = context.addresses().first().copied();
        let request = http::Request::new(action, container, address, "kube-lifecycle")?;
        // Any answer will do.
        return match http::get(&request).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
    }
    if let Some(pause) = &hook.sleep {
        let seconds = u64::try_from(pause.seconds).unwrap_or_default();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        return Ok(());
    }
    Err("invalid handler".to_owned())
}
