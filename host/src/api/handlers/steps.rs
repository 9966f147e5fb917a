//! What one step came to, whole.

use futures::{StreamExt as _, stream};
use miniflow_runtime::dispatcher::InstanceKey;
use miniflow_runtime::engine::details::StepDetails;
use miniflow_runtime::engine::{Outcome, StepState, StoredStream};
use miniflow_runtime::storage::AttemptKey;
use miniflow_runtime::{Bytes, ErrorInfo, Handle, StepKind};
use serde_json::value::to_raw_value;
use wasmtime_wasi_http::Error;

use super::details::REDACTED;
use super::names;
use crate::api::Context;
use crate::api::envelope::Reply;
use crate::api::failure::Failure;
use crate::api::model::{ErrorShape, Json, Status, StepResult, json};
use crate::api::request::Call;

pub(super) async fn get(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let (workflow, id) = names(call);
    let required = |name: &str| Failure::Invalid(format!("{name}: it is required"));
    let name = call.query.text("name").ok_or_else(|| required("name"))?;
    let kind = match call.query.word("type", &["step", "waitForEvent"])?.ok_or_else(|| required("type"))? {
        "step" => StepKind::Do,
        _ => StepKind::Wait,
    };
    let number = call.query.positive("attempt")?;
    let record = context.record(workflow, id).await?;
    let details = record.details();
    let unknown = || Failure::UnknownStep(name.to_owned());
    let step = details.step(kind, name).ok_or_else(unknown)?;
    if let Some(number) = number
        && step.attempts.iter().all(|attempt| attempt.attempt != number)
    {
        return Err(unknown());
    }
    let sensitive = step.config.as_ref().is_some_and(|config| config.sensitive_output);
    let is_last = number.is_none_or(|number| step.attempts.last().is_none_or(|last| last.attempt == number));
    match &step.state {
        StepState::Done(Outcome::Stream(no, stored)) if is_last && !sensitive => {
            let attempt = AttemptKey { step: *no, attempt: stored.attempt };
            Ok(Reply::Bytes(pieces(context.handle().clone(), record.fixed.key, attempt, *stored)))
        }
        _ if is_last => Reply::of(&present(step, sensitive)),
        _ => Reply::of(&of_attempt(step, number.unwrap_or_default())),
    }
}

/// Where the step stands.
fn present(step: &StepDetails, sensitive: bool) -> StepResult {
    let redacted = || to_raw_value(REDACTED).ok();
    let (status, error, output): (_, Option<&ErrorInfo>, Option<Json>) = match &step.state {
        StepState::Done(Outcome::Failed(error)) => (Status::Errored, Some(error), None),
        StepState::Done(Outcome::Output(_) | Outcome::Stream(..)) if sensitive => (Status::Complete, None, redacted()),
        StepState::Done(Outcome::Output(output)) => (Status::Complete, None, Some(json(output))),
        StepState::Done(Outcome::Event(event)) => (Status::Complete, None, Some(json(&event.payload))),
        StepState::Done(_) => (Status::Complete, None, None),
        StepState::Waiting { .. } if step.ended.is_none() => (Status::Waiting, None, None),
        _ if step.ended.is_some() => (Status::Terminated, last_error(step), None),
        _ => (Status::Running, last_error(step), None),
    };
    StepResult {
        status,
        error: error.map(ErrorShape::from),
        output,
        event_type: step.event_type.as_deref().map(str::to_owned),
    }
}

/// Why the last attempt that was over failed.
fn last_error(step: &StepDetails) -> Option<&ErrorInfo> {
    step.attempts.iter().rev().find_map(|attempt| attempt.result.as_ref()?.as_ref().err())
}

/// An attempt that was followed by another.
fn of_attempt(step: &StepDetails, number: u32) -> StepResult {
    let attempt = step.attempts.iter().rev().find(|attempt| attempt.attempt == number);
    let error = attempt.and_then(|attempt| attempt.result.as_ref()?.as_ref().err());
    StepResult { status: Status::Errored, error: error.map(ErrorShape::from), output: None, event_type: None }
}

/// The pieces of a stream, one read at a time.
fn pieces(
    handle: Handle,
    key: InstanceKey,
    attempt: AttemptKey,
    stored: StoredStream,
) -> stream::BoxStream<'static, Result<Bytes, Error>> {
    let read = move |index| {
        let handle = handle.clone();
        async move {
            let lost = || Error::InternalError(Some(format!("piece {index} of the stream is gone")));
            handle.read(move |archive| archive.piece(key, attempt, index)).await.ok().flatten().ok_or_else(lost)
        }
    };
    stream::iter(0..stored.chunks).then(read).boxed()
}
