//! One thread for a database: what waits for it is done in one transaction.
//!
//! Promises: work is done in the order it was handed in; whoever asked is answered after the commit; work that fails changes nothing, and
//! takes nothing of the work beside it with it. Never does: know what is in the database.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use miniflow_runtime::storage::{Durability, StorageError};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

/// Work that waits at most: who has more of it waits for room.
const WAITING_MAX: usize = 1024;

/// Work of one transaction: enough to share the price of a commit, few enough to answer the first soon.
const GROUP_MAX: usize = 256;

/// The database could not do what it was asked. Nothing of it was done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriterError {
    /// In SQLite's words.
    #[error("storage failed: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// The thread is gone: the server stops.
    #[error("storage is closed")]
    Closed,
}

impl From<rusqlite::Error> for WriterError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

/// The way to the thread. Cheap to clone; the thread ends with the last one, when everything is done.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::Sender<Box<dyn Job>>);

impl Writer {
    /// Starts the thread, which is called `name`.
    pub(crate) fn start(name: &str, connection: Connection) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || serve(connection, waiting))?;
        Ok(Self(jobs))
    }

    /// Does `work` and returns what came of it. Dropped, it is done all the same if it was handed in.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, WriterError> {
        self.ask_then(work, |_| ()).await
    }

    /// As [`ask`](Self::ask); after the commit, and before the answer, the thread calls `then`, which must not block.
    pub(crate) async fn ask_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, WriterError> {
        let (reply, answer) = oneshot::channel();
        let job = Question { work: Some(work), then, result: None, reply };
        self.0.send(Box::new(job)).await.map_err(|_| WriterError::Closed)?;
        answer.await.map_err(|_| WriterError::Closed)?
    }

    /// Has `work` done without waiting for it. False when too much waits already: it is not done then.
    pub(crate) fn tell(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static) -> bool {
        // Nobody waits for the answer.
        let job = Question { work: Some(work), then: |_: &()| (), result: None, reply: oneshot::channel().0 };
        self.0.try_send(Box::new(job)).is_ok()
    }
}

/// A database that is opened when it is needed, and its thread.
pub(crate) struct LateWriter {
    /// Of the thread.
    name: &'static str,
    /// None: it is in memory.
    directory: Option<PathBuf>,
    durability: Durability,
    open: Open,
    writer: OnceLock<Writer>,
}

/// How a database in this directory is opened.
type Open = fn(Option<&Path>, Durability) -> Result<Connection, StorageError>;

impl LateWriter {
    /// The database that `open` opens. Nothing can be asked of it before it is open.
    pub(crate) fn new(name: &'static str, directory: Option<&Path>, durability: Durability, open: Open) -> Self {
        Self { name, directory: directory.map(ToOwned::to_owned), durability, open, writer: OnceLock::new() }
    }

    /// Opens it, unless it is.
    ///
    /// # Errors
    ///
    /// When the file cannot be used.
    pub(crate) fn open(&self) -> Result<(), StorageError> {
        if self.writer.get().is_some() {
            return Ok(());
        }
        let connection = (self.open)(self.directory.as_deref(), self.durability)?;
        let unusable = |source| StorageError::Unusable { path: self.directory.clone().unwrap_or_default(), source };
        // A second one, made at the same time, has nothing to do and ends.
        let _ = self.writer.set(Writer::start(self.name, connection).map_err(unusable)?);
        Ok(())
    }

    /// The way to its thread.
    ///
    /// # Errors
    ///
    /// When it is not open.
    pub(crate) fn get(&self) -> Result<&Writer, WriterError> {
        self.writer.get().ok_or(WriterError::Closed)
    }
}

trait Job: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn fail(&mut self, error: WriterError);
    fn answer(self: Box<Self>);
}

struct Question<W, A, T> {
    work: Option<W>,
    then: A,
    result: Option<Result<T, WriterError>>,
    reply: oneshot::Sender<Result<T, WriterError>>,
}

impl<W, A, T> Job for Question<W, A, T>
where
    W: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    A: FnOnce(&T) + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.result = Some(Ok(work(connection)?));
        }
        Ok(())
    }

    fn fail(&mut self, error: WriterError) {
        self.result = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        let result = self.result.unwrap_or(Err(WriterError::Closed));
        if let Ok(value) = &result {
            (self.then)(value);
        }
        // Whoever asked may have gone.
        let _ = self.reply.send(result);
    }
}

fn serve(mut connection: Connection, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while waiting.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        if let Err(error) = commit(&mut connection, &mut group) {
            tracing::error!("a commit failed: {error}");
            let error = WriterError::from(error);
            group.iter_mut().for_each(|job| job.fail(error.clone()));
        }
        group.drain(..).for_each(Job::answer);
    }
}

fn commit(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    // Dropped without commit, as on any error below, it is rolled back; so is each savepoint.
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group {
        let savepoint = transaction.savepoint()?;
        match job.run(&savepoint) {
            Ok(()) => savepoint.commit()?,
            Err(error) => job.fail(error.into()),
        }
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(connection: &Connection) -> rusqlite::Result<u32> {
        connection.pragma_query_value(None, "user_version", |row| row.get(0))
    }

    fn count_up(connection: &Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "user_version", count(connection)? + 1)
    }

    #[tokio::test]
    async fn work_that_fails_leaves_nothing_and_takes_nothing_with_it() {
        let writer = Writer::start("test", Connection::open_in_memory().unwrap()).unwrap();
        let good = writer.ask(count_up);
        let bad = writer.ask(|connection| count_up(connection).and_then(|()| connection.execute_batch("no SQL")));
        let (good, bad) = futures::join!(good, bad);
        good.unwrap();
        assert!(bad.unwrap_err().to_string().starts_with("storage failed: "));
        assert_eq!(writer.ask(count).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_was_told_is_done_before_what_is_asked_later() {
        let writer = Writer::start("test", Connection::open_in_memory().unwrap()).unwrap();
        for _ in 0..10 {
            assert!(writer.tell(count_up));
        }
        assert_eq!(writer.ask(count).await.unwrap(), 10);
    }
}
