//! The channel protocols of Kubernetes over WebSocket: each message begins with the number of its channel.
//!
//! `v4.channel.k8s.io` and `v5.channel.k8s.io`; the latter lets the client close a channel with the message
//! 255, number (KEP-4006).

use bytes::Bytes;
use serde_json::json;

/// What a client may ask for, the best first.
pub(super) const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// The channels' numbers.
pub(super) const STDIN: u8 = 0;
pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
pub(super) const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Input for the command.
    Stdin(Bytes),
    /// The end of the input.
    CloseStdin,
    /// The terminal's columns and rows.
    Resize(u16, u16),
    /// Nothing that this side knows.
    Other,
}

/// The protocol to speak with a client that offers these, in its own order.
pub(super) fn choose(offered: &str) -> Option<&'static str> {
    let mut offered = offered.split(',').map(str::trim);
    offered.find_map(|name| PROTOCOLS.into_iter().find(|known| *known == name))
}

/// Reads a message.
pub(super) fn parse(message: Bytes) -> Message {
    match message.first() {
        Some(&STDIN) => Message::Stdin(message.slice(1..)),
        Some(&RESIZE) => resize(&message[1..]).unwrap_or(Message::Other),
        Some(&CLOSE) if message.get(1) == Some(&STDIN) => Message::CloseStdin,
        _ => Message::Other,
    }
}

fn resize(json: &[u8]) -> Option<Message> {
    let size: serde_json::Value = serde_json::from_slice(json).ok()?;
    let side = |name| u16::try_from(size.get(name)?.as_u64()?).ok();
    Some(Message::Resize(side("Width")?, side("Height")?))
}

/// A message of a channel.
pub(super) fn message(channel: u8, data: &[u8]) -> Bytes {
    let mut message = Vec::with_capacity(data.len() + 1);
    message.push(channel);
    message.extend_from_slice(data);
    message.into()
}

/// The last message on the error channel: how the command ended, as a `Status`.
pub(super) fn ended(exit: Result<i32, String>) -> String {
    let status = match exit {
        Ok(0) => json!({"metadata": {}, "status": "Success"}),
        Ok(code) => json!({
            "metadata": {},
            "status": "Failure",
            "message": format!(
                "command terminated with non-zero exit code: exit status {code}"
            ),
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(why) => json!({
            "metadata": {},
            "status": "Failure",
            "message": format!("Internal error occurred: error executing command in container: {why}"),
            "reason": "InternalError",
            "details": {"causes": [{
                "message": format!("error executing command in container: {why}"),
            }]},
            "code": 500,
        }),
    };
    status.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_first_known_protocol_is_chosen() {
        let offered = "v9.channel.k8s.io, v5.channel.k8s.io, v4.channel.k8s.io";
        assert_eq!(choose(offered), Some("v5.channel.k8s.io"));
        assert_eq!(choose("v4.channel.k8s.io"), Some("v4.channel.k8s.io"));
        assert_eq!(choose("channel.k8s.io"), None);
    }

    #[test]
    fn messages_are_told_apart_by_their_first_byte() {
        let read = |bytes: &[u8]| parse(Bytes::copy_from_slice(bytes));
        assert_eq!(read(b"\0hi"), Message::Stdin(Bytes::from_static(b"hi")));
        assert_eq!(read(b"\xff\0"), Message::CloseStdin);
        assert_eq!(
            read(b"\x04{\"Width\":80,\"Height\":24}"),
            Message::Resize(80, 24)
        );
        for other in [&b""[..], b"\x04{}", b"\x01x", b"\xff\x01"] {
            assert_eq!(read(other), Message::Other);
        }
    }

    #[test]
    fn an_exit_code_is_a_cause_of_the_final_status() {
        let status: serde_json::Value = serde_json::from_str(&ended(Ok(7))).expect("json");
        assert_eq!(status["reason"], "NonZeroExitCode");
        assert_eq!(status["details"]["causes"][0]["message"], "7");
        let status: serde_json::Value = serde_json::from_str(&ended(Ok(0))).expect("json");
        assert_eq!(status["status"], "Success");
    }
}
