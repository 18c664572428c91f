//! Which kinds the server has.

use kube::core::ApiResource;
use kube::discovery::{Discovery, Scope, verbs};

/// A kind that the server stores.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) resource: ApiResource,
    pub(crate) namespaced: bool,
    /// Whether it can be watched; the garbage collector needs that.
    pub(crate) watchable: bool,
    /// Whether all objects of a namespace can be deleted with one request.
    pub(crate) deletes_collections: bool,
}

/// All kinds whose objects can be listed and deleted, each in its preferred version.
pub(crate) async fn kinds(client: &kube::Client) -> kube::Result<Vec<Kind>> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let mut kinds = Vec::new();
    for group in discovery.groups() {
        for (resource, able) in group.recommended_resources() {
            let supports = |verb| able.supports_operation(verb);
            if !supports(verbs::LIST) || !supports(verbs::DELETE) {
                continue;
            }
            kinds.push(Kind {
                namespaced: able.scope == Scope::Namespaced,
                watchable: supports(verbs::WATCH),
                deletes_collections: supports(verbs::DELETE_COLLECTION),
                resource,
            });
        }
    }
    Ok(kinds)
}
