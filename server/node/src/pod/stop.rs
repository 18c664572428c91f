//! Stopping one container: its preStop hook, its stop signal, the grace period, KILL.

use std::sync::Arc;
use std::time::Duration;

use client::events::Type;
use tokio::time::Instant;

use super::effects::Context;
use super::{hooks, spec};
use crate::runtime;

/// The signal that can't be ignored.
const KILL: i32 = 9;
/// Even after a hook that took all the time, this much is left between the stop signal and KILL.
const LEAST: Duration = Duration::from_secs(2);

/// Stops a container; returns when it has ended.
pub(super) async fn stop(
    context: Arc<Context>,
    name: &str,
    id: &str,
    grace: i64,
    message: Option<String>,
) {
    let pod = context.pod();
    let message = message.unwrap_or_else(|| format!("Stopping container {name}"));
    let events = &context.shared.events;
    events.pod(&pod, Some(name), Type::Normal, "Killing", message);
    let Some(sandbox) = context.sandbox() else {
        return;
    };
    let deadline = Instant::now() + Duration::from_secs(u64::try_from(grace).unwrap_or_default());
    before(&context, name, id, deadline).await;
    let deadline = deadline.max(Instant::now() + LEAST);
    let signal = sandbox.state().borrow().get(id).map(|c| c.stop_signal);
    send(sandbox.as_ref(), id, signal.unwrap_or(libc::SIGTERM)).await;
    if tokio::time::timeout_at(deadline, ended(sandbox.as_ref(), id))
        .await
        .is_err()
    {
        send(sandbox.as_ref(), id, KILL).await;
        ended(sandbox.as_ref(), id).await;
    }
}

/// The preStop hook, for no longer than the grace period.
async fn before(context: &Context, name: &str, id: &str, deadline: Instant) {
    let pod = context.pod();
    let container = spec::container(&pod, name);
    let Some((container, hook)) = container.and_then(|container| {
        let hook = container.lifecycle.as_ref()?.pre_stop.as_ref()?;
        Some((container, hook))
    }) else {
        return;
    };
    let run = hooks::run(context, container, id, hook);
    match tokio::time::timeout_at(deadline, run).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => {
            tracing::warn!(
                pod = spec::full_name(&pod),
                container = name,
                why,
                "preStop hook"
            );
            let events = &context.shared.events;
            let message = "PreStopHook failed";
            events.pod(
                &pod,
                Some(name),
                Type::Warning,
                "FailedPreStopHook",
                message,
            );
        }
        Err(_) => {
            tracing::warn!(
                pod = spec::full_name(&pod),
                container = name,
                "preStop hook: too slow"
            );
        }
    }
}

async fn send(sandbox: &dyn runtime::Pod, id: &str, signal: i32) {
    if let Err(error) = sandbox.signal(id, signal).await {
        tracing::warn!(container = id, signal, %error, "signal not sent");
    }
}

/// Returns when a container has ended, is unknown, or nothing can be known of it any more.
pub(crate) async fn ended(sandbox: &dyn runtime::Pod, id: &str) {
    let mut state = sandbox.state();
    let over = |state: &Arc<runtime::PodState>| {
        let phase = state.get(id).map(|container| &container.phase);
        state.lost || matches!(phase, None | Some(runtime::Phase::Exited(_)))
    };
    // A closed channel is a pod that is gone.
    let _ = state.wait_for(over).await;
}
