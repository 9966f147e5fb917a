//! The start: picking up what an earlier process left.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::admission::Admission;
use super::core::{Core, WHOLE_INSTANCE};
use super::crons::Timetable;
use super::message::Message;
use super::{CronOptions, GuestRunner, Recovered, WorkflowDefinition};
use crate::clock::Clock;
use crate::engine::{Entry, InstanceStatus};
use crate::storage::{Storage, StorageError, Unfinished};

impl<S: Storage> Core<S> {
    /// The state as the storage has it: timers for those that wait, the rest is to be started.
    pub(super) fn recover(
        mut storage: S,
        clock: Arc<dyn Clock>,
        runner: Arc<dyn GuestRunner>,
        (workflows, account_limit, crons): (Vec<WorkflowDefinition>, usize, CronOptions),
        (sender, has_reader): (mpsc::UnboundedSender<Message>, bool),
    ) -> Result<(Self, Recovered), StorageError> {
        let next_key = storage.last_key()? + 1;
        let unfinished = storage.unfinished()?;
        let next_expiry = storage.next_expiry()?;
        let boundaries = storage.boundaries()?;
        let mut core = Self {
            storage,
            clock,
            runner,
            definitions: HashMap::new(),
            sender,
            committing: Arc::default(),
            has_reader,
            residents: HashMap::new(),
            ids: HashMap::new(),
            timers: BTreeSet::new(),
            admission: Admission::new(account_limit),
            dirty: Vec::new(),
            urgent: false,
            replies: Vec::new(),
            starts: VecDeque::new(),
            wanted: HashMap::new(),
            deletes: BTreeSet::new(),
            chunks: Vec::new(),
            subscribers: HashMap::new(),
            next_expiry,
            expiry_changed: false,
            still_asked: Vec::new(),
            wakes: super::still::Wakes::new(),
            napping: Vec::new(),
            leaving: Vec::new(),
            crons: Timetable::new(crons.catch_up, crons.fires),
            triggers: crons.triggers,
            cron_runner: crons.runner,
            busy: 0,
            parked: 0,
            next_key,
            next_run: 1,
            stopping: None,
            scripts: None,
            tell_made: false,
        };
        for workflow in workflows {
            core.define(workflow);
        }
        let mut recovered = Recovered { missed: core.set_timetable(&boundaries), ..Recovered::default() };
        // Those that were running before those that had not begun: woken instances go before new ones.
        let (queued, begun): (Vec<_>, Vec<_>) =
            unfinished.into_iter().partition(|row| row.status == InstanceStatus::Queued && !row.begun);
        for row in begun.into_iter().chain(queued) {
            if !core.definitions.contains_key(row.workflow.as_str()) {
                recovered.orphaned += 1;
                continue;
            }
            recovered.unfinished += 1;
            let sleeps = matches!(row.status, InstanceStatus::Waiting | InstanceStatus::RollingBack);
            if let Some(wake_at) = row.wake_at.filter(|_| sleeps) {
                recovered.next_wake = Some(recovered.next_wake.map_or(wake_at, |next| next.min(wake_at)));
            }
            core.pick_up(row);
        }
        Ok((core, recovered))
    }

    /// Has an instance go on that is as its row says: a timer for one that waits, a run for one that has something to do.
    pub(super) fn pick_up(&mut self, row: Unfinished) {
        match (row.status, row.wake_at) {
            (InstanceStatus::Waiting | InstanceStatus::RollingBack, Some(wake_at)) => {
                self.timers.insert((wake_at, row.key, WHOLE_INSTANCE));
            }
            // The bodies it waited for have ended with their process.
            (InstanceStatus::WaitingForPause, _) => {
                self.load(row.key);
                let now = self.clock.now();
                self.take_entry(row.key, Entry::Paused, now);
                self.leaving.push(row.key);
            }
            (
                InstanceStatus::Queued
                | InstanceStatus::Running
                | InstanceStatus::Waiting
                | InstanceStatus::RollingBack,
                _,
            ) => {
                let woken = row.status != InstanceStatus::Queued || row.begun;
                if woken {
                    // What came due while nothing ran is recorded before its code goes on: else a body would begin beside a wait that is over.
                    self.timers.insert((self.clock.now(), row.key, WHOLE_INSTANCE));
                }
                let shows = matches!(row.status, InstanceStatus::Running | InstanceStatus::Waiting);
                if !self.want(row.key, row.workflow, woken) && shows && self.load(row.key).is_some() {
                    // There are fewer slots than there were.
                    let now = self.clock.now();
                    self.take_entry(row.key, Entry::Queued, now);
                    self.leaving.push(row.key);
                }
            }
            _ => {}
        }
    }
}
