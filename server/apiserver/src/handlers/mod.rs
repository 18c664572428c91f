//! The requests for objects: one file a verb.

mod answer;
mod apply;
mod create;
mod delete;
mod deletecollection;
mod get;
mod list;
mod patch;
mod update;
mod watch;
pub(crate) mod write;

pub(crate) use apply::apply;
pub(crate) use create::{check_namespace, create};
pub(crate) use delete::{delete, remove};
pub(crate) use deletecollection::deletecollection;
pub(crate) use get::get;
pub(crate) use list::list;
pub(crate) use patch::{patch, patched};
pub(crate) use update::{check_name, update};
pub(crate) use watch::watch;
