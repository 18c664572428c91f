//! `/livez`, `/readyz`, `/healthz`: whether the server lives, and whether it can serve.

use axum::response::Response;
use bytes::Bytes;

use crate::app::App;
use crate::negotiate::Form;
use crate::query::Query;
use crate::respond;

/// A check and what is wrong, if something is.
type Outcome = (&'static str, Result<(), String>);

/// Answers for all checks, or for the one that the path names. `None` when there is no such check.
pub(crate) async fn check(app: &App, path: &[&str], query: &Query) -> Option<Response> {
    let endpoint = *path.first()?;
    let mut outcomes = outcomes(app, endpoint).await;
    if !path[1..].is_empty() {
        let name = path[1..].join("/");
        outcomes.retain(|(check, _)| *check == name);
        if outcomes.is_empty() {
            return None;
        }
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    let mut failed = false;
    let mut lines = String::new();
    for (name, outcome) in &outcomes {
        let line = match outcome {
            _ if excluded.contains(name) => format!("[+]{name} excluded: ok\n"),
            Ok(()) => format!("[+]{name} ok\n"),
            Err(why) => {
                tracing::debug!("{endpoint} check {name} failed: {why}");
                failed = true;
                format!("[-]{name} failed: reason withheld\n")
            }
        };
        lines.push_str(&line);
    }
    let (code, text) = match failed {
        true => (500, format!("{lines}{endpoint} check failed\n")),
        false if query.first("verbose").is_some() && path.len() == 1 => {
            (200, format!("{lines}{endpoint} check passed\n"))
        }
        false => (200, "ok".to_owned()),
    };
    let kind = "text/plain; charset=utf-8";
    Some(respond::raw(Form::plain(), code, kind, Bytes::from(text)))
}

async fn outcomes(app: &App, endpoint: &str) -> Vec<Outcome> {
    let mut outcomes = vec![
        ("ping", Ok(())),
        ("log", Ok(())),
        ("etcd", store(app).await),
        ("informer-sync", cache(app).await),
        ("poststarthook/rbac/bootstrap-roles", bootstrapped(app)),
    ];
    if endpoint == "readyz" {
        outcomes.push(("etcd-readiness", store(app).await));
        let stopping = *app.stopping.borrow();
        let shutdown = match stopping {
            true => Err("the server is shutting down".to_owned()),
            false => Ok(()),
        };
        outcomes.push(("shutdown", shutdown));
    }
    outcomes
}

async fn store(app: &App) -> Result<(), String> {
    let answer = app.store.get(crate::keys::ROOT, None).await;
    answer.map(|_| ()).map_err(|error| error.to_string())
}

async fn cache(app: &App) -> Result<(), String> {
    let fresh = app.cache.fresh().await;
    fresh.map(|_| ()).map_err(|error| error.message)
}

fn bootstrapped(app: &App) -> Result<(), String> {
    match *app.ready.borrow() {
        true => Ok(()),
        false => Err("not finished".to_owned()),
    }
}
