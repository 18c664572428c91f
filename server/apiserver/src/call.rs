//! One request for a resource, as handlers see it.

use std::sync::Arc;

use api::auth::UserInfo;
use api::kind::{Kind, Resource};
use http::{HeaderMap, Method};
use parking_lot::Mutex;

use crate::app::App;
use crate::auth::{Attributes, Decision};
use crate::error::{Error, Result};
use crate::negotiate::Form;
use crate::query::Query;

/// How many warnings go with an answer; kube-apiserver limits them too, by their length.
const WARNINGS: usize = 100;

/// A request whose URL names a kind, whose user is known and may do it.
pub(crate) struct Call {
    /// The server.
    pub(crate) app: Arc<App>,
    /// Who asks.
    pub(crate) user: Arc<UserInfo>,
    /// The kind that the URL names.
    pub(crate) kind: &'static dyn Kind,
    /// The namespace in the URL, or empty.
    pub(crate) namespace: String,
    /// The name in the URL, or empty.
    pub(crate) name: String,
    /// The subresource in the URL, or empty.
    pub(crate) subresource: String,
    /// The HTTP method.
    pub(crate) method: Method,
    /// The parameters.
    pub(crate) query: Query,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The form of the answer.
    pub(crate) form: Form,
    /// What the user is told besides the answer.
    pub(crate) warnings: Mutex<Vec<String>>,
}

impl Call {
    /// What the kind is called.
    pub(crate) fn resource(&self) -> &'static Resource {
        self.kind.resource()
    }

    /// A header's text, empty if it is absent.
    pub(crate) fn header(&self, name: http::HeaderName) -> &str {
        let value = self.headers.get(name);
        value.and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// Tells the user something besides the answer.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let mut warnings = self.warnings.lock();
        let text = text.into();
        if warnings.len() < WARNINGS && !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Who owns the fields that this request sets: `fieldManager`, or else the client's name.
    pub(crate) fn manager(&self, given: &str) -> String {
        if !given.is_empty() {
            return given.to_owned();
        }
        let agent = self.header(http::header::USER_AGENT);
        let name = agent.split('/').next().unwrap_or_default();
        match name {
            "" => "unknown",
            name => name,
        }
        .chars()
        .filter(|c| !c.is_control())
        .take(128)
        .collect()
    }

    /// Asks whether the user may do something else, such as create what this request would create.
    pub(crate) fn authorize(&self, verb: &str, name: &str) -> Result<()> {
        let resource = self.resource();
        let attributes = Attributes {
            user: &self.user,
            verb,
            group: resource.group,
            resource: resource.plural,
            subresource: &self.subresource,
            namespace: &self.namespace,
            name,
            field_selector: self.query.text("fieldSelector"),
            path: "",
        };
        match self.app.authorizer.authorize(&attributes) {
            Decision::Allow => Ok(()),
            Decision::Deny(why) => Err(Error::unauthorized_for(
                resource.group,
                resource.plural,
                name,
                &why,
            )),
        }
    }
}
