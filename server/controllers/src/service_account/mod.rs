//! The service account controller: every namespace has a service account named `default`.
//!
//! Watches namespaces and the service accounts of that name.

pub(crate) mod plan;

use std::time::Duration;

use client::object;
use client::{Queue, queue};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;

use crate::Context;
use plan::{Action, Observed};

/// The name of the service account of pods that name none.
pub(crate) const NAME: &str = "default";

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let views = &context.views;
    let keys = queue.clone();
    views.namespaces.handle(move |change| {
        keys.add(change.object().metadata.name.clone().unwrap_or_default());
    });
    let keys = queue.clone();
    views.default_accounts.handle(move |change| {
        keys.add(
            change
                .object()
                .metadata
                .namespace
                .clone()
                .unwrap_or_default(),
        );
    });
    queue::work(queue, 1, context.shutdown.clone(), |key| {
        sync(&context, key)
    })
    .await;
}

async fn sync(context: &Context, namespace: String) -> kube::Result<Option<Duration>> {
    let views = &context.views;
    let observed = Observed {
        namespace: views.namespaces.get("", &namespace).map(|n| (*n).clone()),
        exists: views.default_accounts.get(&namespace, NAME).is_some(),
    };
    match plan::plan(&observed) {
        Action::Nothing => {}
        Action::Create => {
            let accounts: Api<ServiceAccount> = context.api(&namespace);
            let account = ServiceAccount {
                metadata: ObjectMeta {
                    name: Some(NAME.to_owned()),
                    ..ObjectMeta::default()
                },
                ..ServiceAccount::default()
            };
            match accounts.create(&PostParams::default(), &account).await {
                Ok(_) => {}
                Err(error)
                    if object::is_already_exists(&error)
                        || object::is_namespace_terminating(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}
