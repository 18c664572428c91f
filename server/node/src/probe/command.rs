//! Running a command in a container to its end, for probes and hooks.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::Outcome;
use crate::runtime::{Error, ExecSpec, Pod};

/// What a command left in its pipes is read within this time after its end.
const LINGER: Duration = Duration::from_millis(100);
/// More output than this is not kept.
const LIMIT: usize = 10 * 1024;

/// How a command ended, and what it wrote to both outputs.
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) output: String,
}

/// Runs a command and waits for its end.
pub(crate) async fn run(pod: &dyn Pod, id: &str, command: Vec<String>) -> Result<Finished, Error> {
    let spec = ExecSpec {
        command,
        tty: false,
        stdin: false,
    };
    let session = pod.exec(id, spec).await?;
    let mut stdout = Collector::default();
    let mut stderr = Collector::default();
    let mut exit = session.exit;
    let code = {
        let streams = async {
            tokio::join!(
                stdout.read(Some(session.stdout)),
                stderr.read(session.stderr)
            );
        };
        let mut streams = std::pin::pin!(streams);
        // A child left behind may hold the streams open: the end of the command counts.
        tokio::select! {
            code = &mut exit => {
                let _ = tokio::time::timeout(LINGER, &mut streams).await;
                code
            }
            () = &mut streams => exit.await,
        }
    };
    let code = code.map_err(|_| Error::Exec("the command's end is unknown".to_owned()))??;
    let mut output = stdout.0;
    output.extend(stderr.0);
    output.truncate(LIMIT);
    Ok(Finished {
        code,
        output: String::from_utf8_lossy(&output).into_owned(),
    })
}

/// Collects what a stream gives, up to [`LIMIT`]; the rest is read and dropped.
#[derive(Default)]
struct Collector(Vec<u8>);

impl Collector {
    async fn read(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            let room = LIMIT.saturating_sub(self.0.len());
            self.0.extend_from_slice(&buffer[..count.min(room)]);
        }
    }
}

/// One attempt of an exec probe: exit code 0 is success.
pub(super) async fn probe(
    pod: &dyn Pod,
    id: &str,
    command: Vec<String>,
    timeout: Duration,
) -> Outcome {
    let line = command.join(" ");
    match tokio::time::timeout(timeout, run(pod, id, command)).await {
        Ok(Ok(finished)) if finished.code == 0 => Outcome::Success,
        Ok(Ok(finished)) => Outcome::Failure(finished.output),
        Ok(Err(error @ (Error::NotRunning(_) | Error::NoSuchContainer(_)))) => {
            Outcome::Error(error.to_string())
        }
        Ok(Err(error)) => Outcome::Failure(error.to_string()),
        Err(_) => Outcome::Failure(format!(
            "command timed out: \"{line}\" timed out after {}s",
            timeout.as_secs()
        )),
    }
}
