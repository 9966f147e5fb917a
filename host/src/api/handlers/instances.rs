//! Making instances, and what is done to one of them, or to all.

use miniflow_runtime::dispatcher::RestartFrom;
use miniflow_runtime::storage::{Filter, Retention, Trigger};
use miniflow_runtime::{Bytes, CreateOptions, DurationSpec, InstanceStatus, StepKind};
use serde_json::value::RawValue;

use super::names;
use crate::api::catalog::{Defined, workflow_id};
use crate::api::envelope::Reply;
use crate::api::failure::Failure;
use crate::api::model::{
    CreateBody, CreatedInstance, Done, DoneStatus, Job, Json, Length, RetentionBody, StatusBody, StatusChanged,
    Succeeded, TriggerSource, Verb, status_of,
};
use crate::api::request::Call;
use crate::api::{Context, Surface};

pub(super) async fn create(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let workflow = call.parameter(0);
    let defined = context.defined(workflow)?;
    let body: CreateBody = call.object()?.unwrap_or_default();
    let asked = body.instance_id.clone().unwrap_or_default();
    let options = options(context.surface, body)?;
    let created = context.handle().create(workflow, options).await;
    let id = created.map_err(|error| Failure::of(error, workflow, &asked))?;
    Reply::of(&context.created(&defined, id).await?)
}

impl Context<'_> {
    /// An instance that was created, as it is now.
    pub(super) async fn created(&self, defined: &Defined, id: String) -> Result<CreatedInstance, Failure> {
        let workflow = &defined.entry.name;
        let status = match self.handle().status(workflow, &id).await {
            Ok(report) => report.status,
            // It was deleted at once.
            Err(error) if error.code == "instance.not_found" => InstanceStatus::Queued,
            Err(error) => return Err(Failure::of(error, workflow, &id)),
        };
        Ok(CreatedInstance {
            status: status_of(status),
            version_id: defined.version_id(),
            workflow_id: workflow_id(workflow),
            trigger_source: TriggerSource::Api,
            id,
        })
    }
}

/// What a body asks for. Over version 4 params may be JSON in a text.
pub(super) fn options(surface: Surface, body: CreateBody) -> Result<CreateOptions, Failure> {
    let CreateBody { instance_id, params, instance_retention, .. } = body;
    let params = params.map(|params| match surface {
        Surface::V4 => within(params),
        Surface::Local => Bytes::from(Box::<str>::from(params).into_string()),
    });
    let retention = instance_retention.map(|retention| retention.resolve()).transpose()?.unwrap_or_default();
    Ok(CreateOptions { id: instance_id, params, retention, trigger: Trigger::Api, ..CreateOptions::default() })
}

/// The JSON in a text, if it is one of JSON; the SDKs send params so.
fn within(params: Json) -> Bytes {
    if let Ok(text) = serde_json::from_str::<String>(params.get())
        && serde_json::from_str::<&RawValue>(&text).is_ok()
    {
        return Bytes::from(text);
    }
    Bytes::from(Box::<str>::from(params).into_string())
}

impl RetentionBody {
    pub(super) fn resolve(&self) -> Result<Retention, Failure> {
        let ms = |length: &Option<Length>| {
            let length = match length {
                None => return Ok(None),
                Some(Length::Ms(ms)) => DurationSpec::Ms(*ms),
                Some(Length::Text(text)) => DurationSpec::Text(text.clone()),
            };
            let invalid = |_| Failure::Invalid(miniflow_runtime::engine::text::INVALID_RETENTION.to_owned());
            length.to_ms().map(Some).map_err(invalid)
        };
        Ok(Retention { success_ms: ms(&self.success_retention)?, error_ms: ms(&self.error_retention)? })
    }
}

/// Why an instance of a workflow that is not defined any more cannot be rolled back.
const NO_HANDLERS: &str = "(instance.cannot_terminate) The workflow is not there any more, and with it what undoes its steps; \
                           without rollback the instance can be terminated";

pub(super) async fn set_status(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let (workflow, id) = names(call);
    let StatusBody { status, rollback, from } = call.required()?;
    if rollback.is_some() && status != Verb::Terminate {
        return Err(Failure::Invalid("'rollback' is only valid when terminating.".to_owned()));
    }
    if from.is_some() && status != Verb::Restart {
        return Err(Failure::Invalid("'from' is only valid when restarting.".to_owned()));
    }
    let from = match from {
        None => None,
        Some(from) if from.name.is_empty() => return Err(Failure::Invalid("from.name: it is empty".to_owned())),
        Some(from) => match from.count.unwrap_or(1) {
            0 => return Err(Failure::Invalid("from.count: it is counted from 1".to_owned())),
            count => Some(RestartFrom { name: from.name, count, kind: from.kind.map_or(StepKind::Do, Into::into) }),
        },
    };
    if rollback == Some(true) && context.catalog().find(workflow).is_none() {
        // Who asks about what does not exist is told that.
        context.record(workflow, id).await?;
        return Err(Failure::Refused(NO_HANDLERS.to_owned()));
    }
    let handle = context.handle();
    let done = match status {
        Verb::Pause => handle.pause(workflow, id).await,
        Verb::Resume => handle.resume(workflow, id).await,
        Verb::Terminate => handle.terminate(workflow, id, rollback == Some(true)).await,
        Verb::Restart => handle.restart(workflow, id, from).await,
    };
    if let Err(error) = done {
        return Err(context.refused(error, workflow, id).await);
    }
    let report = handle.status(workflow, id).await.map_err(|error| Failure::of(error, workflow, id))?;
    Reply::of(&StatusChanged { status: status_of(report.status), timestamp: context.now() })
}

pub(super) async fn delete(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let (workflow, id) = names(call);
    match context.handle().delete(workflow, id).await {
        Ok(()) => Reply::of(&Succeeded { success: true }),
        Err(error) => Err(context.refused(error, workflow, id).await),
    }
}

/// Begins to terminate all instances, or those of one status.
pub(super) async fn terminate_all(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    use InstanceStatus::{Paused, Queued, Running, Waiting, WaitingForPause};
    let workflow = call.parameter(0);
    let status = call.query.status(&[Queued, Running, Paused, WaitingForPause, Waiting])?;
    context.known(workflow).await?;
    let filter = Filter { workflow: workflow.to_owned(), status, ..Filter::default() };
    let begun = context.shared.jobs.terminate_all(context.handle(), filter);
    Reply::of(&Job { status: if begun { Done::OK.status } else { DoneStatus::AlreadyRunning } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(surface: Surface, body: &str) -> String {
        let body = serde_json::from_str(body).unwrap();
        String::from_utf8(options(surface, body).unwrap().params.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn params_are_json_or_json_in_a_text() {
        let v4 = |body| params(Surface::V4, body);
        assert_eq!(v4(r#"{"params":{"steps":3}}"#), r#"{"steps":3}"#);
        assert_eq!(v4(r#"{"params":"{\"steps\":1}"}"#), r#"{"steps":1}"#);
        assert_eq!(v4(r#"{"params":"just text"}"#), r#""just text""#);
        assert_eq!(v4(r#"{"params":"\"text\""}"#), r#""text""#);
        assert_eq!(v4(r#"{"params":null}"#), "null");
        assert_eq!(params(Surface::Local, r#"{"params":"7"}"#), r#""7""#);
    }

    #[test]
    fn a_retention_is_a_number_or_a_duration() {
        let retention = |text| {
            let body: CreateBody = serde_json::from_str(text).unwrap();
            options(Surface::V4, body).map(|options| options.retention)
        };
        let both = r#"{"instance_retention":{"success_retention":5,"error_retention":"2 minutes"}}"#;
        assert_eq!(
            retention(both),
            Ok(Retention { success_ms: Some(5), error_ms: Some(120_000) }).map_err(|()| Failure::Internal)
        );
        assert!(retention(r#"{"instance_retention":{"success_retention":"soon"}}"#).is_err());
    }
}
