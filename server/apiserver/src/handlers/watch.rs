//! `watch`: what happens to the objects of a kind.
//!
//! ```text
//!            newest state wanted                 every event is in the ring
//! start ─────────────────────────► Initial ───────────────────────────────► Live ──► end
//!    └───older than the ring───► History (from the store) ──caught up────────┘
//! ```
//!
//! Nothing is buffered for a watcher: it has a position in the shared ring, and one that falls behind
//! the ring's start is cut off with 410. Events are encoded once for all watchers that see them alike.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde_json::json;
use store::Revision;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::app::App;
use crate::cache::{Event, KindCache, Missed, Object, line};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::keys;
use crate::negotiate::{Encoding, Shape};
use crate::options::{Selection, WatchOptions};
use crate::server::stopped;
use crate::table::{self, Include};

/// How often a watch that wants bookmarks gets one.
const BOOKMARK: Duration = Duration::from_secs(60);
/// No watch lasts longer, whatever its client asks for: clocks end.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// How much is sent at once, about, and how many events are taken from the ring for it.
const CHUNK: usize = 64 << 10;
const EVENTS: usize = 512;

/// Answers with a stream of events.
pub(crate) async fn watch(call: &Call) -> Result<Response> {
    if call.form.encoding == Encoding::Yaml {
        return Err(Error::not_acceptable(
            "only the following media types are accepted: application/json;stream=watch",
        ));
    }
    let options = WatchOptions::parse(call.kind, &call.namespace, &call.query)?;
    let shape = match call.form.shape {
        Shape::Table => View::Table(Include::of(&call.query)?),
        Shape::Partial { .. } => View::Partial,
        Shape::Object | Shape::Discovery => View::Whole,
    };
    let watcher = Watcher::start(call, options, shape).await?;
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), watcher))
    });
    let mut response = Response::new(Body::from_stream(stream));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// How objects are shown.
#[derive(Clone, Copy)]
enum View {
    Whole,
    Table(Include),
    Partial,
}

struct Watcher {
    app: Arc<App>,
    cache: Arc<KindCache>,
    selection: Selection,
    view: View,
    bookmarks: bool,
    /// All up to here has been sent.
    position: Revision,
    /// The state that comes first, and whether its end is marked.
    initial: Option<(std::vec::IntoIter<Arc<Object>>, bool)>,
    history: Option<store::Watch>,
    /// An error to end with, before anything is sent.
    refusal: Option<Error>,
    changes: tokio::sync::watch::Receiver<Revision>,
    stopping: tokio::sync::watch::Receiver<bool>,
    deadline: Instant,
    bookmark: Instant,
    /// Rings at the next of these. Kept from one wait to the next: most end long before.
    timer: Pin<Box<Sleep>>,
    /// Whether a table's header has been sent.
    header: bool,
    ended: bool,
    _counted: crate::metrics::Watching,
}

impl Watcher {
    async fn start(call: &Call, options: WatchOptions, view: View) -> Result<Self> {
        let app = call.app.clone();
        let cache = app.cache.of(call.kind).clone();
        let timeout = options.timeout.map_or(app.watch_timeout, |seconds| {
            Duration::from_secs(seconds).min(LONGEST)
        });
        let now = Instant::now();
        let mut watcher = Self {
            changes: cache.changes(),
            stopping: app.stopping.clone(),
            selection: options.selection,
            view,
            bookmarks: options.bookmarks,
            position: options.after.unwrap_or(0),
            initial: None,
            history: None,
            refusal: None,
            deadline: now + timeout,
            bookmark: now + BOOKMARK,
            timer: Box::pin(sleep_until(now)),
            header: true,
            ended: false,
            _counted: app.metrics.watching(call.resource()),
            app,
            cache,
        };
        watcher.set_timer();
        match options.after {
            // A state is wanted first. Of any age will do, but it has to be the newest for a watch-list.
            Some(after) if options.initial => {
                watcher.app.cache.reach(after).await?;
                watcher.app.cache.fresh().await?;
                watcher.begin(true);
            }
            None => {
                watcher.app.cache.fresh().await?;
                watcher.begin(options.initial);
            }
            Some(after) if matches!(watcher.cache.missed(after, 1), Missed::TooMany) => {
                let prefix = keys::prefix(call.resource());
                match watcher.app.store.watch(prefix.as_bytes(), after).await {
                    Ok(history) => watcher.history = Some(history),
                    Err(store::Error::Future { .. }) => watcher.position = after,
                    Err(error) => watcher.refusal = Some(error.into()),
                }
            }
            Some(_) => {}
        }
        Ok(watcher)
    }

    /// Begins with the state that the cache has.
    fn begin(&mut self, marked: bool) {
        let revision = self.app.cache.revision();
        let listed = self.cache.list(&self.selection, None, 0);
        self.position = revision.max(listed.last);
        self.initial = Some((listed.objects.into_iter(), marked));
    }

    /// The next chunk of the stream, `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(error) = self.refusal.take() {
                return Some(self.fail(&error));
            }
            if let Some(chunk) = self.state() {
                return Some(chunk);
            }
            if self.history.is_some() {
                if let Some(chunk) = self.past().await {
                    return Some(chunk);
                }
                continue;
            }
            if let Some(chunk) = self.live() {
                return Some(chunk);
            }
            if let Some(chunk) = self.wait().await {
                return Some(chunk);
            }
        }
    }

    /// A chunk of the state that comes first.
    fn state(&mut self) -> Option<Bytes> {
        let (mut objects, marked) = self.initial.take()?;
        let mut out = Vec::new();
        while out.len() < CHUNK {
            let Some(object) = objects.next() else {
                if marked && self.bookmarks {
                    out.extend_from_slice(&self.mark(true));
                }
                return (!out.is_empty()).then(|| out.into());
            };
            out.extend_from_slice(&self.shown("ADDED", &object.json));
        }
        self.initial = Some((objects, marked));
        Some(out.into())
    }

    /// Waits for a chunk of the store's history.
    async fn past(&mut self) -> Option<Bytes> {
        let history = self.history.as_mut()?;
        let batch = tokio::select! {
            batch = history.batches.recv() => batch,
            () = tokio::time::sleep_until(self.deadline) => {
                self.ended = true;
                return None;
            }
            () = tokio::time::sleep_until(self.bookmark), if self.bookmarks => {
                // Nothing of this kind has happened since: the store would have sent it.
                self.bookmark = Instant::now() + BOOKMARK;
                return None;
            }
            () = stopped(&mut self.stopping) => {
                self.ended = true;
                return None;
            }
        };
        let Some(batch) = batch else {
            self.history = None;
            return None;
        };
        let mut out = Vec::new();
        for event in batch.iter() {
            let event = self.cache.replay(event);
            self.position = event.revision;
            self.append(&mut out, &event);
        }
        if !matches!(self.cache.missed(self.position, 1), Missed::TooMany) {
            self.history = None;
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// A chunk of what the ring has.
    fn live(&mut self) -> Option<Bytes> {
        loop {
            self.changes.mark_unchanged();
            let seen = self.app.cache.revision();
            let events = match self.cache.missed(self.position, EVENTS) {
                Missed::Events(events) => events,
                Missed::TooMany => {
                    let text = format!("too old resource version: {} ({seen})", self.position);
                    return Some(self.fail(&Error::expired(text)));
                }
            };
            let Some(last) = events.last() else {
                // Everything of this kind up to `seen` was in the ring.
                self.position = self.position.max(seen);
                return None;
            };
            self.position = last.revision;
            if let [event] = events.as_slice()
                && matches!(self.view, View::Whole)
            {
                match event.seen(&self.selection) {
                    Some(change) => return Some(event.frame(change)),
                    None => continue,
                }
            }
            let mut out = Vec::new();
            for event in &events {
                self.append(&mut out, event);
            }
            if !out.is_empty() {
                return Some(out.into());
            }
        }
    }

    /// Waits until something happens. A bookmark may be due.
    async fn wait(&mut self) -> Option<Bytes> {
        tokio::select! {
            changed = self.changes.changed() => {
                self.ended = changed.is_err();
                return None;
            }
            () = stopped(&mut self.stopping) => {
                self.ended = true;
                return None;
            }
            () = self.timer.as_mut() => {}
        }
        let now = Instant::now();
        if now >= self.deadline {
            self.ended = true;
            return None;
        }
        self.bookmark = now + BOOKMARK;
        self.set_timer();
        // What has happened meanwhile comes first; the bookmark has the newest revision.
        let chunk = self.live();
        chunk.or_else(|| Some(self.mark(false)))
    }

    fn set_timer(&mut self) {
        let due = match self.bookmarks {
            true => self.deadline.min(self.bookmark),
            false => self.deadline,
        };
        self.timer.as_mut().reset(due);
    }

    fn append(&mut self, out: &mut Vec<u8>, event: &Event) {
        let Some(change) = event.seen(&self.selection) else {
            return;
        };
        match self.view {
            View::Whole => out.extend_from_slice(&event.frame(change)),
            _ => out.extend_from_slice(&self.shown(change.name(), &event.object(change))),
        }
    }

    /// A line about an object, in the watcher's view.
    fn shown(&mut self, kind: &str, object: &[u8]) -> Bytes {
        match self.view {
            View::Whole => line(kind, object),
            View::Table(include) => {
                let header = std::mem::take(&mut self.header);
                let now = Timestamp::now();
                line(
                    kind,
                    &table::single(self.cache.kind, object, include, header, now),
                )
            }
            View::Partial => {
                let mut out = Vec::with_capacity(512);
                table::partial(&mut out, object);
                line(kind, &out)
            }
        }
    }

    /// A bookmark: all up to this revision has been sent.
    fn mark(&mut self, end_of_state: bool) -> Bytes {
        let resource = self.cache.kind.resource();
        let mut meta = json!({ "resourceVersion": self.position.to_string() });
        if end_of_state {
            meta["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({
            "kind": resource.kind,
            "apiVersion": resource.api_version(),
            "metadata": meta,
        });
        self.shown("BOOKMARK", object.to_string().as_bytes())
    }

    /// An error as the last event.
    fn fail(&mut self, error: &Error) -> Bytes {
        self.ended = true;
        line("ERROR", error.status().to_string().as_bytes())
    }
}
