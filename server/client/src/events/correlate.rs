//! Which of the things that happen are worth an object: repeated ones are counted, similar ones
//! combined, floods cut. The numbers are client-go's.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Type;
use crate::object::time;

/// How many distinct events are remembered.
const REMEMBERED: usize = 4096;
/// After this many messages under one reason, further ones are combined.
const SIMILAR: usize = 10;
/// Similar events are combined when they come within this time.
const SIMILAR_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// How many events one source may record of one object at once.
const BURST: f64 = 25.0;
/// How fast it earns more: one in five minutes.
const REFILL_PER_SECOND: f64 = 1.0 / 300.0;

/// Who reports.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Source {
    pub(super) component: String,
    pub(super) host: String,
}

/// Something that happened.
#[derive(Debug)]
pub(super) struct Occurrence {
    pub(super) source: Arc<Source>,
    pub(super) object: ObjectReference,
    pub(super) kind: Type,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) time: Timestamp,
}

/// An event to write.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) event: Event,
    /// Whether the event was written before, with a lower count.
    pub(super) repeated: bool,
}

/// A source and the object it reports on.
type Subject = (Arc<Source>, String);

/// What is remembered of earlier events.
#[derive(Default)]
pub(super) struct Correlator {
    /// By subject, type, reason and message.
    counted: HashMap<(Subject, Type, String, String), Counted>,
    /// By subject, type and reason.
    similar: HashMap<(Subject, Type, String), Similar>,
    budgets: HashMap<Subject, Budget>,
}

struct Counted {
    name: String,
    count: i32,
    first: Timestamp,
    last: Timestamp,
}

struct Similar {
    messages: Vec<String>,
    last: Timestamp,
}

struct Budget {
    tokens: f64,
    last: Timestamp,
}

impl Correlator {
    /// The event to write for an occurrence, or `None` if there were too many.
    pub(super) fn observe(&mut self, occurrence: Occurrence) -> Option<Write> {
        self.forget_old();
        let subject = (Arc::clone(&occurrence.source), identity(&occurrence.object));
        let (key_message, message) = self.combined(&subject, &occurrence);
        if !self.spend(&subject, occurrence.time) {
            return None;
        }
        let key = (
            subject,
            occurrence.kind,
            occurrence.reason.clone(),
            key_message,
        );
        let counted = self.counted.entry(key).or_insert_with(|| Counted {
            name: name(&occurrence),
            count: 0,
            first: occurrence.time,
            last: occurrence.time,
        });
        counted.count += 1;
        counted.last = occurrence.time;
        Some(Write {
            repeated: counted.count > 1,
            event: event(occurrence, counted, message),
        })
    }

    /// The message to count under and the message to show: many messages under one reason count as
    /// one event.
    fn combined(&mut self, subject: &Subject, occurrence: &Occurrence) -> (String, String) {
        let message = &occurrence.message;
        let key = (subject.clone(), occurrence.kind, occurrence.reason.clone());
        let similar = self.similar.entry(key).or_insert_with(|| Similar {
            messages: Vec::new(),
            last: occurrence.time,
        });
        if occurrence.time.duration_since(similar.last) > SIMILAR_WITHIN {
            similar.messages.clear();
        }
        similar.last = occurrence.time;
        if !similar.messages.contains(message) {
            if similar.messages.len() + 1 >= SIMILAR {
                let shown = format!("(combined from similar events): {message}");
                return (String::new(), shown);
            }
            similar.messages.push(message.clone());
        }
        (message.clone(), message.clone())
    }

    fn spend(&mut self, subject: &Subject, now: Timestamp) -> bool {
        let budget = self.budgets.entry(subject.clone()).or_insert(Budget {
            tokens: BURST,
            last: now,
        });
        let earned = now.duration_since(budget.last).as_secs_f64() * REFILL_PER_SECOND;
        budget.tokens = (budget.tokens + earned.max(0.0)).min(BURST);
        budget.last = now;
        if budget.tokens < 1.0 {
            return false;
        }
        budget.tokens -= 1.0;
        true
    }

    /// Halves each memory that is full, the oldest first.
    fn forget_old(&mut self) {
        halve(&mut self.counted, |c| c.last);
        halve(&mut self.similar, |s| s.last);
        halve(&mut self.budgets, |b| b.last);
    }
}

fn halve<K, V>(memory: &mut HashMap<K, V>, last: impl Fn(&V) -> Timestamp) {
    if memory.len() < REMEMBERED {
        return;
    }
    let mut times: Vec<Timestamp> = memory.values().map(&last).collect();
    let (_, median, _) = times.select_nth_unstable(REMEMBERED / 2);
    let median = *median;
    memory.retain(|_, value| last(value) > median);
}

fn identity(object: &ObjectReference) -> String {
    let part = |field: &Option<String>| field.clone().unwrap_or_default();
    [
        part(&object.api_version),
        part(&object.kind),
        part(&object.namespace),
        part(&object.name),
        part(&object.uid),
        part(&object.field_path),
    ]
    .join("\0")
}

/// The name of the event: that of its object and a number that makes it unique.
fn name(occurrence: &Occurrence) -> String {
    let object = occurrence.object.name.as_deref().unwrap_or_default();
    format!("{object}.{:x}", occurrence.time.as_nanosecond())
}

fn event(occurrence: Occurrence, counted: &Counted, message: String) -> Event {
    let namespace = occurrence.object.namespace.clone();
    let source = occurrence.source;
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Event {
        metadata: ObjectMeta {
            name: Some(counted.name.clone()),
            // Events of cluster-scoped objects live in `default`.
            namespace: namespace
                .filter(|n| !n.is_empty())
                .or_else(|| given("default")),
            ..ObjectMeta::default()
        },
        involved_object: occurrence.object,
        reason: Some(occurrence.reason),
        message: Some(message),
        type_: Some(occurrence.kind.name().to_owned()),
        count: Some(counted.count),
        first_timestamp: Some(time(counted.first)),
        last_timestamp: Some(time(counted.last)),
        source: Some(EventSource {
            component: Some(source.component.clone()),
            host: given(&source.host),
        }),
        reporting_component: Some(source.component.clone()),
        reporting_instance: Some(source.host.clone()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occurrence(message: &str, seconds: i64) -> Occurrence {
        Occurrence {
            source: Arc::new(Source {
                component: "kubelet".to_owned(),
                host: "node".to_owned(),
            }),
            object: ObjectReference {
                name: Some("web".to_owned()),
                ..ObjectReference::default()
            },
            kind: Type::Warning,
            reason: "Unhealthy".to_owned(),
            message: message.to_owned(),
            time: Timestamp::from_second(1_000_000 + seconds).expect("in range"),
        }
    }

    #[test]
    fn a_repeated_event_counts_up_and_keeps_its_first_time() {
        let mut correlator = Correlator::default();
        let first = correlator.observe(occurrence("m", 0)).expect("written");
        let second = correlator.observe(occurrence("m", 60)).expect("written");
        assert!(!first.repeated && second.repeated);
        assert_eq!(second.event.count, Some(2));
        assert_eq!(second.event.metadata.name, first.event.metadata.name);
        assert_eq!(second.event.first_timestamp, first.event.first_timestamp);
        assert_ne!(second.event.last_timestamp, first.event.last_timestamp);
    }

    #[test]
    fn many_messages_under_one_reason_become_one_event() {
        let mut correlator = Correlator::default();
        for n in 0..9 {
            let write = correlator
                .observe(occurrence(&n.to_string(), n))
                .expect("written");
            assert!(!write.repeated);
        }
        let tenth = correlator.observe(occurrence("9", 9)).expect("written");
        assert!(!tenth.repeated);
        let text = tenth.event.message.expect("set");
        assert_eq!(text, "(combined from similar events): 9");
        let next = correlator.observe(occurrence("10", 10)).expect("written");
        assert!(next.repeated);
        assert_eq!(next.event.count, Some(2));
    }

    #[test]
    fn a_flood_is_cut_after_its_burst_and_trickles_on() {
        let mut correlator = Correlator::default();
        let written = (0..40).filter(|_| correlator.observe(occurrence("m", 0)).is_some());
        assert_eq!(written.count(), 25);
        assert!(correlator.observe(occurrence("m", 301)).is_some());
        assert!(correlator.observe(occurrence("m", 302)).is_none());
    }
}
