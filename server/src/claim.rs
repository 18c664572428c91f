//! Whose a directory is: one ctld at a time, and one cluster a run directory.
//!
//! ```text
//! DIR/pid             locked while a ctld uses the directory; names its process for `ctld stop`
//! RUN-DIR/data-dir    the data directory of the cluster whose containers live here
//! ```
//!
//! Containers outlive the ctld that started them, and one that finds containers it does not know ends
//! them. So a run directory stays its cluster's until `ctld stop` has emptied it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

/// How long another process may take to let go of a directory.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why a directory can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("another ctld uses {0}; give this one a {1} of its own")]
    InUse(PathBuf, &'static str),
    #[error(
        "{run_dir} has the containers of the cluster in {owner}; give this one a --run-dir of its own, or end that one with `ctld stop --data-dir {owner} --run-dir {run_dir}`"
    )]
    Belongs { run_dir: PathBuf, owner: PathBuf },
    #[error("can't use {0}: {1}")]
    File(PathBuf, io::Error),
}

/// A directory that is this process's until this is dropped.
pub(crate) type Claim = Flock<File>;

/// Takes a data directory.
pub(crate) fn data_dir(directory: &Path) -> Result<Claim, Error> {
    lock(directory, "--data-dir")
}

/// Takes a run directory for the cluster, or the worker, that has this data directory.
pub(crate) fn run_dir(directory: &Path, data_dir: &Path) -> Result<Claim, Error> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::File(path, error)
    };
    fs::create_dir_all(directory).map_err(at(directory))?;
    let claim = lock(directory, "--run-dir")?;
    refuse(directory, data_dir, has_pods(directory))?;
    let data_dir = std::path::absolute(data_dir).map_err(at(data_dir))?;
    let owner = directory.join("data-dir");
    let text = data_dir.as_os_str().as_encoded_bytes();
    fs::write(&owner, text).map_err(at(&owner))?;
    Ok(claim)
}

/// Refuses a run directory in which another cluster has containers, or a living ctld.
pub(crate) fn belongs_to(directory: &Path, data_dir: &Path) -> Result<(), Error> {
    let in_use = has_pods(directory) || is_taken(directory);
    refuse(directory, data_dir, in_use)
}

fn refuse(directory: &Path, data_dir: &Path, in_use: bool) -> Result<(), Error> {
    let same = |owner: &Path| {
        let resolved = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
        matches!((resolved(owner), resolved(data_dir)), (Ok(a), Ok(b)) if a == b)
    };
    match owner(directory)? {
        Some(owner) if !same(&owner) && in_use => Err(Error::Belongs {
            run_dir: directory.to_owned(),
            owner,
        }),
        _ => Ok(()),
    }
}

/// Forgets whose a run directory was, after everything in it has ended.
pub(crate) fn release(directory: &Path) -> Result<(), Error> {
    for name in ["pid", "data-dir"] {
        let path = directory.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::File(path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The data directory whose containers a run directory has.
fn owner(directory: &Path) -> Result<Option<PathBuf>, Error> {
    let path = directory.join("data-dir");
    match fs::read_to_string(&path) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(PathBuf::from(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::File(path, error)),
    }
}

/// Whether a ctld lives here.
fn is_taken(directory: &Path) -> bool {
    let file = OpenOptions::new().write(true).open(directory.join("pid"));
    file.is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err())
}

fn has_pods(directory: &Path) -> bool {
    let entries = fs::read_dir(directory.join("pods"));
    entries.is_ok_and(|mut entries| entries.next().is_some())
}

/// Locks the directory's file. The lock goes with the process.
fn lock(directory: &Path, flag: &'static str) -> Result<Claim, Error> {
    let path = directory.join("pid");
    let in_way = |error| Error::File(path.clone(), error);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(in_way)?;
    // A process that was just being started when its parent was killed shares the lock until it
    // executes its program: that passes.
    let deadline = Instant::now() + PATIENCE;
    let mut unlocked = file;
    let mut lock = loop {
        match Flock::lock(unlocked, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => break lock,
            Err((file, _)) if Instant::now() < deadline => unlocked = file,
            Err(_) => return Err(Error::InUse(directory.to_owned(), flag)),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    lock.set_len(0)
        .and_then(|()| lock.write_all(std::process::id().to_string().as_bytes()))
        .map_err(in_way)?;
    Ok(lock)
}
