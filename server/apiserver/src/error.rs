//! What went wrong with a request: the only place that makes a `Status`.
//!
//! Codes, reasons, messages and causes are those of `k8s.io/apimachinery/pkg/api/errors`; clients
//! decide by the reason and tests match on the text.

use std::collections::HashSet;

use api::field;
use api::kind::Resource;
use serde_json::{Value, json};

/// A refused request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The HTTP status.
    pub code: u16,
    /// The machine-readable reason, empty where Kubernetes gives none.
    pub reason: &'static str,
    /// What the user reads.
    pub message: String,
    /// `details`: the object at fault and the causes.
    pub details: Option<Value>,
}

/// How many problems of an object are told. Whoever has more wants none of them: a body of 3 MiB can have
/// a million, and each would take a thousand bytes.
const PROBLEMS: usize = 1000;

/// What a handler returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    fn about(self, resource: &Resource, name: &str) -> Self {
        Self {
            details: Some(details(name, resource.group, resource.plural)),
            ..self
        }
    }

    fn without_details(self) -> Self {
        Self {
            details: Some(json!({})),
            ..self
        }
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: nobody knows who is asking.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 by an admission plugin: the object may not become what was asked.
    pub fn forbidden(resource: &Resource, name: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", resource.qualified());
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// 403 by the authorizer. `what` is the sentence after `is forbidden: `.
    pub fn unauthorized_for(group: &str, plural: &str, name: &str, what: &str) -> Self {
        let qualified = match group {
            "" => plural.to_owned(),
            group => format!("{plural}.{group}"),
        };
        let subject = match (plural, name) {
            ("", _) => String::new(),
            (_, "") => format!("{qualified} is "),
            (_, name) => format!("{qualified} {name:?} is "),
        };
        let mut error = Self::new(403, "Forbidden", format!("{subject}forbidden: {what}"));
        error.details = Some(details(name, group, plural));
        error
    }

    /// 403 for an object whose namespace is going away.
    pub fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        Self::forbidden(resource, name, why).cause(
            "NamespaceTerminating",
            &format!("namespace {namespace} is being terminated"),
            "metadata.namespace",
        )
    }

    /// 404: there is no such object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    /// 404: a binding refers to a role that does not exist.
    pub fn role_not_found(resource: &Resource, why: impl Into<String>) -> Self {
        Self::new(404, "NotFound", why).about(resource, "")
    }

    /// 404: the group and version exist, the path below them does not.
    pub fn no_such_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
        .without_details()
    }

    /// 405: the path exists and the method does not.
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .without_details()
    }

    /// 406: the answer can't be given in a form that the client accepts.
    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: &Resource, name: &str, being_deleted: bool) -> Self {
        let prefix = match being_deleted {
            true => "object is being deleted: ",
            false => "",
        };
        let message = format!("{prefix}{} {name:?} already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// 409: somebody else was faster.
    pub fn modified(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409: the operation can't be done on the object as it is now.
    pub fn conflict(resource: &Resource, name: &str, why: impl std::fmt::Display) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            resource.qualified()
        );
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// 409 about a subresource, whose name stands where the resource's does.
    pub fn conflict_of(subresource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {subresource} {name:?}: {why}");
        let mut error = Self::new(409, "Conflict", message);
        error.details = Some(details(name, "", subresource));
        error
    }

    /// What a kubelet refused, with its code.
    pub fn of_kubelet(code: u16, message: impl Into<String>) -> Self {
        match code {
            400 => Self::bad_request(message),
            404 => Self::new(404, "NotFound", message),
            code => Self::new(code, "", message),
        }
    }

    /// 409: a precondition of a deletion does not hold; named by kind, not by resource.
    pub fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            qualified_kind(resource.kind, resource.group)
        );
        let mut error = Self::new(409, "Conflict", message);
        error.details = Some(details(name, resource.group, resource.kind));
        error
    }

    /// 409 of server-side apply: `causes` are pairs of message and field.
    pub fn apply_conflict(
        message: String,
        causes: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut error = Self::new(409, "Conflict", message);
        error.details = Some(json!({}));
        for (message, field) in causes {
            error = error.cause("FieldManagerConflict", &message, &field);
        }
        error
    }

    /// 410: the revision asked for is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 410: the snapshot that a continue token names is gone. `token` goes on without one.
    pub fn continue_expired(token: String) -> Self {
        let mut error = Self::expired(
            "The provided continue parameter is too old to display a consistent list result. You can \
             start a new list without the continue parameter, or use the continue token in this \
             response to retrieve the remainder of the results. Continuing with the provided token \
             results in an inconsistent list - objects that were created, modified, or deleted between \
             the time the first chunk was returned and now may show up in the list.",
        );
        error.details = Some(json!({ "continue": token }));
        error
    }

    /// 413: the body is longer than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    /// 413: a patch that asks for too much work.
    pub fn too_much(why: impl std::fmt::Display) -> Self {
        let message = format!("Request entity too large: {why}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415: a body of a type that nobody can read.
    pub fn unsupported_body() -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )
    }

    /// 415: a patch of a type that nobody knows.
    pub fn unsupported_patch() -> Self {
        Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").without_details()
    }

    /// 422: the object is well-formed and wrong.
    pub fn invalid(kind: &str, group: &str, name: &str, errors: &[field::Error]) -> Self {
        let subject = qualified_kind(kind, group);
        let errors = &errors[..errors.len().min(PROBLEMS)];
        let message = format!("{subject} {name:?} is invalid: {}", joined(errors));
        let mut error = Self::new(422, "Invalid", message);
        let mut facts = details(name, group, kind);
        facts["causes"] = errors.iter().map(cause).collect();
        error.details = Some(facts);
        error
    }

    /// 422 about query parameters, such as `ListOptions`.
    pub fn invalid_options(kind: &str, errors: &[field::Error]) -> Self {
        Self::invalid(kind, "meta.k8s.io", "", errors)
    }

    /// 422: a JSON patch that can't be applied.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message).without_details()
    }

    /// 429: later, perhaps.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let mut error = Self::new(429, "TooManyRequests", message);
        error.details = Some(json!({ "retryAfterSeconds": retry_after_seconds }));
        error
    }

    /// 400 without a reason, for mistakes of the user that Kubernetes has no error for: it answers 500
    /// there, as if they were its own. Without a reason clients show the same words for both.
    pub fn unclassified(message: impl Into<String>) -> Self {
        Self::new(400, "", message)
    }

    /// 500: our fault. The text is for the log's reader as well.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let message = message.to_string();
        tracing::error!("internal error: {message}");
        let mut error = Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        );
        error.details = Some(json!({ "causes": [{ "message": message }] }));
        error
    }

    /// 500: a node does not answer. Kubernetes has no reason for it.
    pub fn dial(message: impl Into<String>) -> Self {
        let message = message.into();
        let text = format!("error dialing backend: {message}");
        tracing::debug!("{text}");
        Self::new(500, "", text)
    }

    /// 503: not now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// 504: the revision asked for has not happened.
    pub fn future_revision(requested: u64, current: u64) -> Self {
        let mut error = Self::new(
            504,
            "Timeout",
            format!("Timeout: Too large resource version: {requested}, current: {current}"),
        );
        error.details = Some(json!({
            "causes": [{
                "reason": "ResourceVersionTooLarge",
                "message": "Too large resource version",
            }],
            "retryAfterSeconds": 1,
        }));
        error
    }

    #[must_use]
    fn cause(mut self, reason: &str, message: &str, field: &str) -> Self {
        let details = self.details.get_or_insert_with(|| json!({}));
        let causes = &mut details["causes"];
        if causes.is_null() {
            *causes = json!([]);
        }
        if let Some(causes) = causes.as_array_mut() {
            causes.push(json!({ "reason": reason, "message": message, "field": field }));
        }
        self
    }

    /// Seconds that the client should wait, for the `Retry-After` header.
    pub fn retry_after(&self) -> Option<u64> {
        self.details.as_ref()?["retryAfterSeconds"].as_u64()
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            if let Some(token) = details["continue"].as_str() {
                status["metadata"]["continue"] = token.into();
            } else {
                status["details"] = details.clone();
            }
        }
        status
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Compacted { requested, oldest } => {
                Self::expired(format!("too old resource version: {requested} ({oldest})"))
            }
            store::Error::Future { requested, current } => {
                Self::future_revision(requested, current)
            }
            store::Error::ReadOnly(why) => {
                Self::unavailable(format!("the store refuses writes: {why}"))
            }
            store::Error::Closed => Self::unavailable("the server is shutting down"),
            store::Error::Damaged(why) => Self::internal(format!("the store is damaged: {why}")),
        }
    }
}

/// The `Status` of something that went well and has no object to show.
pub fn success(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = details(name, resource.group, resource.plural);
    if !uid.is_empty() {
        details["uid"] = uid.into();
    }
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}

/// The `Status` of a created thing that is no object, such as a binding.
pub fn created() -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    })
}

fn details(name: &str, group: &str, kind: &str) -> Value {
    let pairs = [("name", name), ("group", group), ("kind", kind)];
    let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    Value::Object(set.map(|(k, v)| (k.to_owned(), v.into())).collect())
}

fn qualified_kind(kind: &str, group: &str) -> String {
    match group {
        "" => kind.to_owned(),
        group => format!("{kind}.{group}"),
    }
}

fn cause(error: &field::Error) -> Value {
    json!({
        "reason": error.reason.cause(),
        "message": error.message(),
        "field": error.field.to_string(),
    })
}

/// One problem stands alone, several stand in brackets; a repeated text stands once.
fn joined(errors: &[field::Error]) -> String {
    let mut seen = HashSet::with_capacity(errors.len());
    let texts = errors.iter().map(ToString::to_string);
    let texts: Vec<String> = texts.filter(|text| seen.insert(text.clone())).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}
