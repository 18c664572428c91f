//! The root CA publisher: every namespace has a config map with the certificate authority of the API
//! server, which pods mount.
//!
//! Watches namespaces and the config maps of that name.

pub(crate) mod plan;

use std::time::Duration;

use client::object;
use client::{Queue, queue};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;

use crate::Context;
use plan::{Action, Observed};

/// The name of the config map.
pub(crate) const NAME: &str = "kube-root-ca.crt";

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let views = &context.views;
    let keys = queue.clone();
    views.namespaces.handle(move |change| {
        keys.add(change.object().metadata.name.clone().unwrap_or_default());
    });
    let keys = queue.clone();
    views.root_cas.handle(move |change| {
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
        config_map: views.root_cas.get(&namespace, NAME).map(|c| (*c).clone()),
        root_ca: context.config.root_ca_pem.clone(),
    };
    let maps: Api<ConfigMap> = context.api(&namespace);
    let done = match plan::plan(&observed) {
        Action::Nothing => Ok(()),
        Action::Create(map) => {
            let created = maps.create(&PostParams::default(), &map).await;
            created.map(drop)
        }
        Action::Update(map) => {
            let mut new = observed.config_map.clone().unwrap_or_default();
            new.metadata
                .annotations
                .get_or_insert_default()
                .extend(map.metadata.annotations.unwrap_or_default());
            new.data = map.data;
            maps.replace(NAME, &PostParams::default(), &new)
                .await
                .map(drop)
        }
    };
    match done {
        Err(error)
            if !object::is_already_exists(&error)
                && !object::is_not_found(&error)
                && !object::is_namespace_terminating(&error) =>
        {
            Err(error)
        }
        _ => Ok(None),
    }
}
