//! `GET /containerLogs/NAMESPACE/POD/CONTAINER`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};
use tokio::sync::mpsc;

use super::{Body, Directory, Entry, text};
use crate::inotify::Watch;
use crate::logs::Options;
use crate::logs::reader::Reader;
use crate::pod::effects::log_file;
use crate::pod::spec;
use crate::runtime::{Phase, PodState};

/// So much is read before it is sent.
const CHUNK: usize = 32 * 1024;

/// Answers a request for the logs of a container: namespace, pod, container.
pub(super) fn serve(
    directory: &Directory,
    (namespace, name, container): (&str, &str, &str),
    request: &Request<Incoming>,
) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let Some(entry) = directory.find(namespace, name) else {
        return text(
            StatusCode::NOT_FOUND,
            format!("pod \"{name}\" does not exist\n"),
        );
    };
    let options = match Options::parse(query, entry.context.shared.clock.now()) {
        Ok(options) => options,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let pod = entry.context.pod();
    if spec::container(&pod, container).is_none() {
        let message = format!("container \"{container}\" not found in pod \"{name}\"\n");
        return text(StatusCode::NOT_FOUND, message);
    }
    let attempt = attempt(&entry.status.borrow(), name, container, options.previous);
    let attempt = match attempt {
        Ok(attempt) => attempt,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let paths = &entry.context.shared.paths;
    let logs = paths.pod_logs(namespace, name, spec::uid(&pod));
    let path = log_file(&logs, container, attempt);
    let follow = options.follow.then(|| {
        let container = container.to_owned();
        Follow {
            entry,
            container,
            attempt,
        }
    });
    stream(path, options, follow)
}

/// Which run the logs asked for are of.
///
/// # Errors
/// Why there are none, in the kubelet's words.
fn attempt(status: &PodStatus, pod: &str, container: &str, previous: bool) -> Result<u32, String> {
    let init = status.init_container_statuses.iter().flatten();
    let main = status.container_statuses.iter().flatten();
    let known = init.chain(main).find(|status| status.name == container);
    let Some(known) = known else {
        return Err(format!(
            "container \"{container}\" in pod \"{pod}\" is not available"
        ));
    };
    let count = u32::try_from(known.restart_count).unwrap_or_default();
    let ended_before = last_ended(known);
    let state = known.state.clone().unwrap_or_default();
    let waits = state.running.is_none() && state.terminated.is_none();
    if previous {
        // While it waits for its next run, the present one is the last that ended.
        return match (ended_before, waits) {
            (true, true) => Ok(count),
            (true, false) if count > 0 => Ok(count - 1),
            _ => Err(format!(
                "previous terminated container \"{container}\" in pod \"{pod}\" not found"
            )),
        };
    }
    if !waits || ended_before {
        return Ok(count);
    }
    let reason = state.waiting.and_then(|waiting| waiting.reason);
    let why = match reason.as_deref() {
        Some("ErrImagePull") => "image can't be pulled",
        Some("ImagePullBackOff") => "trying and failing to pull image",
        Some(reason) => reason,
        None => {
            return Err(format!(
                "container \"{container}\" in pod \"{pod}\" is waiting to start - no logs yet"
            ));
        }
    };
    Err(format!(
        "container \"{container}\" in pod \"{pod}\" is waiting to start: {why}"
    ))
}

fn last_ended(status: &ContainerStatus) -> bool {
    let last = status.last_state.as_ref();
    last.is_some_and(|last| last.terminated.is_some())
}

/// Whose end ends the following.
struct Follow {
    entry: Entry,
    container: String,
    attempt: u32,
}

fn stream(path: PathBuf, options: Options, follow: Option<Follow>) -> Response<Body> {
    let (sender, mut receiver) = mpsc::channel::<std::io::Result<Bytes>>(4);
    tokio::spawn(async move {
        let sent = send(&path, options, follow, &sender).await;
        if let Err(error) = sent {
            tracing::debug!(path = %path.display(), %error, "log not read");
            let _ = sender.send(Err(error)).await;
        }
    });
    let frames = futures::stream::poll_fn(move |context| {
        receiver
            .poll_recv(context)
            .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let plain = http::HeaderValue::from_static("text/plain");
    response.headers_mut().insert("content-type", plain);
    response
}

/// Sends what is there; with `follow` also what comes, until the run has ended or nobody listens.
async fn send(
    path: &Path,
    options: Options,
    follow: Option<Follow>,
    sender: &mpsc::Sender<std::io::Result<Bytes>>,
) -> std::io::Result<()> {
    let mut watch = None;
    if follow.is_some()
        && let Some(dir) = path.parent()
    {
        watch = Some(Watch::new(dir)?);
    }
    let mut reader = Reader::open(path, &options)?;
    let mut state = follow.as_ref().and_then(|follow| {
        let sandbox = follow.entry.context.sandbox()?;
        Some(sandbox.state())
    });
    loop {
        // Asked before the last read, so that nothing written before the end is missed.
        let over = match (&follow, &mut state) {
            (Some(follow), Some(state)) => is_over(&state.borrow_and_update(), follow),
            _ => true,
        };
        if !drain(&mut reader, sender).await? || over || reader.is_full() {
            return Ok(());
        }
        let (Some(watch), Some(state)) = (&mut watch, &mut state) else {
            return Ok(());
        };
        tokio::select! {
            changed = watch.changed() => changed?,
            changed = state.changed() => {
                if changed.is_err() {
                    drain(&mut reader, sender).await?;
                    return Ok(());
                }
            }
            () = sender.closed() => return Ok(()),
        }
    }
}

fn is_over(state: &Arc<PodState>, follow: &Follow) -> bool {
    let mut runs = state.containers.iter();
    let run = runs.find(|c| c.name == follow.container && c.attempt == follow.attempt);
    state.lost || run.is_none_or(|run| matches!(run.phase, Phase::Exited(_)))
}

/// Sends all that can be read now; whether anybody still listens.
async fn drain(
    reader: &mut Reader,
    sender: &mpsc::Sender<std::io::Result<Bytes>>,
) -> std::io::Result<bool> {
    loop {
        let mut buffer = Vec::with_capacity(CHUNK);
        let more = reader.read(&mut buffer)?;
        if !buffer.is_empty() && sender.send(Ok(buffer.into())).await.is_err() {
            return Ok(false);
        }
        if !more {
            return Ok(true);
        }
    }
}
