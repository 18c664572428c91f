//! Admission: plugins that change or refuse what is written, a file each, in one explicit order.

mod default_toleration_seconds;
mod escalation;
mod namespace_lifecycle;
mod node_restriction;
mod priority;
mod runtime_class;
mod service_account;
mod taint_nodes_by_condition;

use api::kind::{Part, Resource};
use async_trait::async_trait;
use serde_json::Value;

use crate::call::Call;
use crate::error::Result;

/// What is about to happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It comes into being.
    Create,
    /// It changes.
    Update,
    /// It goes.
    Delete,
}

/// A write that plugins look at.
pub(crate) struct Review<'a> {
    /// The request.
    pub(crate) call: &'a Call,
    /// What happens.
    pub(crate) operation: Operation,
    /// The part of the object that is written.
    pub(crate) part: Part,
    /// The object as it is stored, unless it is new.
    pub(crate) old: Option<&'a Value>,
}

impl Review<'_> {
    /// What the kind is called.
    pub(crate) fn resource(&self) -> &'static Resource {
        self.call.resource()
    }

    /// Whether it is about the kind itself, not a subresource.
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        let resource = self.resource();
        self.part == Part::Main && resource.group == group && resource.plural == plural
    }
}

/// Changes an object, or refuses it. For a deletion the object is the stored one, and what a plugin does
/// to it is lost.
#[async_trait]
pub(crate) trait Plugin: Send + Sync {
    /// Looks at a write.
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()>;
}

/// The plugins, in the order in which they run: those that change objects first.
pub(crate) struct Admission(Vec<Box<dyn Plugin>>);

impl Admission {
    /// Every plugin: a line a plugin.
    pub(crate) fn new() -> Self {
        Self(vec![
            Box::new(namespace_lifecycle::NamespaceLifecycle),
            Box::new(service_account::ServiceAccount),
            Box::new(taint_nodes_by_condition::TaintNodesByCondition),
            Box::new(priority::Priority),
            Box::new(runtime_class::RuntimeClass),
            Box::new(default_toleration_seconds::DefaultTolerationSeconds),
            Box::new(node_restriction::NodeRestriction),
            Box::new(escalation::Escalation),
        ])
    }

    /// Runs all of them.
    pub(crate) async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<()> {
        for plugin in &self.0 {
            plugin.admit(review, object).await?;
        }
        Ok(())
    }
}
