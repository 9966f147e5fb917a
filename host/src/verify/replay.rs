//! Replays a recorded journal on other code and reports the first divergence.
//!
//! Recorded results are returned in recorded order and nothing else happens ([`Trial`]). The check is stricter than the one before a
//! reload: steps that ran alone must come in the recorded order, and an instance that had ended must end again in the same way.
//! **Guarantees.** No step body runs, no request is sent, no state changes. **Non-goals.** Building, printing.

use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::dispatcher::{CatchUp, CronOptions};
use miniflow_runtime::engine::Instance;
use miniflow_runtime::storage::{SqliteStorage, Storage as _, StorageError};
use miniflow_runtime::{
    Clock, Dispatcher, ErrorInfo, Fit, GuestRunner, InstanceStatus, Options, Run, StepKey, Trial, WorkflowDefinition,
};

use super::bundle::Bundle;
use crate::session::Connected;
use crate::wasm::Generation;

/// Result of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The code matches the record.
    Fits {
        /// Number of recorded steps.
        steps: usize,
        /// Warnings for the user.
        note: Option<String>,
    },
    /// The code diverges from the record.
    Diverges(Divergence),
    /// The replay could not be completed.
    Unchecked {
        /// Reason.
        why: String,
    },
    /// The code has no such workflow.
    NoWorkflow,
}

/// Point of divergence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Position of the expected step in the record, from 1. One more than the number of steps if the end of the run was expected.
    pub at: usize,
    /// Expected event of the record.
    pub expected: What,
    /// Actual event of the code.
    pub actual: What,
    /// Last step that both have before it.
    pub last_common: Option<StepKey>,
}

/// Observable event of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The run asks for a step.
    Step(StepKey),
    /// `run` returns.
    Ends,
    /// `run` fails.
    Fails(String),
}

/// Replays the journal of `bundle` on the code of `connected`.
///
/// # Errors
///
/// Fails if the runtime cannot be started.
pub async fn replay(bundle: &Bundle, connected: &Connected, clock: &Arc<dyn Clock>) -> Result<Finding, ReplayError> {
    let Some((definition, generation)) = code(bundle, connected) else { return Ok(Finding::NoWorkflow) };
    let failed = |error: &dyn std::error::Error| ReplayError(error.to_string());
    let journal = bundle.journal().map_err(|error| failed(&error))?;
    let ended = how_it_ended(&Instance::replay(journal.clone()));
    // // Streams that the guest reads come from this storage.
    let kept = keep(bundle, clock).map_err(|error| failed(&error))?;
    let mut trial = Trial::new(Arc::new(definition), &bundle.fixed(), journal, Arc::clone(clock));
    let fit = generation.try_out(&kept.handle(), &mut trial).await;
    kept.shutdown(Duration::ZERO).await;
    Ok(match fit {
        None => Finding::Unchecked { why: "the code computes for too long".to_owned() },
        Some(fit) => Seen {
            recorded: trial.recorded().map(|(key, alone)| (key.clone(), alone)).collect(),
            asked: trial.asked(),
            ended: trial.ended(),
            fit,
        }
        .judge(&ended),
    })
}

/// Error of a replay that could not start.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be replayed here: {0}")]
pub struct ReplayError(String);

/// Finds the Worker for the instance: by workflow name, else by class name. Code without a configuration gets
/// the recorded bindings.
fn code(bundle: &Bundle, connected: &Connected) -> Option<(WorkflowDefinition, Generation)> {
    let workflow = &bundle.workflow;
    let named = connected.definitions.iter().find(|definition| definition.name == workflow.name);
    let of_class =
        || connected.definitions.iter().find(|definition| Some(&definition.class_name) == workflow.class_name.as_ref());
    let mut definition = named.or_else(of_class)?.clone();
    let (member, bindings) = connected.members().find(|(member, _)| member.name() == definition.worker)?;
    definition.name.clone_from(&workflow.name);
    let bindings = match (&member.project.config, &bundle.config) {
        (None, Some(config)) => {
            definition.step_limit = workflow.step_limit.unwrap_or(definition.step_limit);
            config.bindings(bindings)
        }
        _ => bindings.clone(),
    };
    let generation = member.generation().configured(bindings, member.cpu_max());
    Some((definition, generation))
}

/// Starts a dispatcher without workflows: it only serves reads of its storage.
fn keep(bundle: &Bundle, clock: &Arc<dyn Clock>) -> Result<Dispatcher, StorageError> {
    struct Nobody;
    impl GuestRunner for Nobody {
        fn start(&self, _run: Arc<Run>) {}
    }
    let mut storage = SqliteStorage::in_memory()?;
    storage.commit(&bundle.writes())?;
    Dispatcher::start(Options {
        storage,
        reader: None,
        clock: Arc::clone(clock),
        runner: Arc::new(Nobody),
        workflows: Vec::new(),
        account_concurrency: 1,
        crons: CronOptions { triggers: Vec::new(), runner: None, catch_up: CatchUp::None, fires: false },
    })
}

/// Returns how the instance ended. `None` if it has not ended or was terminated.
fn how_it_ended(instance: &Instance) -> Option<Option<ErrorInfo>> {
    match instance.status() {
        InstanceStatus::Complete => Some(None),
        InstanceStatus::Errored => Some(instance.error().cloned()),
        _ => None,
    }
}

/// Observations of the replay check.
struct Seen {
    recorded: Vec<(StepKey, bool)>,
    asked: Vec<StepKey>,
    ended: Option<Option<ErrorInfo>>,
    fit: Fit,
}

impl Seen {
    fn judge(&self, ended: &Option<Option<ErrorInfo>>) -> Finding {
        if let Some(divergence) = self.out_of_order() {
            return Finding::Diverges(divergence);
        }
        match &self.fit {
            Fit::Diverges { at, recorded, asked } => {
                let actual = asked.clone().map_or(What::Ends, What::Step);
                self.diverges(*at, What::Step(recorded.clone()), actual)
            }
            Fit::Again { steps } => {
                let (at, expected) = self.next_unasked();
                self.diverges(at, expected, steps.first().cloned().map_or(What::Ends, What::Step))
            }
            Fit::Fails { message } => match ended {
                Some(Some(error)) if error.to_string() == *message => self.fits(),
                Some(Some(error)) if self.is_through() => {
                    let note = format!("`run` fails with another error: {message}; recorded was: {error}");
                    Finding::Fits { steps: self.recorded.len(), note: Some(note) }
                }
                _ => {
                    let (at, expected) = match (self.next_unasked(), ended) {
                        ((at, What::Ends), None) => (at, What::Ends),
                        (next, _) => next,
                    };
                    self.diverges(at, expected, What::Fails(message.clone()))
                }
            },
            Fit::Blocked { by } => Finding::Unchecked { why: format!("the code {by}") },
            Fit::Compatible { unasked } if !unasked.is_empty() => {
                let note = "the code waits before it asks for all that is recorded".to_owned();
                Finding::Fits { steps: self.recorded.len(), note: Some(note) }
            }
            Fit::Compatible { .. } => self.at_the_end(ended),
        }
    }

    /// Compares the end of the run after every recorded step was asked for.
    fn at_the_end(&self, recorded: &Option<Option<ErrorInfo>>) -> Finding {
        let known = |key: &&StepKey| self.recorded.iter().any(|(recorded, _)| recorded == *key);
        let new = self.asked.iter().find(|key| !known(key));
        let expected = match recorded {
            None => return self.fits(),
            Some(None) => What::Ends,
            Some(Some(error)) => What::Fails(error.to_string()),
        };
        let at = self.recorded.len() + 1;
        match (&self.ended, new) {
            (Some(None), _) if expected == What::Ends => self.fits(),
            (Some(None), _) => self.diverges(at, expected, What::Ends),
            (_, Some(new)) => self.diverges(at, expected, What::Step(new.clone())),
            _ => Finding::Unchecked { why: "the code waits for something else than steps".to_owned() },
        }
    }

    fn fits(&self) -> Finding {
        Finding::Fits { steps: self.recorded.len(), note: None }
    }

    fn diverges(&self, at: usize, expected: What, actual: What) -> Finding {
        // // The common prefix of the two.
        let until = match &actual {
            What::Step(key) => self.asked.iter().position(|asked| asked == key).unwrap_or(self.asked.len()),
            _ => self.asked.len(),
        };
        let last_common = self.last_common(until);
        Finding::Diverges(Divergence { at, expected, actual, last_common })
    }

    fn last_common(&self, until: usize) -> Option<StepKey> {
        let known = |key: &&StepKey| self.recorded.iter().any(|(recorded, _)| recorded == *key);
        self.asked[..until].iter().rfind(known).cloned()
    }

    fn is_through(&self) -> bool {
        self.recorded.iter().all(|(key, _)| self.asked.contains(key))
    }

    fn next_unasked(&self) -> (usize, What) {
        let unasked = self.recorded.iter().position(|(key, _)| !self.asked.contains(key));
        match unasked {
            Some(index) => (index + 1, What::Step(self.recorded[index].0.clone())),
            None => (self.recorded.len() + 1, What::Ends),
        }
    }

    /// Compares the order of steps: a step that ran alone must come after all steps asked for before it, independent of timing.
    fn out_of_order(&self) -> Option<Divergence> {
        for (place, key) in self.asked.iter().enumerate() {
            let Some(index) = self.recorded.iter().position(|(recorded, _)| recorded == key) else { continue };
            let (_, alone) = self.recorded[index];
            let earlier =
                self.recorded[..index].iter().position(|(recorded, _)| !self.asked[..place].contains(recorded));
            // // A missing step is reported elsewhere, together with the step asked for instead.
            let earlier = earlier.filter(|earlier| alone && self.asked.contains(&self.recorded[*earlier].0));
            if let Some(earlier) = earlier {
                return Some(Divergence {
                    at: earlier + 1,
                    expected: What::Step(self.recorded[earlier].0.clone()),
                    actual: What::Step(key.clone()),
                    last_common: self.last_common(place),
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use miniflow_runtime::StepKind;

    use super::*;

    fn key(name: &str) -> StepKey {
        StepKey::new(StepKind::Do, name, 1)
    }

    /// Formats the steps. A step that ran beside the one before it starts with `+`.
    fn seen(recorded: &str, asked: &str, fit: Fit) -> Seen {
        let recorded =
            recorded.split_whitespace().map(|name| (key(name.trim_start_matches('+')), !name.starts_with('+')));
        Seen { recorded: recorded.collect(), asked: asked.split_whitespace().map(key).collect(), ended: None, fit }
    }

    fn compatible() -> Fit {
        Fit::Compatible { unasked: Vec::new() }
    }

    fn diverges(at: usize, expected: What, actual: What, last: Option<&str>) -> Finding {
        Finding::Diverges(Divergence { at, expected, actual, last_common: last.map(key) })
    }

    #[test]
    fn the_order_of_steps_that_stand_alone_is_part_of_the_record() {
        let fits = Finding::Fits { steps: 3, note: None };
        assert_eq!(seen("a b c", "a b c d", compatible()).judge(&None), fits);
        assert_eq!(
            seen("a b c", "a c b", compatible()).judge(&None),
            diverges(2, What::Step(key("b")), What::Step(key("c")), Some("a"))
        );
        assert_eq!(
            seen("a b c", "b a c", compatible()).judge(&None),
            diverges(1, What::Step(key("a")), What::Step(key("b")), None)
        );
        // // The order of two steps that were open together depends on timing.
        assert_eq!(seen("a +b +c", "a c b", compatible()).judge(&None), fits);
        assert_eq!(
            seen("a +b c", "a c b", compatible()).judge(&None),
            diverges(2, What::Step(key("b")), What::Step(key("c")), Some("a"))
        );
    }

    #[test]
    fn an_instance_that_has_ended_must_end_again() {
        let complete = Some(None);
        let ended = |ended| Seen { ended, ..seen("a b", "a b", compatible()) };
        assert_eq!(ended(Some(None)).judge(&complete), Finding::Fits { steps: 2, note: None });
        assert_eq!(
            seen("a b", "a b c", compatible()).judge(&complete),
            diverges(3, What::Ends, What::Step(key("c")), Some("b"))
        );
        let failed = Some(Some(ErrorInfo::new("Error", "broke")));
        assert_eq!(
            ended(Some(None)).judge(&failed),
            diverges(3, What::Fails("Error: broke".to_owned()), What::Ends, Some("b"))
        );
        let fails = |message: &str| seen("a b", "a b", Fit::Fails { message: message.to_owned() });
        assert_eq!(fails("Error: broke").judge(&failed), Finding::Fits { steps: 2, note: None });
        assert!(matches!(fails("Error: other").judge(&failed), Finding::Fits { note: Some(_), .. }));
        assert_eq!(
            fails("Error: broke").judge(&complete),
            diverges(3, What::Ends, What::Fails("Error: broke".to_owned()), Some("b"))
        );
    }

    #[test]
    fn what_is_asked_for_instead_is_told_with_the_step_before() {
        let fit = Fit::Diverges { at: 2, recorded: key("b"), asked: Some(key("x")) };
        let expected = diverges(2, What::Step(key("b")), What::Step(key("x")), Some("a"));
        assert_eq!(seen("a b", "a x", fit).judge(&None), expected);
        let fit = Fit::Diverges { at: 2, recorded: key("b"), asked: None };
        assert_eq!(seen("a b", "a", fit).judge(&None), diverges(2, What::Step(key("b")), What::Ends, Some("a")));
        let again = StepKey::new(StepKind::Do, "a", 2);
        let fit = Fit::Again { steps: vec![again.clone()] };
        let Finding::Diverges(found) = seen("a b", "a", fit).judge(&None) else { panic!("it fits") };
        assert_eq!((found.expected, found.actual), (What::Step(key("b")), What::Step(again)));
        let fit = Fit::Fails { message: "Error: no".to_owned() };
        assert_eq!(
            seen("a b", "a", fit).judge(&None),
            diverges(2, What::Step(key("b")), What::Fails("Error: no".to_owned()), Some("a"))
        );
        let fit = Fit::Blocked { by: "sends a request outside of a step" };
        assert!(matches!(seen("a b", "a", fit).judge(&None), Finding::Unchecked { .. }));
    }
}
