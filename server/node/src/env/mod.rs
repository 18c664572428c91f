//! The environment of a container, with every reference to other objects resolved.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod};

use crate::objects::{ObjectError, Objects};
use crate::pod::spec;

mod expand;
pub(crate) mod field;
pub(crate) mod resource;

pub(crate) use expand::expand;

/// Why an environment can't be made: the message of `CreateContainerConfigError`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvError {
    /// A ConfigMap or Secret is not there, or can't be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A ConfigMap or Secret has no such key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    Key {
        key: String,
        kind: &'static str,
        namespace: String,
        name: String,
    },
    /// A field or resource of the pod that is not offered.
    #[error("{0}")]
    Reference(String),
}

/// What a container's environment is made from besides its specification.
pub(crate) struct Context<'a> {
    pub(crate) pod: &'a Pod,
    /// The pod's addresses.
    pub(crate) addresses: &'a [IpAddr],
    /// The node's address.
    pub(crate) node: IpAddr,
    /// What the node can give: for limits that are not set.
    pub(crate) allocatable: resource::Allocatable,
    /// Variables that the node gives to all containers: how to reach the API server.
    pub(crate) services: &'a [(String, String)],
}

/// The environment of `container`: what it declares, in that order, after what it imports.
///
/// A declared value sees the imported ones and those declared before it as `$(NAME)`.
pub(crate) async fn make(
    context: &Context<'_>,
    container: &Container,
    objects: &Objects,
) -> Result<Vec<(String, String)>, EnvError> {
    let mut variables = Variables::default();
    import(context.pod, container, objects, &mut variables).await?;
    let services: BTreeMap<&str, &str> = context
        .services
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    for variable in container.env.iter().flatten() {
        let lookup = |name: &str| {
            let own = variables.get(name);
            own.or_else(|| services.get(name).copied())
                .map(str::to_owned)
        };
        let value = value(context, container, variable, objects, lookup).await?;
        if let Some(value) = value {
            variables.set(&variable.name, value);
        }
    }
    for (name, value) in &services {
        if variables.get(name).is_none() {
            variables.set(name, (*value).to_owned());
        }
    }
    Ok(variables.0)
}

/// Variables in the order in which they were first set.
#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

/// `envFrom`: whole ConfigMaps and Secrets.
async fn import(
    pod: &Pod,
    container: &Container,
    objects: &Objects,
    variables: &mut Variables,
) -> Result<(), EnvError> {
    let namespace = spec::namespace(pod);
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &source.config_map_ref {
            let map = objects.config_map(namespace, &reference.name).await;
            if let Some(map) = unless_optional(map, reference.optional)? {
                for (key, value) in map.data.iter().flatten() {
                    variables.set(&format!("{prefix}{key}"), value.clone());
                }
            }
        }
        if let Some(reference) = &source.secret_ref {
            let secret = objects.secret(namespace, &reference.name).await;
            if let Some(secret) = unless_optional(secret, reference.optional)? {
                for (key, value) in secret.data.iter().flatten() {
                    let text = String::from_utf8_lossy(&value.0).into_owned();
                    variables.set(&format!("{prefix}{key}"), text);
                }
            }
        }
    }
    Ok(())
}

/// An object that need not be there is `None` when it is not.
fn unless_optional<T>(
    found: Result<T, ObjectError>,
    optional: Option<bool>,
) -> Result<Option<T>, ObjectError> {
    match found {
        Ok(object) => Ok(Some(object)),
        Err(ObjectError::NotFound { .. }) if optional == Some(true) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The value of one declared variable; `None` leaves it out.
async fn value(
    context: &Context<'_>,
    container: &Container,
    variable: &EnvVar,
    objects: &Objects,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, EnvError> {
    if let Some(text) = variable.value.as_deref().filter(|text| !text.is_empty()) {
        return Ok(Some(expand(text, lookup)));
    }
    let Some(source) = &variable.value_from else {
        return Ok(Some(String::new()));
    };
    if let Some(reference) = &source.field_ref {
        let addresses = field::Addresses {
            pod: context.addresses,
            node: context.node,
        };
        let value = field::value(context.pod, &reference.field_path, Some(&addresses));
        return value.map(Some).map_err(EnvError::Reference);
    }
    if let Some(reference) = &source.resource_field_ref {
        let value = resource::value(context.pod, container, reference, &context.allocatable);
        return value.map(Some).map_err(EnvError::Reference);
    }
    of_object(context.pod, source, objects).await
}

/// The value of a key of a ConfigMap or Secret.
async fn of_object(
    pod: &Pod,
    source: &EnvVarSource,
    objects: &Objects,
) -> Result<Option<String>, EnvError> {
    let namespace = spec::namespace(pod);
    let missing = |kind, name: &str, key: &str, optional| match optional {
        Some(true) => Ok(None),
        _ => Err(EnvError::Key {
            key: key.to_owned(),
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }),
    };
    if let Some(selector) = &source.config_map_key_ref {
        let map = objects.config_map(namespace, &selector.name).await;
        let Some(map) = unless_optional(map, selector.optional)? else {
            return Ok(None);
        };
        return match map.data.as_ref().and_then(|data| data.get(&selector.key)) {
            Some(value) => Ok(Some(value.clone())),
            None => missing(
                "ConfigMap",
                &selector.name,
                &selector.key,
                selector.optional,
            ),
        };
    }
    if let Some(selector) = &source.secret_key_ref {
        let secret = objects.secret(namespace, &selector.name).await;
        let Some(secret) = unless_optional(secret, selector.optional)? else {
            return Ok(None);
        };
        let value = secret
            .data
            .as_ref()
            .and_then(|data| data.get(&selector.key));
        return match value {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            None => missing("Secret", &selector.name, &selector.key, selector.optional),
        };
    }
    Ok(Some(String::new()))
}
