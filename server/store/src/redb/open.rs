//! Opening the directory: whose it is, which format it has, and what a crash has left in the log.

use std::fs;
use std::io::{ErrorKind, Seek as _, Write as _};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _};

use super::file::{Faults, File};
use super::format::{
    CHANGES, FORMAT_NUMBER, STATE, State, VALUES, decode_changes, decode_value, set_state,
};
use super::log::{Log, Logged, Refused};
use super::stage::Commit;
use super::view::View;
use super::{OpenError, Options};
use crate::Event;
use crate::index::Version;

/// What `DIR/format` says.
const FORMAT: &str = "ctld-store 2";
/// The same without a log.
const FORMAT_BEFORE: &str = "ctld-store 1";

/// How long another process may take to let go of the lock.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// How the database is opened, again and again if need be.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    cache: usize,
    faults: Option<Arc<dyn Faults>>,
    /// `DIR/format`, open: that holds its lock.
    _lock: Arc<fs::File>,
}

/// A store that has been opened.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) log: Log,
    pub(super) view: View,
    pub(super) source: Source,
    pub(super) state: State,
}

impl Source {
    /// Opens the database for reading and writing.
    pub(super) fn open(&self) -> Result<Database, DatabaseError> {
        self.build(File::read_write(&self.path, self.faults.clone())?)
    }

    /// How long the file is, in bytes; 0 if that can't be told.
    pub(super) fn length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// Opens the database with what redb writes kept in memory.
    pub(super) fn open_read_only(&self) -> Result<Database, DatabaseError> {
        self.build(File::read_only(&self.path, self.faults.clone())?)
    }

    fn build(&self, file: File) -> Result<Database, DatabaseError> {
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache);
        builder.create_with_backend(file)
    }
}

/// The files of a store.
struct Files {
    dir: PathBuf,
    marker: PathBuf,
    database: PathBuf,
    log: PathBuf,
}

/// Opens the store in a directory.
pub(super) fn open(dir: &Path, options: &Options) -> Result<Opened, OpenError> {
    let files = Files {
        dir: dir.to_owned(),
        marker: dir.join("format"),
        database: dir.join("store.redb"),
        log: dir.join("log"),
    };
    fs::create_dir_all(dir).map_err(at(dir))?;
    let mut marker = files.lock()?;
    let found = fs::read_to_string(&files.marker).map_err(at(&files.marker))?;
    let found = found.trim_end();
    match (found, files.have_database()?) {
        // The marker is written last: without it, making the store was not finished.
        ("", _) => {
            files.create(options)?;
            files.mark(&mut marker)?;
        }
        (FORMAT | FORMAT_BEFORE, true) => {}
        (FORMAT | FORMAT_BEFORE, false) => {
            return Err(files.damaged(&files.database, "it is missing"));
        }
        (other, _) => {
            return Err(OpenError::Format {
                dir: dir.to_owned(),
                found: other.to_owned(),
                known: FORMAT.to_owned(),
            });
        }
    }
    let source = Source {
        path: files.database.clone(),
        cache: options.cache,
        faults: options.faults.clone(),
        _lock: Arc::new(marker.try_clone().map_err(at(&files.marker))?),
    };
    // Read first without writing to it: a damaged file stays as it is.
    let (state, mut view) = files.guard(|| load(&source.open_read_only()?))?;
    if found == FORMAT_BEFORE {
        files.create_log()?;
        files.mark(&mut marker)?;
    }
    let opened = Log::open(&files.log, state.revision, options.faults.clone());
    let (log, commits) = opened.map_err(|refused| match refused {
        Refused::Io(error) if error.kind() == ErrorKind::NotFound => {
            files.damaged(&files.log, "it is missing")
        }
        Refused::Io(error) => at(&files.log)(error),
        Refused::Damaged(problem) => files.damaged(&files.log, &problem),
    })?;
    let database = files.guard(|| {
        let database = source.open()?;
        recover(&database, &mut view, commits)?;
        Ok(database)
    })?;
    Ok(Opened {
        database,
        log,
        view,
        source,
        state,
    })
}

/// For `map_err`: an error of a file.
fn at(path: &Path) -> impl FnOnce(std::io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::File { path, source }
}

impl Files {
    fn damaged(&self, path: &Path, problem: &str) -> OpenError {
        OpenError::Damaged {
            path: path.to_owned(),
            dir: self.dir.clone(),
            problem: problem.to_owned(),
        }
    }

    /// Opens the marker and locks it.
    fn lock(&self) -> Result<fs::File, OpenError> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let marker = options.open(&self.marker).map_err(at(&self.marker))?;
        match lock_marker(&marker) {
            Ok(()) => Ok(marker),
            Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: self.marker.clone(),
            }),
            Err(fs::TryLockError::Error(error)) => Err(at(&self.marker)(error)),
        }
    }

    fn have_database(&self) -> Result<bool, OpenError> {
        match fs::metadata(&self.database) {
            Ok(metadata) if metadata.len() == 0 => Err(self.damaged(&self.database, "it is empty")),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(at(&self.database)(error)),
        }
    }

    /// Makes an empty store.
    fn create(&self, options: &Options) -> Result<(), OpenError> {
        let file = fs::File::create(&self.database);
        drop(file.map_err(at(&self.database))?);
        self.guard(|| {
            let file = File::read_write(&self.database, options.faults.clone())?;
            let database = Database::builder().create_with_backend(file)?;
            let transaction = database.begin_write()?;
            transaction.open_table(CHANGES)?;
            transaction.open_table(VALUES)?;
            set_state(&transaction, State::default())?;
            transaction.commit()?;
            Ok(database.close()?)
        })?;
        self.create_log()
    }

    /// Makes an empty log, in place of what an unfinished attempt has left.
    fn create_log(&self) -> Result<(), OpenError> {
        Log::create(&self.log).map_err(at(&self.log))?;
        self.sync_directory()
    }

    /// Says which format the directory has.
    fn mark(&self, marker: &mut fs::File) -> Result<(), OpenError> {
        let written = marker
            .rewind()
            .and_then(|()| marker.write_all(FORMAT.as_bytes()))
            .and_then(|()| marker.sync_all());
        written.map_err(at(&self.marker))?;
        self.sync_directory()
    }

    fn sync_directory(&self) -> Result<(), OpenError> {
        let synced = fs::File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(at(&self.dir))
    }

    /// Does something with the database. redb reports most damage as an error, and some by a panic (see
    /// `Database::open`).
    fn guard<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, OpenError> {
        match std::panic::catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(done)) => Ok(done),
            // redb tells of a file that is too short, or of another kind, as of an error of the disk.
            Ok(Err(redb::Error::Io(error)))
                if !matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::InvalidData
                ) =>
            {
                Err(at(&self.database)(error))
            }
            Ok(Err(error)) => Err(self.damaged(&self.database, &error.to_string())),
            Err(_) => Err(self.damaged(&self.database, "its pages contradict each other")),
        }
    }
}

/// Locks the marker. A lock that its owner has let go can live on for a moment in a process that the
/// owner was just starting: until that one executes its program, it shares the owner's files.
fn lock_marker(marker: &fs::File) -> Result<(), fs::TryLockError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match marker.try_lock() {
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            settled => return settled,
        }
    }
}

/// Reads the numbers, and rebuilds the index.
fn load(database: &Database) -> Result<(State, View), redb::Error> {
    let corrupted = |problem: String| redb::Error::Corrupted(problem);
    let transaction = database.begin_read()?;
    let row = transaction.open_table(STATE)?.get(())?;
    let row = row.ok_or_else(|| corrupted("it has no state".to_owned()))?;
    let (format, revision, reserved, compacted) = row.value();
    if format != FORMAT_NUMBER {
        return Err(corrupted(format!("it has the format {format}")));
    }
    let mut view = View {
        revision: reserved.max(revision),
        compacted,
        ..View::default()
    };
    for row in transaction.open_table(CHANGES)?.iter()? {
        let (revision, changes) = row?;
        let modified = revision.value();
        let decoded = decode_changes(changes.value()).ok_or_else(|| {
            corrupted(format!("the changes of revision {modified} can't be read"))
        })?;
        for change in decoded {
            let version = Version {
                modified,
                created: change.created,
                value: (!change.deleted).then_some(change.index),
            };
            view.index.add(change.key, version);
        }
    }
    let state = State {
        revision,
        reserved: view.revision,
        compacted,
    };
    Ok((state, view))
}

/// Shows the commits that the log has and the database does not.
fn recover(database: &Database, view: &mut View, commits: Vec<Logged>) -> Result<(), redb::Error> {
    let values = database.begin_read()?.open_table(VALUES)?;
    for Logged { revision, changes } in commits {
        let mut events = Vec::with_capacity(changes.len());
        let mut previous = Vec::with_capacity(changes.len());
        for (change, value) in changes {
            let before = match change.previous {
                Some(location) => match view.unwritten(location) {
                    Some(value) => Some(value),
                    // It may have been compacted since.
                    None => values.get(location)?.and_then(|b| decode_value(b.value())),
                },
                None => None,
            };
            events.push(Event {
                key: change.key,
                value,
                previous: before,
                revision,
                created: change.created,
            });
            previous.push(change.previous);
        }
        view.publish(&Arc::new(Commit {
            revision,
            batch: events.into(),
            previous,
        }));
    }
    Ok(())
}
