//! The description of a ServiceAccount.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Query;
use crate::kinds::description::{Description, events_about};
use crate::kinds::read::{items, text};

pub(super) fn related(account: &Value) -> Vec<Query> {
    let uid = text(&account["metadata"], "uid");
    vec![events_about(account, "ServiceAccount", uid)]
}

pub(super) fn describe(account: &Value, related: &[Vec<Value>], now: Timestamp) -> String {
    let mut out = Description::default();
    out.identity(account);
    let secrets = items(account, "imagePullSecrets").iter();
    let names: Vec<String> = secrets.map(|s| text(s, "name").to_owned()).collect();
    out.list("Image pull secrets", &names);
    out.events(related, now);
    out.finish()
}
