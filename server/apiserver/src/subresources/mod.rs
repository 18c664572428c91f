//! The parts of objects with a URL of their own, a file each. `status` needs none: it is written as the
//! object is, see [`crate::handlers`].

mod binding;
mod eviction;
mod exec;
mod finalize;
mod log;
mod pod;
mod scale;
mod token;

use axum::response::Response;
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;

use api::kind::{Part, Resource, Subresource};

use crate::call::Call;
use crate::error::{Error, Result};
use crate::handlers;

/// The subresources that are served, wherever a kind has them.
const SERVED: &[&str] = &[
    "binding",
    "ephemeralcontainers",
    "eviction",
    "exec",
    "finalize",
    "log",
    "resize",
    "scale",
    "status",
    "token",
];

/// The subresources of a kind that are served: clients are told of no others.
pub(crate) fn of(resource: &Resource) -> impl Iterator<Item = &'static Subresource> + use<> {
    let parts = resource.subresources.iter();
    parts.filter(|part| SERVED.contains(&part.name))
}

/// Answers a request for a subresource: a line a subresource.
pub(crate) async fn serve(
    call: &Call,
    verb: &str,
    body: &Bytes,
    upgrade: Option<OnUpgrade>,
) -> Result<Response> {
    match (call.subresource.as_str(), verb) {
        ("binding", "create") => binding::create(call, body).await,
        ("ephemeralcontainers", verb) => part(call, "ephemeralcontainers", verb, body).await,
        ("eviction", "create") => eviction::create(call, body).await,
        ("exec", _) => exec::connect(call, upgrade).await,
        ("finalize", "update") => finalize::update(call, body).await,
        ("log", "get") => log::get(call).await,
        ("resize", verb) => part(call, "resize", verb, body).await,
        ("scale", "get") => scale::get(call).await,
        ("scale", "update") => scale::update(call, body).await,
        ("scale", "patch") => scale::patch(call, body).await,
        ("token", "create") => token::create(call, body).await,
        _ => Err(Error::no_such_resource()),
    }
}

/// A subresource that is the object itself, of which only a part may change.
async fn part(call: &Call, name: &'static str, verb: &str, body: &Bytes) -> Result<Response> {
    match verb {
        "get" => handlers::get(call).await,
        "update" => handlers::update(call, Part::Other(name), body).await,
        "patch" => handlers::patch(call, Part::Other(name), body).await,
        _ => Err(Error::method_not_allowed()),
    }
}
