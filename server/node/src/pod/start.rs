//! Starting one container: its image, its environment, its mounts, the runtime, its postStart hook.

use std::sync::Arc;

use client::events::Type;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::effects::{Context, log_file};
use super::machine::{Failure, FailureKind, Input};
use super::{container, hooks, resources, sandbox, spec};
use crate::env;
use crate::image::Image;
use crate::runtime::{ContainerSpec, Error};
use crate::volume::mounts;

/// Starts a container; gives what became of it.
pub(super) async fn start(context: Arc<Context>, name: String, attempt: u32) -> Input {
    let pod = context.pod();
    let Some(container) = spec::container(&pod, &name).cloned() else {
        let message = format!("container {name} not found");
        return Input::NotStarted(name, missing("CreateContainerConfigError", message));
    };
    match begin(&context, &pod, &container, attempt).await {
        Ok(id) => after_start(&context, &pod, &container, &id).await,
        Err(failure) => {
            let shown = match failure.kind {
                FailureKind::Missing if failure.reason == "ErrImageNeverPull" => failure.reason,
                FailureKind::Pull { .. } => failure.reason,
                _ => &failure.message,
            };
            warn(&context, &pod, &name, "Failed", format!("Error: {shown}"));
            Input::NotStarted(name, failure)
        }
    }
}

fn warn(context: &Context, pod: &Pod, container: &str, reason: &str, message: String) {
    let events = &context.shared.events;
    events.pod(pod, Some(container), Type::Warning, reason, message);
}

fn missing(reason: &'static str, message: String) -> Failure {
    Failure {
        reason,
        message,
        kind: FailureKind::Missing,
    }
}

/// Everything up to the moment at which the program runs; gives the run's id.
async fn begin(
    context: &Context,
    pod: &Pod,
    container: &Container,
    attempt: u32,
) -> Result<String, Failure> {
    let events = &context.shared.events;
    let image = image(context, pod, container)?;
    let wanted = container.image.clone().unwrap_or_default();
    let message = format!(
        "Container image \"{wanted}\" already present on machine and can be accessed by the pod"
    );
    events.pod(pod, Some(&container.name), Type::Normal, "Pulled", message);
    container::verify_non_root(pod, container, &image.config.user)
        .map_err(|why| missing("CreateContainerConfigError", why))?;
    let spec = specification(context, pod, container, attempt).await?;
    let Some(sandbox) = context.sandbox() else {
        let message = "the pod has no sandbox".to_owned();
        return Err(missing("CreateContainerError", message));
    };
    let started = sandbox.start_container(spec).await;
    let id = started.map_err(|error| failure(error, container, &image, attempt))?;
    for (reason, message) in [
        ("Created", "Container created"),
        ("Started", "Container started"),
    ] {
        events.pod(pod, Some(&container.name), Type::Normal, reason, message);
    }
    Ok(id)
}

/// The image, if it is there. Images are not pulled: what is not there can only be waited for.
fn image(context: &Context, pod: &Pod, container: &Container) -> Result<Image, Failure> {
    let reference = container.image.clone().unwrap_or_default();
    let name = &container.name;
    let found = match context.shared.images.find(&reference) {
        Ok(found) => found,
        Err(why) => {
            let message = format!("Failed to inspect image \"{reference}\": {why}");
            warn(context, pod, name, "InspectFailed", message.clone());
            return Err(missing("ImageInspectError", message));
        }
    };
    if let Some(image) = found {
        return Ok(image);
    }
    if container.image_pull_policy.as_deref() == Some("Never") {
        let message =
            format!("Container image \"{reference}\" is not present with pull policy of Never");
        warn(context, pod, name, "ErrImageNeverPull", message.clone());
        return Err(missing("ErrImageNeverPull", message));
    }
    let events = &context.shared.events;
    let pulling = format!("Pulling image \"{reference}\"");
    events.pod(pod, Some(name), Type::Normal, "Pulling", pulling);
    let why = format!(
        "image \"{reference}\" is not in this node's store, and registries can't be reached from it"
    );
    let message = format!("Failed to pull image \"{reference}\": {why}");
    warn(context, pod, name, "Failed", message);
    Err(Failure {
        reason: "ErrImagePull",
        message: why,
        kind: FailureKind::Pull { image: reference },
    })
}

/// The container with every reference resolved.
async fn specification(
    context: &Context,
    pod: &Pod,
    container: &Container,
    attempt: u32,
) -> Result<ContainerSpec, Failure> {
    let shared = &context.shared;
    let addresses = context.addresses();
    let server = shared.api_server.as_ref();
    let services = server.map_or_else(Vec::new, |server| server.variables(spec::host_network(pod)));
    let env_context = env::Context {
        pod,
        addresses: &addresses,
        node: shared.address,
        allocatable: shared.allocatable,
        services: &services,
    };
    let config_error = |message: String| missing("CreateContainerConfigError", message);
    let mut env = env::make(&env_context, container, &shared.objects)
        .await
        .map_err(|error| config_error(error.to_string()))?;
    let own_name = env.iter().any(|(name, _)| name == "HOSTNAME") || spec::host_network(pod);
    if !own_name && let Ok(name) = sandbox::kernel_hostname(pod) {
        env.push(("HOSTNAME".to_owned(), name));
    }
    let volumes = context.volumes.lock().clone();
    let mounts = mounts::make(&shared.paths, pod, container, attempt, &volumes, &env)
        .map_err(|error| config_error(error.to_string()))?;
    let uid = spec::uid(pod);
    let logs = shared
        .paths
        .pod_logs(spec::namespace(pod), spec::name(pod), uid);
    let lifecycle = container.lifecycle.as_ref();
    Ok(ContainerSpec {
        name: container.name.clone(),
        attempt,
        image: container.image.clone().unwrap_or_default(),
        command: container::expanded(container.command.as_ref(), &env),
        args: container::expanded(container.args.as_ref(), &env),
        env,
        working_dir: container.working_dir.clone().filter(|dir| !dir.is_empty()),
        mounts,
        resources: resources::of_container(pod, container, shared.memory),
        security: container::security(pod, container, &shared.paths.seccomp_profiles()),
        tty: container.tty.unwrap_or_default(),
        stdin: container.stdin.unwrap_or_default(),
        log_path: log_file(&logs, &container.name, attempt),
        stop_signal: lifecycle.and_then(|lifecycle| lifecycle.stop_signal.clone()),
    })
}

fn failure(error: Error, container: &Container, image: &Image, attempt: u32) -> Failure {
    let message = error.to_string();
    match error {
        Error::Start(_) => Failure {
            reason: "RunContainerError",
            message,
            kind: FailureKind::Run {
                id: random_id(),
                image: container.image.clone().unwrap_or_default(),
                image_id: image.id.clone(),
                attempt,
            },
        },
        _ => missing("CreateContainerError", message),
    }
}

/// An id for a run that the runtime has not kept.
fn random_id() -> String {
    let half = || uuid::Uuid::new_v4().simple().to_string();
    format!("{}{}", half(), half())
}

/// The postStart hook; a failure of it ends the container.
async fn after_start(context: &Context, pod: &Pod, container: &Container, id: &str) -> Input {
    let name = container.name.clone();
    let hook = container
        .lifecycle
        .as_ref()
        .and_then(|l| l.post_start.as_ref());
    let Some(hook) = hook else {
        return Input::Started(name);
    };
    match hooks::run(context, container, id, hook).await {
        Ok(()) => Input::Started(name),
        Err(why) => {
            tracing::warn!(
                pod = spec::full_name(pod),
                container = name,
                why,
                "postStart hook"
            );
            // Not the reason itself: it may hold a secret.
            let message = "PostStartHook failed".to_owned();
            warn(context, pod, &name, "FailedPostStartHook", message);
            Input::HookFailed(name)
        }
    }
}
