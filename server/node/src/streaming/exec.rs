//! `/exec/NAMESPACE/POD/CONTAINER`: a command in a container, over a WebSocket.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Message as Frame, Role};

use super::channels::{self, Message};
use super::{Body, Directory, query, text};
use crate::runtime::{ExecSession, ExecSpec, Phase, Pod};

/// What a command may still write after its end, it has to write within this time.
const LINGER: Duration = Duration::from_secs(1);

/// Answers a request to run a command: namespace, pod, container.
pub(super) fn serve(
    directory: &Directory,
    (namespace, name, container): (&str, &str, &str),
    request: Request<Incoming>,
) -> Response<Body> {
    let spec = specification(request.uri().query().unwrap_or_default());
    if spec.command.is_empty() {
        return text(
            StatusCode::BAD_REQUEST,
            "you must specify at least 1 command\n",
        );
    }
    let Some(entry) = directory.find(namespace, name) else {
        return text(
            StatusCode::NOT_FOUND,
            format!("pod \"{name}\" does not exist\n"),
        );
    };
    let sandbox = entry.context.sandbox();
    let Some((sandbox, id)) = sandbox.and_then(|s| Some((s.clone(), running(&*s, container)?)))
    else {
        let message = format!("container not found (\"{container}\")\n");
        return text(StatusCode::NOT_FOUND, message);
    };
    let (key, protocol) = match handshake(&request) {
        Ok(accepted) => accepted,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    tokio::spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(upgraded) => {
                let stream = TokioIo::new(upgraded);
                let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
                run(socket, sandbox, &id, spec).await;
            }
            Err(error) => tracing::debug!(%error, "no upgrade"),
        }
    });
    switching(&key, protocol)
}

fn specification(query: &str) -> ExecSpec {
    let mut spec = ExecSpec::default();
    for (name, value) in query::pairs(query) {
        let yes = matches!(value.as_str(), "1" | "true");
        match name.as_str() {
            "command" => spec.command.push(value),
            "tty" => spec.tty = yes,
            "input" | "stdin" => spec.stdin = yes,
            _ => {}
        }
    }
    spec
}

/// The id of the container's running process.
fn running(sandbox: &dyn Pod, container: &str) -> Option<String> {
    let state = sandbox.state().borrow().clone();
    let mut runs = state.containers.iter();
    let run = runs.find(|c| c.name == container && matches!(c.phase, Phase::Running { .. }))?;
    Some(run.id.clone())
}

/// The client's key and the protocol to speak.
fn handshake(request: &Request<Incoming>) -> Result<(Vec<u8>, &'static str), &'static str> {
    let header = |name: &str| request.headers().get(name);
    let upgrade = header("upgrade").and_then(|value| value.to_str().ok());
    if !upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err("unable to upgrade: this server speaks WebSocket\n");
    }
    let key = header("sec-websocket-key").ok_or("the WebSocket key is missing\n")?;
    let offered = header("sec-websocket-protocol").and_then(|value| value.to_str().ok());
    let protocol = channels::choose(offered.unwrap_or_default());
    let protocol = protocol.ok_or("no offered WebSocket protocol is known\n")?;
    Ok((key.as_bytes().to_vec(), protocol))
}

fn switching(key: &[u8], protocol: &'static str) -> Response<Body> {
    let empty = http_body_util::Empty::<Bytes>::new().map_err(|never| match never {});
    let mut response = Response::new(empty.boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    let upgrade = http::HeaderValue::from_static("websocket");
    headers.insert("upgrade", upgrade);
    headers.insert("connection", http::HeaderValue::from_static("Upgrade"));
    let name = http::HeaderValue::from_static(protocol);
    headers.insert("sec-websocket-protocol", name);
    // The key is base64 of a digest.
    if let Ok(accept) = http::HeaderValue::from_str(&derive_accept_key(key)) {
        headers.insert("sec-websocket-accept", accept);
    }
    response
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Runs the command and carries its streams until it ends or the client goes.
async fn run(socket: Socket, sandbox: Arc<dyn Pod>, id: &str, spec: ExecSpec) {
    let (mut to_client, from_client) = socket.split();
    // Tells the client that the connection stands.
    let hello = Frame::Binary(channels::message(channels::STDOUT, b""));
    if to_client.send(hello).await.is_err() {
        return;
    }
    let (frames, mut outgoing) = mpsc::channel::<Frame>(16);
    let writing = async move {
        while let Some(frame) = outgoing.recv().await {
            if to_client.send(frame).await.is_err() {
                return;
            }
        }
        // The client may be gone already.
        let _ = to_client.close().await;
    };
    let carrying = async move {
        let exit = match sandbox.exec(id, spec).await {
            Ok(session) => carry(session, from_client, &frames).await,
            Err(error) => Some(Err(error.to_string())),
        };
        let Some(exit) = exit else { return };
        let status = channels::ended(exit);
        let last = channels::message(channels::ERROR, status.as_bytes());
        let bye = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        for frame in [Frame::Binary(last), Frame::Close(Some(bye))] {
            if frames.send(frame).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(writing, carrying);
}

/// Carries the streams; gives how the command ended, or `None` if the client went first.
async fn carry(
    session: ExecSession,
    from_client: impl futures::Stream<Item = Result<Frame, impl std::error::Error>> + Unpin,
    frames: &mpsc::Sender<Frame>,
) -> Option<Result<i32, String>> {
    let ExecSession {
        stdin,
        stdout,
        stderr,
        resize,
        mut exit,
    } = session;
    let output = async {
        let stderr = async {
            if let Some(stderr) = stderr {
                copy(stderr, channels::STDERR, frames).await;
            }
        };
        tokio::join!(copy(stdout, channels::STDOUT, frames), stderr);
    };
    let mut output = std::pin::pin!(output);
    let input = receive(from_client, stdin, &*resize, frames);
    let mut input = std::pin::pin!(input);
    let mut written = false;
    let ended = loop {
        tokio::select! {
            ended = &mut exit => break ended,
            () = &mut output, if !written => written = true,
            () = &mut input => return None,
        }
    };
    if !written {
        // A child of the command may keep its streams open.
        let _ = tokio::time::timeout(LINGER, &mut output).await;
    }
    Some(match ended {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the command's end is unknown".to_owned()),
    })
}

async fn copy(
    mut stream: Pin<Box<dyn AsyncRead + Send>>,
    channel: u8,
    frames: &mpsc::Sender<Frame>,
) {
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let frame = Frame::Binary(channels::message(channel, &buffer[..count]));
        if frames.send(frame).await.is_err() {
            return;
        }
    }
}

/// Takes in what the client says; returns when it has gone.
async fn receive(
    mut from_client: impl futures::Stream<Item = Result<Frame, impl std::error::Error>> + Unpin,
    mut stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    resize: &(dyn Fn(u16, u16) + Send + Sync),
    frames: &mpsc::Sender<Frame>,
) {
    while let Some(Ok(frame)) = from_client.next().await {
        let data = match frame {
            Frame::Binary(data) => data,
            Frame::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Frame::Ping(data) => {
                if frames.send(Frame::Pong(data)).await.is_err() {
                    return;
                }
                continue;
            }
            Frame::Close(_) => return,
            _ => continue,
        };
        match channels::parse(data) {
            Message::Stdin(data) => {
                let written = match &mut stdin {
                    Some(stdin) => stdin.write_all(&data).await,
                    None => Ok(()),
                };
                // A command that has closed its input does not want more.
                if written.is_err() {
                    stdin = None;
                }
            }
            Message::CloseStdin => {
                if let Some(mut stdin) = stdin.take() {
                    // The command may have closed it before.
                    let _ = stdin.shutdown().await;
                }
            }
            Message::Resize(columns, rows) => resize(columns, rows),
            Message::Other => {}
        }
    }
}
