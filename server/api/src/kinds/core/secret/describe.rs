//! The description of a Secret: what it holds and how much of it, never the bytes.

use serde_json::Value;

use crate::kinds::description::Description;
use crate::kinds::payload;
use crate::kinds::read::{entries, text};

pub(super) fn describe(secret: &Value) -> String {
    let kind = text(secret, "type");
    let mut out = Description::default();
    out.identity(secret);
    out.put("\n");
    out.field(0, "Type", kind);
    out.put("\nData\n====\n");
    for (key, value) in entries(secret, "data") {
        // Tokens are shown: people look for them here.
        if key == "token" && kind == "kubernetes.io/service-account-token" {
            out.field(0, key, String::from_utf8_lossy(&payload::bytes(value)));
        } else {
            out.field(0, key, format!("{} bytes", payload::size(value)));
        }
    }
    out.finish()
}
