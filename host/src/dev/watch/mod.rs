//! Noticing that sources have changed.
//!
//! What the system tells (`hints`) is only a hint to look: a thread waits until it has been quiet for a moment, looks at everything that is
//! watched (`tree`), and compares contents with what they were. So a touched file is no change, a file that an editor replaces by another
//! one is, and nothing is missed that the system does not tell or tells twice. Where the system tells nothing, it looks now and then.
//!
//! Promises: a change is told once, and never lost: it is there until it is taken. Never does: watch what is built (`ignored`), decide
//! what a change means.

mod hints;
mod ignored;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use miniflow_runtime::clock::Stopwatch;
use tokio::sync::{Notify, oneshot};

use self::hints::{Hints, Stage};
pub use self::tree::Watched;
pub(super) use self::tree::content;
use self::tree::{Snapshot, snapshot};

/// Without hints for this long, whoever writes is done.
const QUIET: Duration = Duration::from_millis(75);

/// And when the last hint says so itself: a save of several files is still one change.
const QUIET_WHEN_DONE: Duration = Duration::from_millis(20);

/// The same where no sources are watched, but single files: what a build elsewhere makes is one file.
const QUIET_WHEN_SINGLE: Duration = Duration::from_millis(5);

/// However long somebody goes on writing, after this time it is looked.
const BURST_MAX: Duration = Duration::from_secs(1);

/// How often it is looked when the system tells nothing.
const POLL: Duration = Duration::from_millis(700);

/// Watches until it is dropped.
pub struct Watch {
    orders: Sender<Order>,
    news: Arc<News>,
}

/// What was found and not taken yet.
#[derive(Default)]
struct News {
    paths: Mutex<BTreeSet<PathBuf>>,
    came: Notify,
}

/// What the thread is told.
enum Order {
    /// Something may have changed, perhaps at these paths; and how far whoever changes it is.
    Look(Vec<PathBuf>, Stage),
    /// Look now.
    Flush(oneshot::Sender<()>),
    /// Watch this from now on.
    Set(Watched, oneshot::Sender<()>),
    Stop,
}

impl Watch {
    /// Watches `watched`, as it is now. `polls` is told once, with the reason, when the system cannot tell of changes. Takes a few
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// When there can be no more threads.
    pub fn start(watched: Watched, polls: impl FnOnce(String) + Send + 'static) -> std::io::Result<Self> {
        let (orders, inbox) = channel();
        let of_system = orders.clone();
        let hints = Hints::of_system(move |paths, stage| {
            // The thread is gone when nothing is watched any more.
            let _ = of_system.send(Order::Look(paths, stage));
        });
        Self::with(watched, hints, polls, (orders, inbox))
    }

    fn with(
        watched: Watched,
        hints: Hints,
        polls: impl FnOnce(String) + Send + 'static,
        (orders, inbox): (Sender<Order>, Receiver<Order>),
    ) -> std::io::Result<Self> {
        let news = Arc::new(News::default());
        let mut watcher = Watcher {
            watched,
            hints,
            polls: Some(Box::new(polls)),
            known: Snapshot::default(),
            news: Arc::clone(&news),
        };
        watcher.known = watcher.look(&[]);
        std::thread::Builder::new().name("miniflow-watch".into()).spawn(move || watcher.run(&inbox))?;
        Ok(Self { orders, news })
    }

    /// Returns what has changed since it was asked last, as soon as something has. Cancel-safe.
    pub async fn changed(&self) -> BTreeSet<PathBuf> {
        loop {
            let came = self.news.came.notified();
            let paths = self.news.take();
            if !paths.is_empty() {
                return paths;
            }
            came.await;
        }
    }

    /// Returns what has changed up to now and was not asked for before, without waiting for quiet.
    pub async fn changed_by_now(&self) -> BTreeSet<PathBuf> {
        let (done, flushed) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).is_ok() {
            // An error means that the thread is gone.
            let _ = flushed.await;
        }
        self.news.take()
    }

    /// Watches `watched` from now on, as it is now. What changed before in what was watched is not lost.
    pub async fn set(&self, watched: Watched) {
        let (done, set) = oneshot::channel();
        if self.orders.send(Order::Set(watched, done)).is_ok() {
            // As above.
            let _ = set.await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Fails when the thread is gone already.
        let _ = self.orders.send(Order::Stop);
    }
}

impl News {
    fn take(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, paths: BTreeSet<PathBuf>) {
        if !paths.is_empty() {
            self.paths.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
            self.came.notify_one();
        }
    }
}

type Polls = Box<dyn FnOnce(String) + Send>;

/// The thread.
struct Watcher {
    watched: Watched,
    hints: Hints,
    polls: Option<Polls>,
    known: Snapshot,
    news: Arc<News>,
}

impl Watcher {
    fn run(mut self, inbox: &Receiver<Order>) {
        loop {
            let order = if self.hints.are_given() {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(POLL)
            };
            let mut dirty = Vec::new();
            let order = match order {
                Ok(Order::Look(paths, stage)) => {
                    dirty = paths;
                    self.wait_for_quiet(inbox, &mut dirty, stage)
                }
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Some(Order::Stop) = order {
                return;
            }
            let now = self.look(&dirty);
            self.news.add(self.known.differences(&now));
            self.known = now;
            match order {
                Some(Order::Set(watched, done)) => {
                    self.watched = watched;
                    self.known = self.look(&[]);
                    // The asker may have gone.
                    let _ = done.send(());
                }
                Some(Order::Flush(done)) => drop(done.send(())),
                _ => {}
            }
        }
    }

    /// Looks at everything; at what is `dirty` more closely. Afterwards the system tells of changes to what was found.
    fn look(&mut self, dirty: &[PathBuf]) -> Snapshot {
        let mut now = snapshot(&self.watched, &self.known, dirty);
        // What was made before the system was asked about its folder would be missed.
        while self.hints.follow(now.folders()) {
            now = snapshot(&self.watched, &now, dirty);
        }
        if let (Some(why), Some(polls)) = (self.hints.failure(), self.polls.take_if(|_| !self.hints.are_given())) {
            polls(why.to_owned());
        }
        now
    }

    /// Returns the order that ends the wait, if it is one.
    fn wait_for_quiet(&self, inbox: &Receiver<Order>, dirty: &mut Vec<PathBuf>, mut stage: Stage) -> Option<Order> {
        let since = Stopwatch::start();
        while since.elapsed() < BURST_MAX {
            let quiet = match stage {
                Stage::Begun => QUIET,
                Stage::Whole if self.watched.trees.is_empty() => QUIET_WHEN_SINGLE,
                Stage::Gone | Stage::Whole => QUIET_WHEN_DONE,
            };
            match inbox.recv_timeout(quiet) {
                Ok(Order::Look(paths, next)) => {
                    dirty.extend(paths);
                    stage = next;
                }
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => return Some(Order::Stop),
            }
        }
        None
    }
}
