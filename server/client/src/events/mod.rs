//! Recording of Events, as `k8s.io/client-go/tools/record` does: in the background, with repeated
//! ones counted in the same object.

mod correlate;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use tokio::sync::mpsc;

use correlate::{Correlator, Occurrence, Source, Write};

/// How many events may wait to be written; more are dropped, as they say nothing that the object's
/// status does not.
const BACKLOG: usize = 1000;

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Something that is meant to happen.
    Normal,
    /// Something that somebody may want to look into.
    Warning,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Records the events of one component; clones share it.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::Sender<Occurrence>,
    source: Arc<Source>,
}

impl Recorder {
    /// A recorder that writes through `client`. `component` is the reporter, such as `kubelet`;
    /// `host` is the node it runs on, or empty.
    ///
    /// Must be called inside a tokio runtime: a task writes until all clones are dropped.
    pub fn new(client: kube::Client, component: &str, host: &str) -> Self {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        tokio::spawn(write_all(client, receiver));
        Self {
            sender,
            source: Arc::new(Source {
                component: component.to_owned(),
                host: host.to_owned(),
            }),
        }
    }

    /// The same recorder under another component's name.
    #[must_use]
    pub fn for_component(&self, component: &str) -> Self {
        Self {
            sender: self.sender.clone(),
            source: Arc::new(Source {
                component: component.to_owned(),
                host: self.source.host.clone(),
            }),
        }
    }

    /// Records that something happened to an object. Never waits; without the `tracing` level
    /// `debug` nobody hears of an event that could not be written.
    pub fn event(
        &self,
        object: &ObjectReference,
        kind: Type,
        reason: &str,
        message: impl Into<String>,
    ) {
        let occurrence = Occurrence {
            source: Arc::clone(&self.source),
            object: object.clone(),
            kind,
            reason: reason.to_owned(),
            message: message.into(),
            time: Timestamp::now(),
        };
        if let Err(error) = self.sender.try_send(occurrence) {
            tracing::debug!(%error, reason, "event dropped");
        }
    }

    /// Records that something happened to a typed object, see [`Recorder::event`].
    pub fn on<K>(&self, object: &K, kind: Type, reason: &str, message: impl Into<String>)
    where
        K: Resource<DynamicType = ()>,
    {
        let mut reference = object.object_ref(&());
        reference.resource_version = object.meta().resource_version.clone();
        self.event(&reference, kind, reason, message);
    }
}

async fn write_all(client: kube::Client, mut occurrences: mpsc::Receiver<Occurrence>) {
    let mut correlator = Correlator::default();
    while let Some(occurrence) = occurrences.recv().await {
        let Some(write) = correlator.observe(occurrence) else {
            continue;
        };
        if let Err(error) = perform(&client, write).await {
            tracing::debug!(%error, "event not written");
        }
    }
}

async fn perform(client: &kube::Client, write: Write) -> kube::Result<()> {
    let namespace = write.event.metadata.namespace.clone().unwrap_or_default();
    let name = write.event.metadata.name.clone().unwrap_or_default();
    let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
    if write.repeated {
        let patch = serde_json::json!({
            "count": write.event.count,
            "lastTimestamp": write.event.last_timestamp,
            "message": write.event.message,
        });
        let params = PatchParams::default();
        match events.patch(&name, &params, &Patch::Strategic(patch)).await {
            Err(error) if crate::object::is_not_found(&error) => {}
            other => return other.map(drop),
        }
    }
    events.create(&PostParams::default(), &write.event).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Server, not_found};
    use serde_json::json;

    fn pod() -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some("ns".to_owned()),
            name: Some("web".to_owned()),
            uid: Some("u".to_owned()),
            ..ObjectReference::default()
        }
    }

    fn recorder(server: &Server) -> Recorder {
        let client = crate::in_process(server.clone(), api::auth::UserInfo::default());
        Recorder::new(client, "kubelet", "node-1")
    }

    #[tokio::test]
    async fn an_event_names_its_object_and_its_reporter() {
        let server = Server::new();
        recorder(&server).event(&pod(), Type::Normal, "Started", "Container started");
        let seen = &server.wait_for(1).await[0];
        assert_eq!(seen.method, "POST");
        assert_eq!(seen.path, "/api/v1/namespaces/ns/events");
        let name = seen.body["metadata"]["name"].as_str().expect("a string");
        assert!(name.starts_with("web."), "{name}");
        assert_eq!(
            seen.body["source"],
            json!({"component": "kubelet", "host": "node-1"})
        );
        assert_eq!(seen.body["reportingComponent"], "kubelet");
        assert_eq!(seen.body["involvedObject"]["name"], "web");
        assert_eq!(seen.body["count"], 1);
        assert_eq!(seen.body["type"], "Normal");
    }

    #[tokio::test]
    async fn a_repeated_event_is_counted_in_the_same_object() {
        let server = Server::new();
        let recorder = recorder(&server);
        recorder.event(&pod(), Type::Warning, "BackOff", "Back-off restarting");
        recorder.event(&pod(), Type::Warning, "BackOff", "Back-off restarting");
        let seen = server.wait_for(2).await;
        assert_eq!(seen[1].method, "PATCH");
        let name = seen[0].body["metadata"]["name"].as_str().expect("a string");
        assert!(seen[1].path.ends_with(name));
        assert_eq!(seen[1].body["count"], 2);
    }

    #[tokio::test]
    async fn a_repeated_event_whose_object_has_expired_is_created_again() {
        let server = Server::new();
        let recorder = recorder(&server);
        recorder.event(&pod(), Type::Normal, "Pulled", "x");
        server.wait_for(1).await;
        server.answer(404, not_found());
        recorder.event(&pod(), Type::Normal, "Pulled", "x");
        let seen = server.wait_for(3).await;
        assert_eq!(seen[2].method, "POST");
        assert_eq!(seen[2].body["count"], 2);
    }
}
