//! What the runtime knows, in the machine's terms; the last words of a container that ended.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;

use super::observed::{Ended, Instance, Life};
use super::spec;
use crate::logs;
use crate::paths::Paths;
use crate::runtime::{Container, Exit, Phase, PodState};

/// A message is cut to its last so many bytes.
const MESSAGE_LIMIT: u64 = 4096;
/// What is taken from the log instead.
const LOG_LINES: usize = 80;
const LOG_LIMIT: usize = 2048;

/// Translates states; remembers the messages, which are read once.
#[derive(Default)]
pub(super) struct Translator {
    messages: HashMap<String, String>,
}

impl Translator {
    /// All runs in a state, with their container's name.
    pub(super) fn translate(
        &mut self,
        pod: &Pod,
        paths: &Paths,
        state: &PodState,
    ) -> Vec<(String, Instance)> {
        let known = &state.containers;
        self.messages
            .retain(|id, _| known.iter().any(|c| &c.id == id));
        known
            .iter()
            .map(|container| (container.name.clone(), self.instance(pod, paths, container)))
            .collect()
    }

    fn instance(&mut self, pod: &Pod, paths: &Paths, container: &Container) -> Instance {
        let life = match &container.phase {
            Phase::Created => Life::Created,
            Phase::Running { started_at, .. } => Life::Running(*started_at),
            Phase::Exited(exit) => {
                let message = self
                    .messages
                    .entry(container.id.clone())
                    .or_insert_with(|| message(pod, paths, container, exit));
                Life::Ended(ended(exit, message.clone()))
            }
        };
        Instance {
            id: container.id.clone(),
            attempt: container.attempt,
            image: container.image.clone(),
            image_id: container.image_id.clone(),
            user: container.user.clone(),
            life,
        }
    }
}

fn ended(exit: &Exit, message: String) -> Ended {
    let reason = match exit {
        Exit {
            oom_killed: true, ..
        } => "OOMKilled",
        Exit { code: 0, .. } => "Completed",
        _ => "Error",
    };
    Ended {
        code: exit.code,
        signal: exit.signal,
        reason: reason.to_owned(),
        message,
        started_at: Some(exit.started_at),
        finished_at: Some(exit.finished_at),
    }
}

/// The file at `terminationMessagePath`; the end of the log if that is empty, the policy says so and the
/// container failed.
fn message(pod: &Pod, paths: &Paths, container: &Container, exit: &Exit) -> String {
    let file = paths.termination_message(spec::uid(pod), &container.name, container.attempt);
    let text = match tail(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return format!(
                "Error on reading termination log {}: {error}",
                file.display()
            );
        }
    };
    let policy = spec::container(pod, &container.name)
        .and_then(|container| container.termination_message_policy.as_deref());
    if !text.is_empty() || policy != Some("FallbackToLogsOnError") || exit.code == 0 {
        return text;
    }
    logs::last_lines(&container.log_path, LOG_LINES, LOG_LIMIT)
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MESSAGE_LIMIT)))?;
    let mut bytes = Vec::new();
    file.take(MESSAGE_LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
