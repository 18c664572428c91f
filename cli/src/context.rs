//! What a run of a command shares: flags, configuration, the connection and what the server serves.

use std::cell::{OnceCell, RefCell};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::rc::Rc;

use crate::args::Global;
use crate::client::Client;
use crate::client::discovery::{self, Discovery, Resource};
use crate::client::kubeconfig::{Chosen, Config, Purpose};
use crate::error::{Error, Result};

/// Where a service account's files are in a pod.
const IN_CLUSTER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The run of a command. Everything is read when it is first needed.
pub(crate) struct Context {
    /// The flags of every command.
    pub(crate) global: Global,
    config: OnceCell<Config>,
    chosen: OnceCell<Chosen>,
    client: OnceCell<Client>,
    discovery: RefCell<Option<Rc<Discovery>>>,
}

impl Context {
    /// A run with these flags.
    pub(crate) fn new(global: Global) -> Self {
        Self {
            global,
            config: OnceCell::new(),
            chosen: OnceCell::new(),
            client: OnceCell::new(),
            discovery: RefCell::default(),
        }
    }

    /// The merged kubeconfig.
    pub(crate) fn config(&self) -> Result<&Config> {
        if self.config.get().is_none() {
            let _ = self.config.set(Config::load(&self.global)?);
        }
        self.config.get().ok_or_else(|| "no configuration".into())
    }

    /// What the kubeconfig, the flags and the surroundings choose.
    pub(crate) fn chosen(&self) -> Result<&Chosen> {
        self.choose(Purpose::Connection)
    }

    fn choose(&self, purpose: Purpose) -> Result<&Chosen> {
        if self.chosen.get().is_none() {
            let config = self.config()?;
            let mut chosen = config.choose(&self.global, purpose)?;
            if config.is_empty() && self.global.server.is_none() {
                in_cluster(&mut chosen);
            }
            let _ = self.chosen.set(chosen);
        }
        self.chosen.get().ok_or_else(|| "no configuration".into())
    }

    /// The connection.
    pub(crate) fn client(&self) -> Result<&Client> {
        if self.client.get().is_none() {
            let _ = self.client.set(Client::new(self.chosen()?, &self.global)?);
        }
        self.client.get().ok_or_else(|| "no connection".into())
    }

    /// The namespace of this run.
    pub(crate) fn namespace(&self) -> Result<String> {
        if let Some(namespace) = self.explicit_namespace() {
            return Ok(namespace);
        }
        let chosen = self.choose(Purpose::Namespace)?.namespace.clone();
        Ok(chosen.unwrap_or_else(|| "default".to_owned()))
    }

    /// The namespace that `-n` gives.
    pub(crate) fn explicit_namespace(&self) -> Option<String> {
        self.global.namespace.clone().filter(|n| !n.is_empty())
    }

    /// What the server serves, from the cache when that is young enough.
    pub(crate) async fn discovery(&self) -> Result<Rc<Discovery>> {
        if let Some(known) = self.discovery.borrow().as_ref() {
            return Ok(known.clone());
        }
        self.load_discovery(false).await
    }

    /// What the server serves, asked now.
    pub(crate) async fn fresh_discovery(&self) -> Result<Rc<Discovery>> {
        if let Some(known) = self.discovery.borrow().as_ref().filter(|d| d.fresh) {
            return Ok(known.clone());
        }
        self.load_discovery(true).await
    }

    async fn load_discovery(&self, fresh: bool) -> Result<Rc<Discovery>> {
        let client = self.client()?;
        let loaded = Rc::new(discovery::load(client, &self.cache_dir()?, fresh).await?);
        *self.discovery.borrow_mut() = Some(loaded.clone());
        Ok(loaded)
    }

    /// The folder of the discovery cache.
    pub(crate) fn cache_dir(&self) -> Result<PathBuf> {
        Ok(discovery::cache_dir(
            self.global.cache_dir.as_deref(),
            self.client()?,
        ))
    }

    /// The kind that a word means; asks the server again before giving up.
    pub(crate) async fn resource(&self, word: &str) -> Result<Resource> {
        if let Some(found) = self.discovery().await?.find(word) {
            return Ok(found.clone());
        }
        match self.fresh_discovery().await?.find(word) {
            Some(found) => Ok(found.clone()),
            None => Err(unknown(word)),
        }
    }

    /// The kind of an object; asks the server again before giving up.
    pub(crate) async fn resource_of(&self, object: &serde_json::Value) -> Result<Option<Resource>> {
        if let Some(found) = self.discovery().await?.of_object(object) {
            return Ok(Some(found.clone()));
        }
        Ok(self.fresh_discovery().await?.of_object(object).cloned())
    }
}

fn unknown(word: &str) -> Error {
    Error::Plain(match word.split_once('.') {
        Some((kind, group)) if !group.is_empty() => {
            format!("the server doesn't have a resource type {kind:?} in group {group:?}")
        }
        _ => format!("the server doesn't have a resource type {word:?}"),
    })
}

/// The configuration of a program that runs in a pod.
fn in_cluster(chosen: &mut Chosen) {
    let (Ok(host), Ok(port)) = (
        std::env::var("KUBERNETES_SERVICE_HOST"),
        std::env::var("KUBERNETES_SERVICE_PORT"),
    ) else {
        return;
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    chosen.cluster["server"] = format!("https://{host}:{port}").into();
    chosen.cluster["certificate-authority"] = format!("{IN_CLUSTER}/ca.crt").into();
    if chosen.user["token"].is_null() {
        chosen.user["tokenFile"] = format!("{IN_CLUSTER}/token").into();
    }
    let namespace = std::env::var("POD_NAMESPACE").ok();
    let namespace =
        namespace.or_else(|| std::fs::read_to_string(format!("{IN_CLUSTER}/namespace")).ok());
    chosen.namespace = namespace
        .map(|n| n.trim().to_owned())
        .filter(|n| !n.is_empty());
}

/// Writes to stdout.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a line to stdout.
pub(crate) fn line(text: &str) -> Result<()> {
    print(&format!("{text}\n"))
}

/// Writes a line to stderr.
pub(crate) fn note(text: &str) {
    // Nobody is left to hear of a broken stderr.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes a warning to stderr.
pub(crate) fn warn(text: &str) {
    let label = if std::io::stderr().is_terminal() {
        "\u{1b}[33;1mWarning:\u{1b}[0m"
    } else {
        "Warning:"
    };
    note(&format!("{label} {text}"));
}
