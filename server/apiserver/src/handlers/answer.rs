//! `create` of a question: the object is answered, and stored nowhere.

use api::auth::UserInfo;
use api::review::{Access, Authority, Bearer, Rules, Verdict};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;

use super::write;
use crate::auth::Attributes;
use crate::call::Call;
use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::respond;

/// Answers the question in the body.
pub(crate) async fn answer(
    call: &Call,
    mut question: Value,
    options: &WriteOptions,
) -> Result<Response> {
    write::pose(call, &mut question, options).await?;
    let problems = call.kind.validate(&question);
    if !problems.is_empty() {
        // Kubernetes leaves out kind and name there.
        return Err(Error::invalid("", call.resource().group, "", &problems));
    }
    // What was committed before the question counts.
    call.app.cache.fresh().await?;
    let authority = Server {
        call,
        now: Timestamp::now(),
    };
    let answered = call.kind.answer(&mut question, &authority);
    answered.map_err(Error::bad_request)?;
    respond::object(call, 201, write::text(&question))
}

/// The server, as questions see it.
struct Server<'a> {
    call: &'a Call,
    now: Timestamp,
}

impl Authority for Server<'_> {
    fn asker(&self) -> &UserInfo {
        &self.call.user
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn access(&self, user: &UserInfo, access: &Access<'_>) -> Verdict {
        self.call.app.authorizer.review(&Attributes {
            user,
            verb: access.verb,
            group: access.group,
            resource: access.resource,
            subresource: access.subresource,
            namespace: access.namespace,
            name: access.name,
            field_selector: access.field_selector,
            path: access.path,
        })
    }

    fn rules(&self, namespace: &str) -> Rules {
        self.call.app.authorizer.rules(self.asker(), namespace)
    }

    fn bearer(&self, token: &str, audiences: &[&str]) -> std::result::Result<Bearer, String> {
        self.call.app.authenticator.review(token, audiences)
    }
}
