//! `/cdn-cgi/local/miniflow/cron`: what fires by itself and what came of it, and firing by hand.
//!
//! `GET` lists; `POST` takes `{"cron": EXPRESSION}`, with `"at": MS`, `"worker": NAME` and `"workflow": NAME` where they are wanted, and
//! answers when the instance is made or the handler has ended.

use http::StatusCode;
use miniflow_runtime::dispatcher::CronState;
use miniflow_runtime::mover::LATEST;
use miniflow_runtime::storage::CronTarget;
use miniflow_runtime::{Handle, Schedule, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{failed, moment};
use crate::config::nearest;
use crate::triggers::cron::{Came, Crons, Outcome};

/// How many of the next moments are listed.
const NEXT: usize = 5;

/// Expressions that a hint names, at most.
const NAMED_MAX: usize = 10;

/// What the route works with. Cheap to clone.
#[derive(Clone)]
pub struct CronControl {
    /// The handlers, and what came of them.
    pub crons: Crons,
    /// The instances, and the timetable.
    pub handle: Handle,
    /// Something fires by itself.
    pub fires: bool,
}

/// What is wanted to be fired.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    cron: String,
    at: Option<u64>,
    worker: Option<String>,
    workflow: Option<String>,
}

impl CronControl {
    /// What there is, at `now`.
    pub(super) async fn list(&self, now: Timestamp) -> (StatusCode, Value) {
        let Some(states) = self.handle.crons().await else { return ended() };
        let crons: Vec<_> = states.iter().map(|state| self.state(state, now)).collect();
        let outcomes: Vec<_> = self.crons.recent().iter().map(outcome).collect();
        (StatusCode::OK, json!({ "now": moment(now), "fires": self.fires, "crons": crons, "outcomes": outcomes }))
    }

    fn state(&self, state: &CronState, now: Timestamp) -> Value {
        let next = std::iter::successors(state.cron.next_after(now), |at| state.cron.next_after(*at));
        let last = self.crons.last(&state.target, state.cron.as_str());
        let mut shown = whose(&state.target);
        shown["cron"] = json!(state.cron.as_str());
        shown["next"] = next.take(NEXT).map(moment).collect();
        shown["last"] = json!(last.as_ref().map(outcome));
        shown
    }

    /// Does what `body` says, at `now` unless it says when.
    pub(super) async fn fire(&self, body: &[u8], now: Timestamp) -> (StatusCode, Value) {
        let wanted: Wanted = match serde_json::from_slice(body) {
            Ok(wanted) => wanted,
            Err(error) => {
                let hint =
                    "send {\"cron\": EXPRESSION}, with \"at\": MS, \"worker\": NAME or \"workflow\": NAME if wanted";
                let error = format!("the body says nothing that can be fired: {error}");
                return failed(StatusCode::BAD_REQUEST, &error, hint);
            }
        };
        let at = wanted.at.map_or(now, Timestamp);
        if at > LATEST {
            return failed(StatusCode::BAD_REQUEST, "that moment is beyond the year 2499", "an earlier one");
        }
        let Some(states) = self.handle.crons().await else { return ended() };
        let state = match wanted.find(&states) {
            Ok(state) => state,
            Err(refused) => return refused,
        };
        let cron = state.cron.as_str();
        let fired = match &state.target {
            CronTarget::Worker(worker) => self.crons.call(worker, cron.to_owned(), at).await.1,
            CronTarget::Workflow(workflow) => {
                let schedule = Schedule { cron: cron.to_owned(), scheduled_time: at };
                match self.handle.create_scheduled(workflow, schedule).await {
                    Ok(id) => self.crons.made_by_hand(workflow, cron, at, id),
                    Err(error) => {
                        let hint = if error.code == "instance.already_exists" {
                            "it has fired for this moment before: name another one"
                        } else {
                            "see what the server says"
                        };
                        return failed(StatusCode::CONFLICT, &error.to_string(), hint);
                    }
                }
            }
        };
        (StatusCode::OK, json!({ "fired": outcome(&fired) }))
    }
}

impl Wanted {
    /// The one expression that is meant.
    fn find<'a>(&self, states: &'a [CronState]) -> Result<&'a CronState, (StatusCode, Value)> {
        let owned: Vec<_> = states.iter().filter(|state| self.has(&state.target)).collect();
        let meant = |is: &dyn Fn(&str) -> bool| -> Vec<_> {
            owned.iter().copied().filter(|state| is(state.cron.as_str())).collect()
        };
        let mut found = meant(&|cron| cron == self.cron);
        if found.is_empty() {
            // On a command line nobody types two blanks.
            found = meant(&|cron| is_same(cron, &self.cron));
        }
        match found[..] {
            [state] => Ok(state),
            [] => {
                let error = format!("no schedule and no cron trigger{} is `{}`", self.of(), self.cron);
                Err(failed(StatusCode::NOT_FOUND, &error, &self.hint(&owned)))
            }
            [..] => {
                let error = format!("`{}` is of {}", self.cron, all(found.iter().map(|state| name(&state.target))));
                let hint = "say which one with `--workflow NAME` or `--worker NAME`";
                Err(failed(StatusCode::CONFLICT, &error, hint))
            }
        }
    }

    fn has(&self, target: &CronTarget) -> bool {
        match (target, &self.workflow, &self.worker) {
            (_, None, None) => true,
            (CronTarget::Workflow(name), workflow, None) => workflow.as_ref() == Some(name),
            (CronTarget::Worker(name), None, worker) => worker.as_ref() == Some(name),
            _ => false,
        }
    }

    fn of(&self) -> String {
        let part = |kind: &str, name: &Option<String>| name.as_ref().map(|name| format!(" of {kind} `{name}`"));
        [part("workflow", &self.workflow), part("Worker", &self.worker)].into_iter().flatten().collect()
    }

    fn hint(&self, owned: &[&CronState]) -> String {
        let crons = owned.iter().map(|state| state.cron.as_str());
        if let Some(meant) = nearest(&self.cron, crons.clone()) {
            return format!("did you mean `{meant}`?");
        }
        match owned.len() {
            0 => "`miniflow cron list` shows what there is".to_owned(),
            n if n > NAMED_MAX => {
                format!("there are {}, and {} more", quoted(crons.take(NAMED_MAX)), n - NAMED_MAX)
            }
            _ => format!("there are {}", quoted(crons)),
        }
    }
}

/// Whether two texts have the same fields.
fn is_same(cron: &str, other: &str) -> bool {
    let fields = |text: &str| text.split_ascii_whitespace().map(str::to_ascii_uppercase).collect::<Vec<_>>();
    fields(cron) == fields(other)
}

fn quoted<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    all(texts.map(|text| format!("`{text}`")))
}

fn all(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

fn name(target: &CronTarget) -> String {
    match target {
        CronTarget::Workflow(name) => format!("workflow `{name}`"),
        CronTarget::Worker(name) => format!("Worker `{name}`"),
    }
}

fn whose(target: &CronTarget) -> Value {
    match target {
        CronTarget::Workflow(name) => json!({ "workflow": name }),
        CronTarget::Worker(name) => json!({ "worker": name }),
    }
}

fn outcome(outcome: &Outcome) -> Value {
    let Outcome { target, cron, time, by_hand, came } = outcome;
    let mut shown = whose(target);
    shown["cron"] = json!(cron);
    shown["time"] = moment(*time);
    shown["byHand"] = json!(by_hand);
    let (word, rest) = match came {
        Came::Made { id } => ("created", ("instance", json!(id))),
        Came::Existed { id } => ("existed", ("instance", json!(id))),
        Came::Ended { error, took } => {
            shown["error"] = json!(error);
            let word = if error.is_none() { "ok" } else { "exception" };
            (word, ("tookMs", json!(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))))
        }
    };
    shown["outcome"] = json!(word);
    shown[rest.0] = rest.1;
    shown
}

fn ended() -> (StatusCode, Value) {
    failed(StatusCode::SERVICE_UNAVAILABLE, "the session has ended", "start it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(target: CronTarget, cron: &str) -> CronState {
        CronState { target, cron: cron.parse().unwrap(), last: None, next: None }
    }

    fn wanted(cron: &str, worker: Option<&str>, workflow: Option<&str>) -> Wanted {
        let owned = |name: Option<&str>| name.map(str::to_owned);
        Wanted { cron: cron.to_owned(), at: None, worker: owned(worker), workflow: owned(workflow) }
    }

    /// The place of what is found, or the error and the hint.
    fn find(wanted: &Wanted) -> Result<usize, (u16, String, String)> {
        let workflow = |name: &str| CronTarget::Workflow(name.to_owned());
        let worker = CronTarget::Worker("shop".to_owned());
        let states = [
            state(workflow("a"), "0 0 * * *"),
            state(workflow("b"), "0 0 * * *"),
            state(workflow("b"), "0  9\t* * mon-fri"),
            state(worker.clone(), "0 0 * * *"),
            state(worker, "*/5 * * * *"),
        ];
        match wanted.find(&states) {
            Ok(found) => Ok(states.iter().position(|state| state == found).unwrap()),
            Err((status, answer)) => {
                let text = |key: &str| answer[key].as_str().unwrap().to_owned();
                Err((status.as_u16(), text("error"), text("hint")))
            }
        }
    }

    #[test]
    fn the_one_that_is_meant_is_found_however_it_is_typed() {
        assert_eq!(find(&wanted("*/5 * * * *", None, None)), Ok(4));
        assert_eq!(find(&wanted(" 0 9 * * MON-FRI", None, None)), Ok(2));
        assert_eq!(find(&wanted("0 0 * * *", None, Some("b"))), Ok(1));
        assert_eq!(find(&wanted("0 0 * * *", Some("shop"), None)), Ok(3));
    }

    #[test]
    fn what_is_not_there_or_is_there_twice_is_told() {
        let refused = |status: u16, error: &str, hint: &str| Err((status, error.to_owned(), hint.to_owned()));
        assert_eq!(
            find(&wanted("0 0 * * *", None, None)),
            refused(
                409,
                "`0 0 * * *` is of workflow `a`, workflow `b`, Worker `shop`",
                "say which one with `--workflow NAME` or `--worker NAME`"
            )
        );
        assert_eq!(
            find(&wanted("*/6 * * * *", None, None)),
            refused(404, "no schedule and no cron trigger is `*/6 * * * *`", "did you mean `*/5 * * * *`?")
        );
        assert_eq!(
            find(&wanted("daily", None, Some("b"))),
            refused(
                404,
                "no schedule and no cron trigger of workflow `b` is `daily`",
                "there are `0 0 * * *`, `0  9\t* * mon-fri`"
            )
        );
        assert_eq!(
            find(&wanted("0 0 * * *", Some("shop"), Some("a"))),
            refused(
                404,
                "no schedule and no cron trigger of workflow `a` of Worker `shop` is `0 0 * * *`",
                "`miniflow cron list` shows what there is"
            )
        );
    }
}
