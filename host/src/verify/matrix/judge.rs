//! Compares the outcome of a killed run with the undisturbed runs.
//!
//! **Guarantees.** A value that differs between two undisturbed runs is never reported. The comparison is pure: no guest, no clock.

use std::collections::{BTreeMap, BTreeSet};

use miniflow_runtime::engine::{Instance, Outcome as StepOutcome, Stamped, StepState};
use miniflow_runtime::storage::{NewInstance, Summary};
use miniflow_runtime::{StepKey, StepKind};
use serde_json::{Value, json};

use super::Kill;
use super::life::{Commit, ID, is_own};
use crate::verify::world::{Done, Effect};
use crate::wasm::outside::Doer;

/// Error message of an interrupted attempt, see [`miniflow_runtime::engine::text`].
const INTERRUPTED: &str = "The attempt was running when the process ended";

/// Longest value that is shown, in characters.
const SHOWN_MAX: usize = 300;

/// Outcome of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// Workflow name.
    workflow: String,
    /// Final state of the instance.
    end: Value,
    /// Result of each step.
    steps: BTreeMap<String, Value>,
    /// Final states of other instances.
    others: BTreeMap<String, Value>,
    /// Stored data of Durable Objects and KV namespaces.
    objects: BTreeMap<String, Value>,
    /// Effects of the run.
    pub(super) done: Done,
}

/// Violation caused by a kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Step that is unsafe to repeat. `None` outside of steps, or if it cannot be determined.
    pub step: Option<String>,
    /// Kind of violation.
    pub harm: Harm,
    /// First kill that caused it.
    pub kill: Kill,
    /// Description of that kill.
    pub when: String,
    /// Number of runs with this violation.
    pub times: usize,
}

/// Kinds of violations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// The run has more effects than the undisturbed run.
    Again {
        /// Number of effects in the undisturbed run.
        expected: usize,
        /// Number of effects in this run.
        found: usize,
        /// All effects of this run.
        effects: Vec<String>,
    },
    /// A Durable Object or KV namespace stores other data.
    Kept {
        /// Object or namespace.
        place: String,
        /// Stored data in the undisturbed run.
        expected: String,
        /// Stored data in this run.
        found: String,
    },
    /// An instance ended differently.
    Ends {
        /// Instance. `None` for the tested one.
        instance: Option<String>,
        /// Final state in the undisturbed run.
        expected: String,
        /// Final state in this run.
        found: String,
    },
    /// A step has another result.
    Step {
        /// Step.
        step: String,
        /// Result in the undisturbed run.
        expected: String,
        /// Result in this run.
        found: String,
    },
    /// The instance does not end.
    Stuck {
        /// Reason.
        why: String,
    },
}

impl Finding {
    pub(super) fn new(step: Option<String>, harm: Harm, kill: Kill) -> Self {
        Self { step, harm, kill, when: String::new(), times: 1 }
    }
}

/// Formats a step, with its workflow if that is not the tested one.
pub(super) fn label(main: &str, workflow: &str, step: &StepKey) -> String {
    let kind = match step.kind {
        StepKind::Do => "do",
        StepKind::Sleep => "sleep",
        StepKind::Wait => "waitForEvent",
        StepKind::Rollback => "rollback",
    };
    let count = if step.count == 1 { String::new() } else { format!(" #{}", step.count) };
    let of = if workflow == main { String::new() } else { format!(" of `{workflow}`") };
    format!("{kind} `{}`{count}{of}", step.name)
}

impl Outcome {
    pub(super) fn new(
        workflow: &str,
        records: &[(NewInstance, Summary, Vec<Stamped>)],
        objects: BTreeMap<String, String>,
        done: Done,
    ) -> Self {
        let mut outcome = Self { workflow: workflow.to_owned(), done, ..Self::default() };
        outcome.objects = objects.into_iter().map(|(place, value)| (place, Value::String(value))).collect();
        for (fixed, summary, journal) in records {
            let end = json!({
                "status": summary.status.as_str(),
                "output": summary.output.as_deref().map(value),
                "error": summary.error.as_ref().map(ToString::to_string),
                "rollback": summary.rollback.as_ref().map(|rollback| rollback.error.as_ref().map(ToString::to_string)),
            });
            if fixed.workflow == workflow && fixed.id == ID {
                outcome.end = end;
                let instance = Instance::replay(journal.iter().cloned());
                let steps = instance.steps().iter().filter(|step| is_own(&step.key));
                let came_to = |step: &miniflow_runtime::engine::Step| {
                    (label(workflow, workflow, &step.key), came_to(&step.state))
                };
                outcome.steps = steps.map(came_to).collect();
            } else {
                outcome.others.insert(format!("{}/{}", fixed.workflow, fixed.id), end);
            }
        }
        outcome
    }

    /// Returns the error of the instance, if it failed.
    pub(super) fn failure(&self) -> Option<String> {
        self.end["error"].as_str().map(ToOwned::to_owned)
    }

    /// Groups the effects by origin.
    fn by_doer(&self) -> BTreeMap<Option<&Doer>, Vec<&Effect>> {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for effect in &self.done.effects {
            found.entry(effect.doer.as_ref()).or_default().push(effect);
        }
        found
    }
}

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(json).into_owned()))
}

/// Returns the result of a step. Null if the code abandoned it, which may happen sooner or later.
fn came_to(state: &StepState) -> Value {
    match state {
        StepState::Done(StepOutcome::Output(output)) => json!({ "output": value(output) }),
        StepState::Done(StepOutcome::Stream(_, stream)) => json!({ "stream": stream.bytes }),
        StepState::Done(StepOutcome::Failed(error)) => json!({ "error": error.to_string() }),
        StepState::Done(StepOutcome::Event(event)) => json!({ "event": value(&event.payload) }),
        StepState::Done(StepOutcome::Elapsed | StepOutcome::Stored) => json!("done"),
        StepState::Abandoned { .. } => Value::Null,
        _ => json!("not done"),
    }
}

/// Expectations for every run.
pub(super) struct Expected<'a> {
    first: &'a Outcome,
    again: &'a Outcome,
}

/// Counts effects; idempotent repetitions count once.
fn distinct(effects: &[&Effect]) -> usize {
    let identities: BTreeSet<_> = effects.iter().filter_map(|effect| effect.identity.as_deref()).collect();
    identities.len() + effects.iter().filter(|effect| effect.identity.is_none()).count()
}

/// Whether `actual` differs from the undisturbed runs. Values that differ between those never count.
fn differs(first: &Value, again: &Value, actual: &Value) -> bool {
    if first == actual || again == actual {
        return false;
    }
    match (first, again, actual) {
        (Value::Object(first), Value::Object(again), Value::Object(actual)) => {
            let keys: BTreeSet<_> = first
                .keys()
                .chain(actual.keys())
                .filter(|key| again.contains_key(*key) == first.contains_key(*key))
                .collect();
            let none = Value::Null;
            let get = |of: &serde_json::Map<String, Value>, key: &String| of.get(key).unwrap_or(&none).clone();
            keys.into_iter().any(|key| differs(&get(first, key), &get(again, key), &get(actual, key)))
        }
        (Value::Array(first), Value::Array(again), Value::Array(actual)) if first.len() == again.len() => {
            first.len() != actual.len()
                || first.iter().zip(again).zip(actual).any(|((first, again), actual)| differs(first, again, actual))
        }
        // // An interrupted last attempt has another error message.
        (Value::String(_), Value::String(_), Value::String(actual)) if actual.contains(INTERRUPTED) => false,
        _ => first == again,
    }
}

/// Returns the keys whose values differ between the runs.
fn differences<'a>(
    first: &'a BTreeMap<String, Value>,
    again: &'a BTreeMap<String, Value>,
    actual: &'a BTreeMap<String, Value>,
) -> Vec<(&'a str, String, String)> {
    const NONE: &Value = &Value::Null;
    let keys: BTreeSet<_> = first.keys().chain(actual.keys()).collect();
    // // A key that only one undisturbed run has is not compared.
    let keys = keys.into_iter().filter(|key| first.contains_key(*key) == again.contains_key(*key));
    let differs = |key: &'a String| {
        let [first, again, actual] = [first, again, actual].map(|of| of.get(key).unwrap_or(NONE));
        differs(first, again, actual).then(|| (key.as_str(), shown(first), shown(actual)))
    };
    keys.filter_map(differs).collect()
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

impl<'a> Expected<'a> {
    pub(super) fn new(first: &'a Outcome, again: &'a Outcome) -> Self {
        Self { first, again }
    }

    /// Returns who accessed `place` more often than in the undisturbed run. `None` if no known origin did. The outer `Option` is the
    /// /// origin, the inner one its step.
    /// inner: a step.
    fn toucher(&self, place: &str, actual: &Outcome, cut: &[String]) -> Option<Option<String>> {
        let count = |of: &Outcome, whom: &String, doer: &Option<Doer>| {
            of.done.touches.get(whom).and_then(|doers| doers.get(doer)).copied().unwrap_or_default()
        };
        let touched = actual.done.touches.iter().filter(|(whom, _)| place.ends_with(whom.as_str()));
        let more = touched.flat_map(|(whom, doers)| {
            doers.iter().filter_map(move |(doer, now)| {
                let expected = count(self.first, whom, doer).max(count(self.again, whom, doer));
                // // Objects and called Workers act on behalf of others.
                let doer = doer.as_ref().filter(|_| *now > expected)?;
                let step = doer.step.as_ref().map(|step| label(&actual.workflow, &doer.workflow, step));
                Some((now - expected, step))
            })
        });
        // // An interrupted step is the more likely cause.
        let was_cut = |step: &Option<String>| step.as_ref().is_some_and(|step| cut.contains(step));
        more.max_by_key(|(more, step)| (*more, was_cut(step))).map(|(_, step)| step)
    }

    /// Returns the violations of this run. `cut`: steps that the kill may have interrupted. `last`: steps that ended before it.
    pub(super) fn harms(&self, actual: &Outcome, cut: &[String], last: &[String], kill: Kill) -> Vec<Finding> {
        let mut found = Vec::new();
        let suspect = cut.first().cloned();
        let (first, again) = (self.first.by_doer(), self.again.by_doer());
        let count =
            |of: &BTreeMap<Option<&Doer>, Vec<&Effect>>, doer| of.get(&doer).map_or(0, |effects| distinct(effects));
        for (doer, effects) in actual.by_doer() {
            let (expected, now) = (count(&first, doer).max(count(&again, doer)), distinct(&effects));
            if now > expected {
                let effects = effects.iter().map(|effect| effect.text.clone()).collect();
                let step = match doer {
                    Some(Doer { workflow, step }) => step.as_ref().map(|step| label(&actual.workflow, workflow, step)),
                    None => suspect.clone(),
                };
                found.push(Finding::new(step, Harm::Again { expected, found: now, effects }, kill));
            }
        }
        for (place, expected, now) in differences(&self.first.objects, &self.again.objects, &actual.objects) {
            let step = self.toucher(place, actual, cut).unwrap_or_else(|| suspect.clone());
            let harm = Harm::Kept { place: place.to_owned(), expected, found: now };
            found.push(Finding::new(step, harm, kill));
        }
        // // A harmful repetition is the cause. Without one, a recorded result was lost.
        let suspect = found.first().map(|found| found.step.clone()).unwrap_or_else(|| last.first().cloned());
        if differs(&self.first.end, &self.again.end, &actual.end) {
            let harm = Harm::Ends { instance: None, expected: end(&self.first.end), found: end(&actual.end) };
            found.push(Finding::new(suspect.clone(), harm, kill));
        }
        for (step, expected, now) in differences(&self.first.steps, &self.again.steps, &actual.steps) {
            let given_up = [&self.first.steps, &actual.steps].iter().any(|of| of.get(step).is_some_and(Value::is_null));
            if !given_up {
                let harm = Harm::Step { step: step.to_owned(), expected, found: now };
                found.push(Finding::new(suspect.clone(), harm, kill));
            }
        }
        for (instance, ..) in differences(&self.first.others, &self.again.others, &actual.others) {
            // // An instance without an explicit id has a new id in each run; its creation is an effect.
            let (Some(expected), Some(now)) = (self.first.others.get(instance), actual.others.get(instance)) else {
                continue;
            };
            let harm = Harm::Ends { instance: Some(instance.to_owned()), expected: end(expected), found: end(now) };
            found.push(Finding::new(suspect.clone(), harm, kill));
        }
        found
    }
}

/// Describes the final state of an instance.
fn end(of: &Value) -> String {
    let status = of["status"].as_str().unwrap_or("gone");
    match (of["error"].as_str(), &of["output"]) {
        (Some(error), _) => format!("{status}: {}", error.lines().next().unwrap_or_default()),
        (None, Value::Null) => status.to_owned(),
        (None, output) => format!("{status} with {}", shown(output)),
    }
}

/// Merges violations: one finding for each step and kind, the first of each, with its number of runs.
pub(super) fn collect(found: impl IntoIterator<Item = Finding>, commits: &[Commit]) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for finding in found {
        // // A result that is lost after one kill is lost after later kills too: the first kill names the step. A run with two kills
        // // cannot tell which of them is the cause.
        let is_certain = match finding.harm {
            Harm::Again { .. } => true,
            Harm::Kept { .. } | Harm::Stuck { .. } => !matches!(finding.kill, Kill::Twice(..)),
            Harm::Ends { .. } | Harm::Step { .. } => false,
        };
        let same = |known: &&mut Finding| {
            subject(&known.harm) == subject(&finding.harm) && (known.step == finding.step || !is_certain)
        };
        match all.iter_mut().find(same) {
            Some(known) => known.times += 1,
            None => all.push(Finding { when: when(finding.kill, commits), ..finding }),
        }
    }
    all
}

/// Key that distinguishes kinds of violations.
fn subject(harm: &Harm) -> (u8, &str) {
    match harm {
        Harm::Again { .. } => (0, ""),
        Harm::Kept { place, .. } => (1, place),
        Harm::Ends { instance, .. } => (2, instance.as_deref().unwrap_or_default()),
        Harm::Step { step, .. } => (3, step),
        Harm::Stuck { .. } => (4, ""),
    }
}

/// Describes the point of a kill.
fn when(kill: Kill, commits: &[Commit]) -> String {
    let commit = kill.commit();
    let of = |number: usize| {
        let commit = commits.get(number.wrapping_sub(1))?;
        let ended = commit.settled.first().map(|step| format!("the end of {step}"));
        ended.or_else(|| commit.started.first().map(|step| format!("the beginning of {step}")))
    };
    let after = (1..commit).rev().find_map(of);
    let before = (commit..=commits.len()).find_map(of);
    let twice = if matches!(kill, Kill::Twice(..)) { "; and once more after that" } else { "" };
    let place = match (after, before) {
        (Some(after), Some(before)) => format!("after {after} was recorded, before {before} was"),
        (None, Some(before)) => format!("before {before} was recorded"),
        (Some(after), None) => format!("after {after} was recorded"),
        (None, None) => "somewhere".to_owned(),
    };
    format!("killed {place} (commit {} of {}){twice}", commit.min(commits.len()), commits.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_undisturbed_runs_is_not_held_against_a_third() {
        let differ = |first: Value, again: Value, actual: Value| differs(&first, &again, &actual);
        assert!(!differ(json!(1), json!(1), json!(1)));
        assert!(differ(json!(1), json!(1), json!(2)));
        assert!(!differ(json!(1), json!(2), json!(3)));
        let of = |token: u32, paid: bool| json!({ "token": token, "paid": paid });
        assert!(!differ(of(1, true), of(2, true), of(3, true)));
        assert!(differ(of(1, true), of(2, true), of(3, false)));
        assert!(differ(json!({ "a": 1 }), json!({ "a": 1 }), json!({ "a": 1, "b": 2 })));
        assert!(differ(json!([1, 5]), json!([2, 5]), json!([3, 6])));
        assert!(!differ(json!([1, 5]), json!([2, 5]), json!([3, 5])));
        assert!(differ(json!([1]), json!([1]), json!([1, 1])));
        assert!(differ(json!([1]), json!([1]), json!("text")));
        let cut = format!("WorkflowInternalError: {INTERRUPTED}");
        assert!(!differ(json!("Error: no"), json!("Error: no"), json!(cut)));
        assert!(differ(json!({ "output": 1 }), json!({ "output": 1 }), json!({ "error": cut })));
        // // Values that only one undisturbed run has are not compared.
        assert!(!differ(json!([1]), json!([1, 2]), json!([1, 2, 3])));
    }

    fn effect(step: &str, identity: Option<&str>) -> Effect {
        let step = Some(StepKey::new(StepKind::Do, step, 1));
        let doer = Some(Doer { workflow: "w".to_owned(), step });
        Effect { doer, text: "POST".to_owned(), identity: identity.map(ToOwned::to_owned) }
    }

    fn outcome(effects: Vec<Effect>, count: &str, output: u32) -> Outcome {
        Outcome {
            workflow: "w".to_owned(),
            end: json!({ "status": "complete", "output": output, "error": null }),
            objects: [("Counter count".to_owned(), json!(count))].into(),
            done: Done { effects, ..Done::default() },
            ..Outcome::default()
        }
    }

    #[test]
    fn a_step_that_leaves_more_than_it_should_is_named() {
        let first = outcome(vec![effect("charge", None), effect("put", Some("put"))], "1", 1);
        let expected = Expected::new(&first, &first);
        let cut = ["do `count`".to_owned()];
        let harms = |actual: &Outcome| expected.harms(actual, &cut, &["do `before`".to_owned()], Kill::From(1));
        let safe =
            outcome(vec![effect("charge", None), effect("put", Some("put")), effect("put", Some("put"))], "1", 1);
        assert_eq!(harms(&safe), []);
        let twice = outcome(vec![effect("charge", None), effect("charge", None)], "1", 1);
        let found = harms(&twice);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].step.as_deref(), Some("do `charge`"));
        assert!(matches!(found[0].harm, Harm::Again { expected: 1, found: 2, .. }));
        // // Changes of stored data are attributed to the interrupted step.
        let found = harms(&outcome(first.done.effects.clone(), "2", 2));
        assert_eq!(found[0].step.as_deref(), Some("do `count`"));
        assert!(matches!(&found[0].harm, Harm::Kept { expected, found, .. } if expected == "1" && found == "2"));
        // // Their consequences are, too.
        assert_eq!(found[1].step.as_deref(), Some("do `count`"));
        // // A known origin takes precedence.
        let touched = |step: &str, count: usize| {
            let doer = Doer { workflow: "w".to_owned(), step: Some(StepKey::new(StepKind::Do, step, 1)) };
            ("Counter count".to_owned(), BTreeMap::from([(Some(doer), count)]))
        };
        let mut touching = outcome(first.done.effects.clone(), "2", 1);
        touching.done.touches = BTreeMap::from([touched("add", 2)]);
        assert_eq!(harms(&touching)[0].step.as_deref(), Some("do `add`"));
        // // The loss was reported for an earlier kill.
        let found = harms(&outcome(first.done.effects.clone(), "1", 2));
        assert_eq!(found[0].step.as_deref(), Some("do `before`"));
        assert!(
            matches!(&found[0].harm, Harm::Ends { expected, found, .. } if expected == "complete with 1" && found == "complete with 2")
        );
    }

    #[test]
    fn the_same_harm_is_told_once() {
        let harm = |found| Harm::Again { expected: 1, found, effects: Vec::new() };
        let step = || Some("do `charge`".to_owned());
        let commit = |settled: &str| Commit {
            writes: Vec::new(),
            effects_before: 0,
            settled: vec![settled.to_owned()],
            started: Vec::new(),
        };
        let commits = [commit("do `validate`"), commit("do `charge`")];
        let found = vec![
            Finding::new(step(), harm(2), Kill::From(1)),
            Finding::new(step(), harm(3), Kill::Twice(1, super::super::Point::Before(1))),
            Finding::new(None, harm(2), Kill::From(2)),
        ];
        let told = collect(found, &commits);
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].times, &told[0].harm), (2, &harm(2)));
        assert_eq!(
            told[0].when,
            "killed after the end of do `validate` was recorded, before the end of do `charge` was (commit 2 of 2)"
        );
    }
}
