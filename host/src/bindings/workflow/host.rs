//! `workflow` of the WIT contract.

use std::sync::Arc;

use miniflow_runtime::dispatcher::{CreateOptions, StatusReport};
use miniflow_runtime::engine::duration::DurationSpec;
use miniflow_runtime::storage::Retention;
use miniflow_runtime::{ApiError as RuntimeError, Bytes, InstanceStatus};
use wasmtime::component::Accessor;

use crate::bindings::{Bindings, Bound};
use crate::wasm::bindings::Guest;
use crate::wasm::bindings::miniflow::worker::types::{ApiError, Duration};
use crate::wasm::bindings::miniflow::worker::workflow::{
    CreateOptions as WitCreate, Host, HostWithStore, InstanceStatus as WitStatus, StatusKind,
};
use crate::wasm::{GuestState, Services};

impl Host for GuestState {}

type Asked<T> = wasmtime::Result<Result<T, ApiError>>;

// Every question goes to the dispatcher as a message: dropping the future here drops the answer, not the deed.
impl HostWithStore<GuestState> for Guest {
    async fn create(store: &Accessor<GuestState, Self>, binding: String, options: WitCreate) -> Asked<String> {
        let (services, workflow) = match resolve(store, &binding) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let options = match create_options(options) {
            Ok(options) => options,
            Err(error) => return Ok(Err(error)),
        };
        Ok(services.runtime().await.create(&workflow, options).await.map_err(api_error))
    }

    async fn create_batch(
        store: &Accessor<GuestState, Self>,
        binding: String,
        instances: Vec<WitCreate>,
    ) -> Asked<Vec<String>> {
        let (services, workflow) = match resolve(store, &binding) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let options = match instances.into_iter().map(create_options).collect() {
            Ok(options) => options,
            Err(error) => return Ok(Err(error)),
        };
        Ok(services.runtime().await.create_batch(&workflow, options).await.map_err(api_error))
    }

    async fn get(store: &Accessor<GuestState, Self>, binding: String, id: String) -> Asked<()> {
        let (services, workflow) = match resolve(store, &binding) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        Ok(services.runtime().await.get(&workflow, &id).await.map_err(api_error))
    }

    async fn status(store: &Accessor<GuestState, Self>, binding: String, id: String) -> Asked<WitStatus> {
        let (services, workflow) = match resolve(store, &binding) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        Ok(services.runtime().await.status(&workflow, &id).await.map(status).map_err(api_error))
    }

    async fn send_event(
        store: &Accessor<GuestState, Self>,
        binding: String,
        id: String,
        event_type: String,
        payload: Vec<u8>,
    ) -> Asked<()> {
        let (services, workflow) = match resolve(store, &binding) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let payload = Bytes::from(payload);
        Ok(services.runtime().await.send_event(&workflow, &id, &event_type, payload).await.map_err(api_error))
    }
}

fn resolve(store: &Accessor<GuestState, Guest>, binding: &str) -> Result<(Arc<Services>, String), ApiError> {
    store.with(|mut access| {
        let state = access.get();
        let workflow = workflow(state.bound(), binding)?;
        Ok((Arc::clone(state.services()), workflow))
    })
}

/// The name of the workflow that `binding` stands for.
fn workflow(bindings: &Bindings, binding: &str) -> Result<String, ApiError> {
    let problem = match bindings.get(binding) {
        Some(Bound::Workflow(name)) => return Ok(name.clone()),
        Some(other) => format!("binding `{binding}` is a {}, not a workflow", other.kind()),
        None => format!("there is no binding `{binding}`"),
    };
    let bound = match bindings.list("workflow") {
        Some(names) => format!("bound workflows: {names}"),
        None => "no workflow is bound; add it to `workflows` in the configuration".to_owned(),
    };
    Err(ApiError { code: "binding.not_found".to_owned(), message: format!("{problem} ({bound})") })
}

fn create_options(options: WitCreate) -> Result<CreateOptions, ApiError> {
    let (success_ms, error_ms) = match options.retention {
        Some(kept) => (retention(kept.success)?, retention(kept.error)?),
        None => (None, None),
    };
    Ok(CreateOptions {
        id: options.id,
        params: options.params.map(Bytes::from),
        retention: Retention { success_ms, error_ms },
        ..CreateOptions::default()
    })
}

fn retention(kept: Option<Duration>) -> Result<Option<u64>, ApiError> {
    let invalid = |error: &dyn std::fmt::Display| ApiError {
        code: "body".to_owned(),
        message: format!("(body) Retention is invalid: {error}"),
    };
    kept.map(|kept| DurationSpec::from(kept).to_ms().map_err(|error| invalid(&error))).transpose()
}

fn status(report: StatusReport) -> WitStatus {
    let status = match report.status {
        InstanceStatus::Queued => StatusKind::Queued,
        InstanceStatus::Running => StatusKind::Running,
        InstanceStatus::Paused => StatusKind::Paused,
        InstanceStatus::Errored => StatusKind::Errored,
        InstanceStatus::Terminated => StatusKind::Terminated,
        InstanceStatus::Complete => StatusKind::Complete,
        InstanceStatus::Waiting => StatusKind::Waiting,
        InstanceStatus::WaitingForPause => StatusKind::WaitingForPause,
        InstanceStatus::Unknown => StatusKind::Unknown,
    };
    WitStatus {
        status,
        error: report.error.map(Into::into),
        output: report.output.map(|output| output.to_vec()),
        rollback: None,
    }
}

fn api_error(error: RuntimeError) -> ApiError {
    ApiError { code: error.code.to_owned(), message: error.message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_binding_is_told_with_what_is_bound() {
        let bindings: Bindings = [
            ("ORDERS".to_owned(), Bound::Workflow("orders".to_owned())),
            ("GREETING".to_owned(), Bound::Text("hi".to_owned())),
        ]
        .into_iter()
        .collect();
        assert_eq!(workflow(&bindings, "ORDERS").unwrap(), "orders");
        let error = workflow(&bindings, "ORDER").unwrap_err();
        assert_eq!(error.code, "binding.not_found");
        assert_eq!(error.message, "there is no binding `ORDER` (bound workflows: `ORDERS`)");
        let error = workflow(&bindings, "GREETING").unwrap_err();
        assert_eq!(error.message, "binding `GREETING` is a variable, not a workflow (bound workflows: `ORDERS`)");
        let error = workflow(&Bindings::default(), "ORDERS").unwrap_err();
        assert!(error.message.ends_with("(no workflow is bound; add it to `workflows` in the configuration)"));
    }
}
