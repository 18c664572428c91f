//! A process that is killed while it writes: what it was told is written, is there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use store::redb::{Options, Redb};
use store::{Durability, Store as _};

use crate::{copy, open, put, value, write};

/// Tells the child, which is this same test program, where to write, and after how many milliseconds
/// checkpoints are due.
const DIRECTORY: &str = "STORE_CRASH_TEST_DIRECTORY";
const DELAY: &str = "STORE_CRASH_TEST_DELAY";
const WRITERS: usize = 8;
const KILLS: usize = 12;

/// Not a test of its own: it writes for ever, and says each acknowledged write on stderr.
#[test]
fn writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIRECTORY) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let delay = std::env::var(DELAY).unwrap().parse().unwrap();
        let options = Options {
            checkpoint_delay: Duration::from_millis(delay),
            ..Options::default()
        };
        let store = Arc::new(Redb::open(Path::new(&dir), options).unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                let key = format!("writer-{writer}");
                let start = value(&store, &key).await.map_or(0, |v| v.parse().unwrap());
                for n in start + 1_u64.. {
                    let lease = put("lease", &n.to_string(), Durability::Relaxed);
                    store.commit(lease).await.unwrap();
                    let revision = write(&store, &key, &n.to_string()).await.unwrap();
                    // One write call, so that a kill cuts no line in two.
                    let line = format!("{writer} {n} {revision}\n");
                    std::io::stderr().write_all(line.as_bytes()).unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
}

fn start(dir: &Path, delay: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::writes_until_it_is_killed", "--nocapture"])
        .env(DIRECTORY, dir)
        .env(DELAY, delay.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_kill_loses_nothing_acknowledged() {
    kill_again_and_again(300_000).await;
}

#[tokio::test]
async fn a_kill_among_checkpoints_loses_nothing_acknowledged() {
    kill_again_and_again(1).await;
}

/// Kills a child that writes, and looks for what it has acknowledged: every other time in a copy, so that
/// the next child finds what the last one left, and else what closing the store made of it.
async fn kill_again_and_again(checkpoint_delay: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = [0_u64; WRITERS];
    let mut newest = 0;
    let mut count = 0;
    for kill in 0..KILLS {
        let mut child = start(dir.path(), checkpoint_delay);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        for (seen, line) in lines.enumerate() {
            let line = line.unwrap();
            let mut numbers = line.split(' ').map(|n| n.parse::<u64>());
            let (Some(Ok(writer)), Some(Ok(n)), Some(Ok(revision))) =
                (numbers.next(), numbers.next(), numbers.next())
            else {
                panic!("the child said {line:?}");
            };
            acknowledged[writer as usize] = n;
            newest = newest.max(revision);
            count += 1;
            // After a while that differs each time; what it still says after that counts too.
            if seen == 20 + kill * 7 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();

        let copy = copy(dir.path());
        let store = match kill % 2 {
            0 => open(dir.path()),
            _ => open(copy.path()),
        };
        assert!(
            store.revision() >= newest,
            "a revision can be given out twice"
        );
        for (writer, n) in acknowledged.iter().enumerate() {
            let found = value(&store, &format!("writer-{writer}")).await;
            let found: u64 = found.map_or(0, |v| v.parse().unwrap());
            assert!(
                found == *n || found == n + 1,
                "writer {writer}: {n} was acknowledged, {found} is there"
            );
        }
        store.close().await.unwrap();
    }
    println!("{count} acknowledged writes, {KILLS} kills");
}
