//! What is known of a pod's containers, newest first, with everything that a status needs.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::runtime::User;

/// All containers of a pod that still exist in the runtime.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observed {
    /// By container name, newest first.
    pub(crate) instances: BTreeMap<String, Vec<Instance>>,
}

/// One run of a container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instance {
    /// The runtime's id.
    pub(crate) id: String,
    /// How many runs there were before.
    pub(crate) attempt: u32,
    /// The image's name and its id.
    pub(crate) image: String,
    pub(crate) image_id: String,
    /// Who its first process was, if that is known.
    pub(crate) user: Option<User>,
    /// Where it is in its life.
    pub(crate) life: Life,
}

/// Where a run is in its life.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Life {
    /// Made, not begun.
    Created,
    /// Running since then.
    Running(Timestamp),
    /// Over.
    Ended(Ended),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`.
    pub(crate) reason: String,
    /// The termination message.
    pub(crate) message: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

impl Instance {
    /// How it ended, if it did.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        match &self.life {
            Life::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// Since when it runs, if it does.
    pub(crate) fn running(&self) -> Option<Timestamp> {
        match self.life {
            Life::Running(since) => Some(since),
            _ => None,
        }
    }

    /// Whether there is, or is about to be, a process.
    pub(crate) fn is_alive(&self) -> bool {
        self.ended().is_none()
    }
}

impl Observed {
    /// The newest run of a container.
    pub(crate) fn newest(&self, name: &str) -> Option<&Instance> {
        self.instances.get(name)?.first()
    }

    /// The run before the newest.
    pub(crate) fn previous(&self, name: &str) -> Option<&Instance> {
        self.instances.get(name)?.get(1)
    }

    /// Whether the newest run of a container is alive.
    pub(crate) fn alive(&self, name: &str) -> bool {
        self.newest(name).is_some_and(Instance::is_alive)
    }
}
