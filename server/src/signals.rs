//! SIGTERM and SIGINT ask for an orderly stop; a second one is not waited for.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first signal that asks the process to stop.
pub(crate) async fn stop_requested() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        eprintln!("stopping at once: a second signal arrived");
        std::process::exit(1);
    });
    Ok(())
}
