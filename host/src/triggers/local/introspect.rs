//! `/cdn-cgi/local/miniflow/introspect`: the test API of Workflows, for tests in any language.
//!
//! `GET` lists the workflows. `POST` takes a call: `{"binding": …, "instance": …, "call": …}` of an instance, which need not exist yet;
//! `{"binding": …, "call": "introspect"}` begins to look into all that are made from then on, and answers the `session` for further calls. Names
//! and meaning are the official ones; `docs/testing.md` lists them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use miniflow_runtime::script::{Directed, Direction, Selected, SessionNo, StepRef};
use miniflow_runtime::{Bytes, ErrorInfo};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::config::WorkflowEntry;
use crate::introspect::{IntrospectError, Introspected, Introspection, StepResult};
use crate::session::Session;

/// How long a call waits that does not say it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a call, at most: it may have results of steps.
pub(super) const CALL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Looks into the instances of a session. Cheap to clone.
#[derive(Clone)]
pub struct Introspect {
    introspection: Introspection,
    session: Session,
}

/// What is asked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    /// The name of a binding, or of a workflow.
    binding: String,
    #[serde(default)]
    instance: Option<String>,
    #[serde(default)]
    session: Option<SessionNo>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    call: Call,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Call {
    Modify(Vec<Said>),
    WaitForStepResult(Step),
    WaitForStatus(String),
    GetOutput,
    GetError,
    Introspect,
    ModifyAll(Vec<Said>),
    Get,
    Dispose,
}

/// What is said about instances.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Said {
    DisableSleeps(Which),
    DisableRetryDelays(Which),
    #[serde(deserialize_with = "step_and_value")]
    MockStepResult((Step, Box<RawValue>)),
    MockStepStream(Pieces),
    MockStepError(Failure),
    ForceStepTimeout(Times),
    MockEvent(Event),
    ForceEventTimeout(Step),
}

/// A step: its name, or its name and which of that name it is, from 1.
#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    First(String),
    #[serde(rename_all = "camelCase")]
    Nth {
        name: String,
        #[serde(default = "one")]
        index: u32,
    },
}

fn one() -> u32 {
    1
}

/// `true` is all.
#[derive(Deserialize)]
#[serde(untagged)]
enum Which {
    All(bool),
    Steps(Vec<Step>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    step: Step,
    value: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pieces {
    step: Step,
    /// Base64.
    pieces: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    step: Step,
    error: Thrown,
    #[serde(default)]
    times: Option<u32>,
}

/// A text is an error called `Error`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Thrown {
    Text(String),
    Named {
        #[serde(default = "error")]
        name: String,
        message: String,
    },
}

fn error() -> String {
    "Error".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Times {
    step: Step,
    #[serde(default)]
    times: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    #[serde(rename = "type")]
    event_type: String,
    payload: Box<RawValue>,
}

fn step_and_value<'de, D: serde::Deserializer<'de>>(from: D) -> Result<(Step, Box<RawValue>), D::Error> {
    Outcome::deserialize(from).map(|Outcome { step, value }| (step, value))
}

impl Introspect {
    /// Looks into the instances of `session`.
    #[must_use]
    pub fn new(introspection: Introspection, session: Session) -> Self {
        Self { introspection, session }
    }

    /// The workflows that can be looked into.
    pub(super) fn list(&self) -> (StatusCode, Value) {
        let members = self.session.members();
        let of = |entry: &WorkflowEntry, worker: &str| json!({ "binding": entry.binding, "workflow": entry.name, "worker": worker });
        let workflows: Vec<_> =
            members.iter().flat_map(|member| member.workflows.iter().map(|entry| of(entry, member.name()))).collect();
        (StatusCode::OK, json!({ "workflows": workflows }))
    }

    /// Does what `body` says.
    pub(super) async fn call(&self, body: &[u8]) -> (StatusCode, Value) {
        let Asked { binding, instance, session, timeout_ms, call } = match serde_json::from_slice(body) {
            Ok(asked) => asked,
            Err(error) => return misused(&format!("the body is no call: {error}")),
        };
        let Some(workflow) = self.workflow(&binding) else { return self.no_binding(&binding) };
        let patience = timeout_ms.map_or(PATIENCE, Duration::from_millis);
        let done = match (instance, session) {
            (Some(id), None) if id.is_empty() => {
                return misused("[WorkflowIntrospector] Workflow binding and instance id are required.");
            }
            (Some(id), None) => of_instance(&self.introspection.instance(&workflow, &id), call, patience).await,
            (None, session) => self.of_workflow(&workflow, &binding, session, call).await,
            (Some(_), Some(_)) => return misused("a call is of an `instance`, or of a `session`, and not of both"),
        };
        match done {
            Ok(answer) => (StatusCode::OK, answer),
            Err(Refusal::Call(why)) => misused(&why),
            Err(Refusal::Failed(error)) => failed(&error),
        }
    }

    async fn of_workflow(
        &self,
        workflow: &str,
        binding: &str,
        session: Option<SessionNo>,
        call: Call,
    ) -> Result<Value, Refusal> {
        let all = &self.introspection;
        match (call, session) {
            (Call::Introspect, None) => Ok(json!({ "session": all.begin(workflow, binding)? })),
            (Call::ModifyAll(said), Some(session)) => {
                all.modify_all(workflow, session, directions(said)?)?;
                Ok(json!({}))
            }
            (Call::Get, Some(session)) => Ok(json!({ "instances": all.made(workflow, session)? })),
            (Call::Dispose, Some(session)) => {
                all.dispose(workflow, session).await?;
                Ok(json!({}))
            }
            (Call::ModifyAll(_) | Call::Get | Call::Dispose, None) => {
                Err(refusal("the `session` is missing: `introspect` answers it"))
            }
            _ => Err(refusal("this is a call of an `instance`: pass its id")),
        }
    }

    /// The name of the workflow that is bound to `name`, in the first Worker that has it, or is called so.
    fn workflow(&self, name: &str) -> Option<String> {
        let members = self.session.members();
        let all = || members.iter().flat_map(|member| &member.workflows);
        let bound = all().find(|entry| entry.binding.as_deref() == Some(name));
        bound.or_else(|| all().find(|entry| entry.name == name)).map(|entry| entry.name.clone())
    }

    fn no_binding(&self, binding: &str) -> (StatusCode, Value) {
        if binding.is_empty() {
            return misused("[WorkflowIntrospector] Workflow binding is required.");
        }
        let members = self.session.members();
        let first = members.first().map_or("", |member| member.name());
        let names = members.iter().flat_map(|member| &member.workflows).filter_map(|entry| entry.binding.as_deref());
        let has = names.collect::<Vec<_>>().join(", ");
        let error = format!("No Workflow binding named \"{binding}\" found in \"{first}\" worker. It has: {has}");
        (StatusCode::NOT_FOUND, json!({ "error": error, "code": "introspection.no_binding" }))
    }
}

async fn of_instance(instance: &Introspected, call: Call, patience: Duration) -> Result<Value, Refusal> {
    match call {
        Call::Modify(said) => {
            instance.modify(directions(said)?).await?;
            Ok(json!({}))
        }
        Call::WaitForStepResult(step) => match instance.step_result(&step.into(), patience).await? {
            StepResult::Json(value) => Ok(json!({ "result": parsed(&value)? })),
            StepResult::Stream(bytes) => Ok(json!({ "stream": STANDARD.encode(bytes) })),
        },
        Call::WaitForStatus(status) => {
            instance.wait_for_status(&status, patience).await?;
            Ok(json!({ "status": status }))
        }
        Call::GetOutput => Ok(json!({ "output": parsed(&instance.output().await?)? })),
        Call::GetError => {
            let ErrorInfo { name, message, .. } = instance.error().await?;
            Ok(json!({ "error": { "name": name, "message": message } }))
        }
        Call::Dispose => {
            instance.dispose().await?;
            Ok(json!({}))
        }
        Call::Introspect | Call::ModifyAll(_) | Call::Get => {
            Err(refusal("this is a call of all instances: leave `instance` out"))
        }
    }
}

/// What is recorded is shown as it is: numbers keep their digits.
fn parsed(json: &[u8]) -> Result<Box<RawValue>, Refusal> {
    serde_json::from_slice(json).map_err(|error| Refusal::Call(format!("what is recorded is not JSON: {error}")))
}

/// Why a call is not answered.
enum Refusal {
    /// It makes no sense.
    Call(String),
    Failed(IntrospectError),
}

impl From<IntrospectError> for Refusal {
    fn from(error: IntrospectError) -> Self {
        Self::Failed(error)
    }
}

fn refusal(why: &str) -> Refusal {
    Refusal::Call(why.to_owned())
}

fn misused(why: &str) -> (StatusCode, Value) {
    (StatusCode::BAD_REQUEST, json!({ "error": why, "code": "introspection.misuse" }))
}

fn failed(error: &IntrospectError) -> (StatusCode, Value) {
    let status = match error {
        IntrospectError::Misuse(_) => StatusCode::BAD_REQUEST,
        IntrospectError::GaveUp { .. } => StatusCode::GATEWAY_TIMEOUT,
        IntrospectError::Api(error) if error.code == "instance.not_found" => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    };
    let mut answer = json!({ "error": error.to_string(), "code": error.code() });
    if let IntrospectError::StepFailed { error: ErrorInfo { name, message, .. }, .. } = error {
        answer["cause"] = json!({ "name": name, "message": message });
    }
    (status, answer)
}

fn directions(said: Vec<Said>) -> Result<Vec<Direction>, Refusal> {
    said.into_iter().map(direction).collect()
}

fn direction(said: Said) -> Result<Direction, Refusal> {
    Ok(match said {
        Said::DisableSleeps(which) => Direction::DisableSleeps(selected(which)?),
        Said::DisableRetryDelays(which) => Direction::DisableRetryDelays(selected(which)?),
        Said::MockStepResult((step, value)) => Direction::MockResult(step.into(), Directed::Output(text(&value))),
        Said::MockStepStream(Pieces { step, pieces }) => {
            let decoded: Result<Vec<_>, _> =
                pieces.iter().map(|piece| STANDARD.decode(piece).map(Bytes::from)).collect();
            let pieces = decoded.map_err(|error| Refusal::Call(format!("a piece is no base64: {error}")))?;
            Direction::MockResult(step.into(), Directed::Stream(pieces))
        }
        Said::MockStepError(Failure { step, error, times }) => Direction::MockError(step.into(), error.into(), times),
        Said::ForceStepTimeout(Times { step, times }) => Direction::ForceTimeout(step.into(), times),
        Said::MockEvent(Event { event_type, payload }) => {
            Direction::MockEvent { event_type: Arc::from(event_type), payload: text(&payload) }
        }
        Said::ForceEventTimeout(step) => Direction::ForceEventTimeout(step.into()),
    })
}

fn selected(which: Which) -> Result<Selected, Refusal> {
    match which {
        Which::All(true) => Ok(Selected::All),
        Which::All(false) => Err(refusal("`false` does nothing")),
        Which::Steps(steps) => Ok(Selected::Steps(steps.into_iter().map(Into::into).collect())),
    }
}

fn text(json: &RawValue) -> Bytes {
    Bytes::copy_from_slice(json.get().as_bytes())
}

impl From<Step> for StepRef {
    fn from(step: Step) -> Self {
        match step {
            Step::First(name) => Self::new(name, 1),
            Step::Nth { name, index } => Self::new(name, index),
        }
    }
}

impl From<Thrown> for ErrorInfo {
    fn from(thrown: Thrown) -> Self {
        match thrown {
            Thrown::Text(message) => Self::new("Error", message),
            Thrown::Named { name, message } => Self::new(name, message),
        }
    }
}
