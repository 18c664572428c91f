//! `exec`: runs a command in a container, over a WebSocket in the remote-command protocol.
//!
//! Every message starts with a byte that says which stream it belongs to:
//!
//! | byte | stream | direction |
//! |---|---|---|
//! | 0 | stdin | out |
//! | 1, 2 | stdout, stderr | in |
//! | 3 | the outcome, a `Status` | in |
//! | 4 | the terminal's size, as JSON | out |
//! | 255 | with v5: the stream named by the next byte has ended | out |

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;

use clap::Args;
use futures::{SinkExt as _, StreamExt as _};
use jiff::SignedDuration;
use nix::sys::termios::{self, SetArg, Termios};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::args::{Files, Global};
use crate::client::Request;
use crate::context::{Context, note};
use crate::duration;
use crate::error::{Error, Result};
use crate::target::{Wanted, files, pods};

/// Execute a command in a container.
#[derive(Args, Clone, Debug)]
pub(crate) struct Exec {
    /// A pod, or a thing that has pods: x, deploy/web
    words: Vec<String>,
    /// The command, after --
    #[arg(last = true)]
    command: Vec<String>,
    /// The container
    #[arg(long, short = 'c')]
    container: Option<String>,
    #[command(flatten)]
    files: Files,
    /// How long to wait for a pod that runs
    #[arg(long, value_parser = duration::parse, default_value = "1m0s")]
    pod_running_timeout: SignedDuration,
    /// Only the output of the command
    #[arg(long, short = 'q')]
    quiet: bool,
    /// Pass stdin on
    #[arg(long, short = 'i')]
    stdin: bool,
    /// Stdin is a terminal
    #[arg(long, short = 't')]
    tty: bool,
}

const PROTOCOLS: &str = "v5.channel.k8s.io, v4.channel.k8s.io";

impl Exec {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        self.check()?;
        let mut words = self.words.clone();
        let elsewhere;
        let mut context = context;
        if words.is_empty() {
            let named = files::wanted(context, &self.files).await?;
            words.extend(named.first().map(Wanted::display));
            // The file says where it is.
            let namespace = named.first().map(|wanted| wanted.namespace.clone());
            elsewhere = Context::new(Global {
                namespace,
                ..context.global.clone()
            });
            context = &elsewhere;
        }
        let pod = pods::quietly_one(context, &words).await?;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if matches!(phase, "Succeeded" | "Failed") {
            return Err(format!(
                "cannot exec into a container in a completed pod; current phase is {phase}"
            )
            .into());
        }
        let container = pods::container(&pod, self.container.as_deref(), self.quiet)?;
        let mut tty = self.tty;
        if tty && !std::io::stdin().is_terminal() {
            note("Unable to use a TTY - input is not a terminal or the right kind of file");
            tty = false;
        }
        let mut request = Request::get(format!("{}/exec", pods::path(&pod)));
        for word in &self.command {
            request = request.query("command", word.as_str());
        }
        request = request
            .query("container", container)
            .query("stderr", if tty { "" } else { "true" });
        request = request
            .query("stdin", if self.stdin { "true" } else { "" })
            .query("stdout", "true")
            .query("tty", if tty { "true" } else { "" });
        let socket = context
            .client()?
            .websocket(&request, PROTOCOLS)
            .await
            .map_err(upgrade)?;
        let raw = if tty { Some(Raw::enter()?) } else { None };
        let outcome = converse(socket, self.stdin, tty).await;
        drop(raw);
        finish(&outcome?)
    }

    fn check(&self) -> Result<()> {
        let named = !self.words.is_empty() || !self.files.filename.is_empty();
        if self.words.len() > 1 && self.command.is_empty() {
            return Err("exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'ctl exec -h' for help and examples".into());
        }
        if !named {
            return Err("pod, type/name or --filename must be specified".into());
        }
        if self.pod_running_timeout <= SignedDuration::ZERO {
            return Err("--pod-running-timeout must be higher than zero\nSee 'ctl exec -h' for help and examples".into());
        }
        if self.command.is_empty() {
            return Err("you must specify at least one command for the container".into());
        }
        Ok(())
    }
}

/// A refusal of the upgrade, as kubectl words it.
fn upgrade(error: Error) -> Error {
    match &error {
        Error::Status { status, .. }
            if matches!(status["code"].as_u64(), Some(400 | 500))
                && status["reason"] != "NotFound" =>
        {
            Error::Plain(format!(
                "unable to upgrade connection: {}",
                crate::error::status_message(status)
            ))
        }
        _ => error,
    }
}

/// Copies in all directions until the outcome comes.
async fn converse(
    socket: crate::client::websocket::Socket,
    stdin: bool,
    tty: bool,
) -> Result<Value> {
    let closes = socket.protocol.starts_with("v5");
    let (mut send, mut receive) = socket.stream.split();
    let (outgoing, mut queue) = mpsc::channel::<Vec<u8>>(16);
    if stdin {
        read_stdin(outgoing.clone(), closes);
    }
    if tty {
        tokio::spawn(sizes(outgoing.clone()));
    }
    let mut open = true;
    loop {
        tokio::select! {
            message = queue.recv(), if open => match message {
                Some(message) => send.send(Message::Binary(message.into())).await.map_err(|e| e.to_string())?,
                None => open = false,
            },
            message = receive.next() => match message {
                Some(Ok(Message::Binary(data))) => {
                    if let Some(outcome) = take(&data)? {
                        return Ok(outcome);
                    }
                }
                Some(Ok(Message::Close(_))) | None => return Ok(Value::Null),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string().into()),
            },
        }
        // The last sender here would keep the queue open for ever.
        if !stdin && !tty {
            open = false;
        }
    }
}

/// Writes output, or gives the outcome.
fn take(data: &[u8]) -> Result<Option<Value>> {
    let Some((channel, data)) = data.split_first() else {
        return Ok(None);
    };
    match channel {
        1 => {
            let mut out = std::io::stdout().lock();
            out.write_all(data)?;
            out.flush()?;
        }
        2 => std::io::stderr().lock().write_all(data)?,
        3 => {
            return Ok(Some(
                serde_json::from_slice(data)
                    .map_err(|e| format!("error stream protocol error: {e}"))?,
            ));
        }
        _ => {}
    }
    Ok(None)
}

/// Reads stdin on a thread of its own: such a read can't be interrupted.
fn read_stdin(outgoing: mpsc::Sender<Vec<u8>>, closes: bool) {
    std::thread::spawn(move || {
        let mut buffer = [0u8; 32 * 1024];
        loop {
            match std::io::Read::read(&mut std::io::stdin(), &mut buffer) {
                Ok(count) if count > 0 => {
                    let mut message = vec![0];
                    message.extend_from_slice(&buffer[..count]);
                    if outgoing.blocking_send(message).is_err() {
                        return;
                    }
                }
                _ => break,
            }
        }
        if closes {
            // The other side may be gone already.
            let _ = outgoing.blocking_send(vec![255, 0]);
        }
    });
}

/// Sends the terminal's size, now and whenever it changes.
async fn sizes(outgoing: mpsc::Sender<Vec<u8>>) {
    let Ok(mut changes) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change())
    else {
        return;
    };
    loop {
        if let Some((width, height)) = console_size() {
            let mut message = vec![4];
            message.extend_from_slice(
                serde_json::json!({"Width": width, "Height": height})
                    .to_string()
                    .as_bytes(),
            );
            if outgoing.send(message).await.is_err() {
                return;
            }
        }
        if changes.recv().await.is_none() {
            return;
        }
    }
}

fn console_size() -> Option<(u16, u16)> {
    let (rows, columns) = dialoguer::console::Term::stdout().size_checked()?;
    Some((columns, rows))
}

/// The terminal in raw mode, put back when this is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(stdin.as_fd()).map_err(|e| e.to_string())?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw).map_err(|e| e.to_string())?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is no way to report that a terminal can't be reset.
        let _ = termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}

/// Turns the outcome into an exit code.
fn finish(outcome: &Value) -> Result<()> {
    if outcome.is_null() || outcome["status"] == "Success" {
        return Ok(());
    }
    if outcome["reason"] == "NonZeroExitCode" {
        let causes = outcome["details"]["causes"]
            .as_array()
            .into_iter()
            .flatten();
        let code = causes
            .filter(|c| c["reason"] == "ExitCode")
            .find_map(|c| c["message"].as_str()?.parse::<u8>().ok());
        let code = code.unwrap_or(1);
        note(&format!("command terminated with exit code {code}"));
        return Err(Error::Exit(code));
    }
    Err(format!(
        "Internal error occurred: {}",
        crate::error::status_message(outcome)
    )
    .replace(
        "Internal error occurred: Internal error occurred: ",
        "Internal error occurred: ",
    )
    .into())
}
