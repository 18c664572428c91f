//! `list`: the objects of a kind, whole or in pages.
//!
//! A page's continue token names the state that the first page showed and the place where it ended.
//! While nothing of the kind has changed since that state, later pages come from the cache; after that,
//! from the store's history, as long as that is kept.

use std::sync::Arc;

use api::kind::Scope;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use store::Revision;

use crate::cache::Object;
use crate::call::Call;
use crate::error::{Error, Result};
use crate::keys;
use crate::options::{ListOptions, Match};
use crate::respond::{self, ListMeta};

/// A continue token, as kube-apiserver encodes it.
#[derive(Debug, Deserialize, Serialize)]
struct Token {
    /// `meta.k8s.io/v1`
    v: String,
    /// The state, -1 to go on in whatever state there is then.
    rv: i64,
    /// Where to go on: below the kind's prefix, with a slash before and a NUL behind.
    start: String,
}

const VERSION: &str = "meta.k8s.io/v1";

/// A page.
pub(super) struct Page {
    /// The objects, in key order.
    pub(super) objects: Vec<Arc<Object>>,
    /// What the list says of itself.
    pub(super) meta: ListMeta,
}

/// Answers with the selected objects.
pub(crate) async fn list(call: &Call) -> Result<Response> {
    let page = page(call).await?;
    respond::list(call, page.objects, &page.meta)
}

/// The page that a request asks for.
pub(super) async fn page(call: &Call) -> Result<Page> {
    let options = ListOptions::parse(call.kind, &call.namespace, &call.query)?;
    if !options.token.is_empty() {
        return next(call, &options).await;
    }
    let cache = &call.app.cache;
    match options.state {
        Match::Newest => cache.fresh().await?,
        Match::NotOlderThan(revision) => cache.reach(revision).await?,
        Match::Exact(revision) => {
            cache.reach(revision).await?;
            return historic(call, &options, revision, None).await;
        }
    };
    Ok(cached(call, &options, cache.revision(), None))
}

/// The page that a token asks for.
async fn next(call: &Call, options: &ListOptions) -> Result<Page> {
    let token = Token::read(&options.token)?;
    let place = token.start.trim_start_matches('/').trim_end_matches('\0');
    let Ok(revision) = Revision::try_from(token.rv) else {
        let revision = call.app.cache.fresh().await?;
        return Ok(cached(call, options, revision, Some(place)));
    };
    let page = historic(call, options, revision, Some(place)).await;
    page.map_err(|error| match error.reason {
        "Expired" => Error::continue_expired(Token { rv: -1, ..token }.write()),
        _ => error,
    })
}

/// A page of the present. `revision` was read before the objects: none of them is older.
fn cached(call: &Call, options: &ListOptions, revision: Revision, after: Option<&str>) -> Page {
    let scope = call.resource().scope;
    let after = after.map(|place| match scope {
        Scope::Cluster => ("", place),
        Scope::Namespaced => place.split_once('/').unwrap_or((place, "")),
    });
    let cache = call.app.cache.of(call.kind);
    let listed = cache.list(&options.selection, after, options.limit);
    // What was put into the cache meanwhile is in the list: it shows at least that state.
    let revision = revision.max(listed.last);
    let meta = match listed.more {
        Some(remaining) => ListMeta {
            revision,
            token: token_after(call, &listed.objects, revision),
            remaining,
        },
        None => ListMeta {
            revision,
            ..ListMeta::default()
        },
    };
    Page {
        objects: listed.objects,
        meta,
    }
}

/// A page of the past.
async fn historic(
    call: &Call,
    options: &ListOptions,
    revision: Revision,
    after: Option<&str>,
) -> Result<Page> {
    let cache = call.app.cache.of(call.kind);
    let oldest = call.app.store.compacted();
    if revision < oldest {
        // Also where the cache would know: what a revision gives must not depend on the kind.
        let requested = revision;
        return Err(store::Error::Compacted { requested, oldest }.into());
    }
    if cache.last_change() <= revision && call.app.cache.revision() >= revision {
        let mut page = cached(call, options, revision, after);
        if cache.last_change() <= revision {
            page.meta.revision = revision;
            return Ok(page);
        }
    }
    let kind = keys::prefix(call.resource());
    let mut prefix = kind.clone();
    if !options.selection.namespace.is_empty() && call.resource().scope == Scope::Namespaced {
        prefix.push_str(&options.selection.namespace);
        prefix.push('/');
    }
    let mut place = after.map(|place| format!("{kind}{place}"));
    let mut objects: Vec<Arc<Object>> = Vec::new();
    loop {
        let start = place.as_deref().map(str::as_bytes);
        let store = &call.app.store;
        let found = store
            .range(prefix.as_bytes(), start, options.limit, Some(revision))
            .await?;
        let last = found.entries.last().map(|e| e.key.clone());
        let read = found
            .entries
            .iter()
            .filter_map(|entry| cache.historic(entry));
        let wanted = read.filter(|object| object.matches(&options.selection));
        objects.extend(wanted.map(Arc::new));
        let full = options.limit > 0 && objects.len() >= options.limit;
        let Some(last) = last.filter(|_| found.remaining > 0 && !full) else {
            let more = full && (found.remaining > 0 || objects.len() > options.limit);
            let surplus = objects.len().saturating_sub(options.limit.max(1));
            let mut meta = ListMeta {
                revision,
                ..ListMeta::default()
            };
            if more {
                objects.truncate(options.limit);
                meta.token = token_after(call, &objects, revision);
                let counted = options.selection.is_everything();
                meta.remaining = counted.then_some(found.remaining + surplus);
            }
            return Ok(Page { objects, meta });
        };
        place = Some(String::from_utf8_lossy(&last).into_owned());
    }
}

fn token_after(call: &Call, objects: &[Arc<Object>], revision: Revision) -> String {
    let Some(last) = objects.last() else {
        return String::new();
    };
    let start = match call.resource().scope {
        Scope::Cluster => format!("/{}\0", last.name),
        Scope::Namespaced => format!("/{}/{}\0", last.namespace, last.name),
    };
    Token {
        v: VERSION.to_owned(),
        rv: revision.try_into().unwrap_or(i64::MAX),
        start,
    }
    .write()
}

impl Token {
    fn read(text: &str) -> Result<Self> {
        let invalid = |why: String| {
            Error::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map_err(|error| invalid(error.to_string()))?;
        let token: Self =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        match token.v.as_str() {
            VERSION => Ok(token),
            other => Err(invalid(format!(
                "server does not recognize this encoded version {other:?}"
            ))),
        }
    }

    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("three plain fields"))
    }
}
