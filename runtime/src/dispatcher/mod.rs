//! The one loop: decide, commit, act.
//!
//! One thread owns every instance's state, the timers and the writing connection. It takes what is in its inbox, lets the engine
//! decide, commits all of it as one group, and only then answers, starts and stops runs. So nobody ever sees an effect
//! whose fact could be lost, and many instances share a commit.
//!
//! Who waits for whom: guests wait for the dispatcher; it waits for nothing but the disk. Its inbox is unbounded, and bounded by
//! construction: a run has at most one question per open step, and callers of the API await their answers.
//!
//! An instance is in memory while a run is active, or for one command. Hibernated and finished ones are rows; a hibernated
//! one also is a timer. Every run after the first starts from the journal, whether after hibernation, a crash or a failed
//! commit: one path.

mod admission;
mod commit;
mod core;
mod crons;
mod handle;
pub(crate) mod message;
mod operations;
mod recover;
mod reload;
mod requests;
mod resident;
mod runs;
mod scripted;
mod still;
mod streams;
pub(crate) mod subscription;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use crons::{CatchUp, CronOptions, CronRunner, CronState, CronTrigger, Firing, Made, Missed};
pub use handle::{
    ApiError, BatchError, BatchResult, CreateOptions, DeleteResult, Handle, Overview, RestartFrom, StatusReport,
};
pub use message::InstanceKey;
pub(crate) use still::GoOn;
pub use still::Stillness;
pub use subscription::{SubscribeOptions, Subscription};

use crate::clock::{Clock, Timestamp};
use crate::cron::Cron;
use crate::engine::limits;
use crate::run::Run;
use crate::script::Scripts;
use crate::storage::{Reader, Retention, Storage, StorageError};

/// A workflow: its name, the class that implements it, what is configured for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowDefinition {
    /// Unique in the session.
    pub name: String,
    /// The class that has its `run`.
    pub class_name: String,
    /// The Worker that has the class.
    pub worker: String,
    /// `do` steps an instance may have.
    pub step_limit: u32,
    /// Bytes that may be kept of an instance: see [`crate::engine::Entry::bytes`].
    pub bytes_max: u64,
    /// Instances that may run at the same time; none: no limit of its own.
    pub concurrency: Option<usize>,
    /// How long its instances are kept, where their creation does not say it.
    pub retention: Retention,
    /// When instances of it are made by themselves.
    pub schedules: Vec<Cron>,
}

impl WorkflowDefinition {
    /// A workflow without limits of its own.
    pub fn new(name: impl Into<String>, class_name: impl Into<String>, worker: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            class_name: class_name.into(),
            worker: worker.into(),
            step_limit: limits::STEPS_DEFAULT,
            bytes_max: limits::INSTANCE_BYTES_MAX,
            concurrency: None,
            retention: Retention::default(),
            schedules: Vec::new(),
        }
    }

    /// Whether a run of this is one of `other` as well: the same code under the same limits.
    pub(crate) fn runs_as(&self, other: &Self) -> bool {
        (&self.class_name, &self.worker, self.step_limit) == (&other.class_name, &other.worker, other.step_limit)
    }
}

/// What a reload found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Runs that go on with the new code.
    pub moved: usize,
    /// Of these, runs whose bodies are finished on the old code first.
    pub finishing: usize,
    /// Instances whose workflow is there again.
    pub picked_up: usize,
    /// Instances whose workflow is not there any more. They are kept.
    pub orphaned: usize,
}

/// What runs guests: the port to whatever the workflows are made of.
pub trait GuestRunner: Send + Sync + 'static {
    /// Starts the code of `run.class_name()`. Must not block: it is called on the dispatcher's thread.
    ///
    /// The runner drives the guest with [`crate::run::drive`], and calls [`Run::ended`] before it drops a guest that was not stopped.
    fn start(&self, run: Arc<Run>);
}

/// What a dispatcher works with.
pub struct Options<S> {
    /// Where instances are kept.
    pub storage: S,
    /// For statuses of instances that are not in memory, beside the writer. None: the writer reads them.
    pub reader: Option<Reader>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The guests.
    pub runner: Arc<dyn GuestRunner>,
    /// What can be started.
    pub workflows: Vec<WorkflowDefinition>,
    /// Instances of all workflows together that may run at the same time: [`limits::CONCURRENCY_ACCOUNT_MAX`].
    pub account_concurrency: usize,
    /// What fires by itself.
    pub crons: CronOptions,
}

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Instances that go on.
    pub unfinished: usize,
    /// Instances whose workflow is not there any more. They are kept.
    pub orphaned: usize,
    /// When the next of them wakes by itself.
    pub next_wake: Option<Timestamp>,
    /// What should have fired while no process was there.
    pub missed: Vec<Missed>,
}

/// The thread.
pub struct Dispatcher {
    thread: Option<std::thread::JoinHandle<()>>,
    handle: Handle,
    recovered: Recovered,
}

impl Dispatcher {
    /// Starts the thread. Unfinished instances are picked up at once.
    ///
    /// # Errors
    /// When the storage cannot be read, or no thread can be had.
    pub fn start<S: Storage>(options: Options<S>) -> Result<Self, StorageError> {
        Self::start_scripted(options, None)
    }

    /// As [`Self::start`], with scripts for instances.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_scripted<S: Storage>(
        options: Options<S>,
        scripts: Option<Arc<Scripts>>,
    ) -> Result<Self, StorageError> {
        let (sender, inbox) = mpsc::unbounded_channel();
        let has_reader = options.reader.is_some();
        let reader = options.reader.map(handle::spawn_reader);
        let names = options.workflows.iter().map(|workflow| Arc::from(workflow.name.as_str())).collect();
        let handle = Handle::new(sender.clone(), reader, names);
        let (mut core, recovered) = core::Core::recover(
            options.storage,
            options.clock,
            options.runner,
            (options.workflows, options.account_concurrency, options.crons),
            (sender, has_reader),
        )?;
        core.scripts = scripts;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|source| StorageError::Unusable { path: "engine thread".into(), source })?;
        let thread = std::thread::Builder::new()
            .name("miniflow-engine".into())
            .spawn(move || runtime.block_on(core.run(inbox)))
            .map_err(|source| StorageError::Unusable { path: "engine thread".into(), source })?;
        Ok(Self { thread: Some(thread), handle, recovered })
    }

    /// A way to talk to it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What the start found.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// Stops: bodies that run may finish for at most `grace`, everything is committed, guests are dropped.
    pub async fn shutdown(mut self, grace: Duration) {
        self.handle.shutdown(grace).await;
        if let Some(thread) = self.thread.take() {
            // It has answered, so it is about to end.
            let _ = thread.join();
        }
    }
}
