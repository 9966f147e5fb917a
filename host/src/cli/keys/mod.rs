//! Keys that do something while a server runs.
//!
//! There are keys when standard input and standard error are a terminal and the log is for people. What a key does it does beside the server,
//! one after the other; the log goes on meanwhile.
//!
//! Promises: Ctrl-C and line output go on working; the terminal is left as it was, however the program ends. Never does: read anything when
//! there is no terminal, or when another program has it.

#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod unix {
    //! Elsewhere there are no keys.

    /// Never there.
    pub(in crate::cli) struct Keyboard;

    impl Keyboard {
        pub(in crate::cli) fn take() -> Option<Self> {
            None
        }

        pub(super) async fn pressed(&mut self) -> Option<u8> {
            None
        }
    }

    /// Nothing was changed.
    pub(in crate::cli) fn restore() {}
}

use std::sync::Arc;

use miniflow_runtime::dispatcher::CronState;
use miniflow_runtime::mover::Mover;
use miniflow_runtime::storage::{CronTarget, Filter, Order};
use miniflow_runtime::{ApiError, Clock as _, Handle, Schedule};
use tokio::sync::Notify;

pub(super) use self::unix::{Keyboard, restore};
use super::browser;
use crate::report::keys::{self as shown, Row};
use crate::report::log::Console;
use crate::report::{Style, terminal};
use crate::triggers::cron::Crons;

/// Instances that are listed, at most.
const ROWS_MAX: usize = 20;

/// Crons that can be chosen with one key.
const CHOICES_MAX: usize = 9;

/// What keys work with.
pub(super) struct Keys {
    pub(super) url: String,
    pub(super) console: Console,
    pub(super) crons: Crons,
    pub(super) instances: Handle,
    pub(super) mover: Mover,
    /// Told to build again.
    pub(super) rebuild: Vec<Arc<Notify>>,
    /// Told to stop.
    pub(super) quit: Arc<Notify>,
}

impl Keys {
    /// Returns whether keys make sense: there are people at both ends.
    pub(super) fn are_wanted(console: &Console) -> bool {
        use std::io::IsTerminal as _;
        !console.format().is_json() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Does what is pressed on `keyboard`, until that is gone.
    pub(super) async fn serve(self, mut keyboard: Keyboard) {
        self.say(shown::hint(self.style()));
        let mut choices: Vec<CronState> = Vec::new();
        while let Some(key) = keyboard.pressed().await {
            let chosen = match key {
                b'1'..=b'9' => choices.get(usize::from(key - b'1')).cloned(),
                _ => None,
            };
            choices.clear();
            match key {
                _ if chosen.is_some() => self.fire(chosen),
                b'b' => browser::open(&self.url),
                b'i' => self.list().await,
                b's' => choices = self.choose().await,
                b'n' => self.next().await,
                b'r' => self.rebuild.iter().for_each(|worker| worker.notify_one()),
                b'c' => self.say(terminal::CLEAR.to_owned()),
                b'q' => self.quit.notify_one(),
                b'?' | b'h' => self.say(shown::help(self.style())),
                b'\n' | b'\r' => self.say("\n".to_owned()),
                _ => {}
            }
        }
    }

    fn say(&self, text: String) {
        self.console.send(text);
    }

    fn style(&self) -> Style {
        self.console.format().style()
    }

    async fn list(&self) {
        let Ok((rows, counts)) = self.rows().await else { return };
        self.say(shown::instances(&rows, &counts));
    }

    /// The newest instances of all workflows, and how many there are of each status.
    async fn rows(&self) -> Result<(Vec<Row>, Vec<(&'static str, u64)>), ApiError> {
        let read = |archive: &mut dyn miniflow_runtime::storage::Archive| {
            let counted = archive.counts(None)?;
            let mut counts: Vec<(&'static str, u64)> = Vec::new();
            let mut workflows: Vec<String> = Vec::new();
            for count in counted {
                match counts.iter_mut().find(|(status, _)| *status == count.status.as_str()) {
                    Some((_, sum)) => *sum += count.instances,
                    None => counts.push((count.status.as_str(), count.instances)),
                }
                if !workflows.contains(&count.workflow) {
                    workflows.push(count.workflow);
                }
            }
            let mut rows = Vec::new();
            for workflow in workflows {
                let filter = Filter { workflow: workflow.clone(), ..Filter::default() };
                let listed = archive.list(&filter, Order::NewestFirst, None, 0, ROWS_MAX)?;
                rows.extend(listed.into_iter().map(|instance| (workflow.clone(), instance)));
            }
            rows.sort_by_key(|(_, instance)| std::cmp::Reverse(instance.place));
            rows.truncate(ROWS_MAX);
            Ok((rows, counts))
        };
        let (rows, counts) = self.instances.read(read).await?;
        let now = self.mover.clock().now();
        let row = |(workflow, instance): (String, miniflow_runtime::storage::Listed)| Row {
            name: format!("{workflow}/{}", instance.id),
            status: instance.status.as_str(),
            since: now.since(instance.modified),
        };
        Ok((rows.into_iter().map(row).collect(), counts))
    }

    /// Fires the only cron there is; or lists them, and returns those among which can be chosen.
    async fn choose(&self) -> Vec<CronState> {
        let mut crons = self.instances.crons().await.unwrap_or_default();
        if crons.len() == 1 {
            self.fire(crons.pop());
            return Vec::new();
        }
        crons.truncate(CHOICES_MAX);
        let names: Vec<_> = crons.iter().map(|state| (state.cron.as_str(), whose(&state.target))).collect();
        self.say(shown::crons(&names));
        crons
    }

    /// Fires a cron, as if its moment had come now.
    fn fire(&self, state: Option<CronState>) {
        let Some(CronState { target, cron, .. }) = state else { return };
        let (crons, cron, now) = (self.crons.clone(), cron.as_str().to_owned(), self.mover.clock().now());
        match target {
            CronTarget::Worker(worker) => {
                // It is told where it is called, and kept with what fires by itself.
                tokio::spawn(async move { crons.call(&worker, cron, now).await });
            }
            CronTarget::Workflow(workflow) => {
                let instances = self.instances.clone();
                tokio::spawn(async move {
                    let schedule = Schedule { cron: cron.clone(), scheduled_time: now };
                    match instances.create_scheduled(&workflow, schedule).await {
                        Ok(id) => drop(crons.made_by_hand(&workflow, &cron, now, id)),
                        Err(error) => {
                            tracing::warn!(
                                kind = "cron",
                                event = "refused",
                                cron,
                                "cron `{cron}` of {workflow}: {error}"
                            );
                        }
                    }
                });
            }
        }
    }

    async fn next(&self) {
        let moved = self.mover.next().await;
        self.say(match moved {
            Ok(moved) => shown::moved(&moved),
            Err(error) => format!("{error}\n"),
        });
    }
}

fn whose(target: &CronTarget) -> String {
    match target {
        CronTarget::Workflow(name) => format!("workflow {name}"),
        CronTarget::Worker(name) => format!("handler of {name}"),
    }
}
