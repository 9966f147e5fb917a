//! `workflow` of the WIT contract.

use std::sync::Arc;

use miniflow_runtime::dispatcher::{BatchError, CreateOptions, RestartFrom, StatusReport, SubscribeOptions};
use miniflow_runtime::engine::duration::DurationSpec;
use miniflow_runtime::engine::{StepKind, limits, text};
use miniflow_runtime::storage::Retention;
use miniflow_runtime::{ApiError as RuntimeError, Bytes, Handle, InstanceStatus};
use tokio::sync::Mutex;
use wasmtime::component::{Accessor, Resource};

use super::OpenSubscription;
use super::event;
use crate::bindings::{Bindings, Bound};
use crate::wasm::bindings::Guest;
use crate::wasm::bindings::miniflow::worker::types::{ApiError, Duration};
use crate::wasm::bindings::miniflow::worker::workflow::{
    Batch, BatchError as WitBatchError, BatchResult, CreateOptions as WitCreate, DeleteError, DeleteResult, Host,
    HostSubscription, HostSubscriptionWithStore, HostWithStore, InstanceStatus as WitStatus, Many, RestartOptions,
    Retention as WitRetention, RollbackOutcome, StatusKind, StepType, SubscribeOptions as WitSubscribe,
    TerminateOptions,
};
use crate::wasm::outside::Deed;
use crate::wasm::{GuestState, Services};

impl Host for GuestState {}

type Asked<T> = wasmtime::Result<Result<T, ApiError>>;

type Store = Accessor<GuestState, Guest>;

// Every question goes to the dispatcher as a message: dropping the future here drops the answer, not the deed.
impl HostWithStore<GuestState> for Guest {
    async fn create(store: &Store, binding: String, options: WitCreate) -> Asked<String> {
        show(store, &binding, ids(store, std::slice::from_ref(&options))).await;
        ask(store, &binding, async |runtime, workflow| runtime.create(&workflow, create_options(options)?).await).await
    }

    async fn create_batch(store: &Store, binding: String, instances: Vec<WitCreate>) -> Asked<Vec<String>> {
        show(store, &binding, ids(store, &instances)).await;
        let create = async |runtime: Handle, workflow: String| {
            let options = instances.into_iter().map(create_options).collect::<Result<_, _>>()?;
            runtime.create_batch(&workflow, options).await
        };
        ask(store, &binding, create).await
    }

    async fn create_batch_with_options(store: &Store, binding: String, batch: Batch) -> Asked<BatchResult> {
        match &batch {
            // A larger one is refused below, and creates nothing.
            Batch::Count(Many { count, .. }) => {
                let count = usize::try_from(*count).ok().filter(|count| *count <= limits::BATCH_MAX);
                show(store, &binding, vec![None; count.unwrap_or_default()]).await;
            }
            Batch::Instances(instances) => {
                show(store, &binding, ids(store, instances)).await;
            }
        }
        let create = async |runtime: Handle, workflow: String| {
            let result = match batch {
                Batch::Count(Many { count, params, retention }) => {
                    let options = create_options(WitCreate { id: None, params, retention })?;
                    runtime.create_many(&workflow, count, options).await?
                }
                Batch::Instances(instances) => {
                    let options = instances.into_iter().map(create_options).collect::<Result<_, _>>()?;
                    runtime.create_each(&workflow, options).await?
                }
            };
            let error =
                |BatchError { index, id, code, message }| WitBatchError { index, id, code, message: message.into() };
            Ok(BatchResult { created: result.created, errors: result.errors.into_iter().map(error).collect() })
        };
        ask(store, &binding, create).await
    }

    async fn get(store: &Store, binding: String, id: String) -> Asked<()> {
        ask(store, &binding, async |runtime, workflow| runtime.get(&workflow, &id).await).await
    }

    async fn status(store: &Store, binding: String, id: String) -> Asked<WitStatus> {
        ask(store, &binding, async |runtime, workflow| runtime.status(&workflow, &id).await.map(status)).await
    }

    async fn send_event(store: &Store, binding: String, id: String, event_type: String, payload: Vec<u8>) -> Asked<()> {
        let payload = Bytes::from(payload);
        ask(store, &binding, async |runtime, workflow| runtime.send_event(&workflow, &id, &event_type, payload).await)
            .await
    }

    async fn pause(store: &Store, binding: String, id: String) -> Asked<()> {
        ask(store, &binding, async |runtime, workflow| runtime.pause(&workflow, &id).await).await
    }

    async fn resume(store: &Store, binding: String, id: String) -> Asked<()> {
        ask(store, &binding, async |runtime, workflow| runtime.resume(&workflow, &id).await).await
    }

    async fn terminate(store: &Store, binding: String, id: String, options: TerminateOptions) -> Asked<()> {
        ask(store, &binding, async |runtime, workflow| runtime.terminate(&workflow, &id, options.rollback).await).await
    }

    async fn restart(store: &Store, binding: String, id: String, options: RestartOptions) -> Asked<()> {
        let from = options.from.map(|from| RestartFrom {
            name: from.name,
            count: from.count.unwrap_or(1),
            kind: match from.step_type {
                None | Some(StepType::Do) => StepKind::Do,
                Some(StepType::Sleep) => StepKind::Sleep,
                Some(StepType::WaitForEvent) => StepKind::Wait,
            },
        });
        ask(store, &binding, async |runtime, workflow| runtime.restart(&workflow, &id, from).await).await
    }

    async fn delete(store: &Store, binding: String, id: String) -> Asked<()> {
        ask(store, &binding, async |runtime, workflow| runtime.delete(&workflow, &id).await).await
    }

    async fn delete_batch(store: &Store, binding: String, ids: Vec<String>) -> Asked<DeleteResult> {
        let delete = async |runtime: Handle, workflow: String| {
            let result = runtime.delete_batch(&workflow, ids).await?;
            let error = |error: BatchError| DeleteError {
                id: error.id.unwrap_or_default(),
                code: error.code,
                message: error.message.into(),
            };
            Ok(DeleteResult { deleted: result.deleted, errors: result.errors.into_iter().map(error).collect() })
        };
        ask(store, &binding, delete).await
    }

    async fn subscribe(
        store: &Store,
        binding: String,
        id: String,
        options: WitSubscribe,
    ) -> Asked<Resource<OpenSubscription>> {
        let options = SubscribeOptions { cursor: options.cursor, filter: options.filter };
        let follow = async |runtime: Handle, workflow: String| runtime.subscribe(&workflow, &id, options).await;
        match ask(store, &binding, follow).await? {
            Ok(subscription) => {
                let open = OpenSubscription(Arc::new(Mutex::new(subscription)));
                Ok(Ok(store.with(|mut access| access.get().table().push(open))?))
            }
            Err(error) => Ok(Err(error)),
        }
    }
}

impl HostSubscription for GuestState {
    fn drop(&mut self, this: Resource<OpenSubscription>) -> wasmtime::Result<()> {
        self.table().delete(this)?;
        Ok(())
    }
}

impl HostSubscriptionWithStore<GuestState> for Guest {
    async fn next(store: &Store, this: Resource<OpenSubscription>) -> wasmtime::Result<Option<Vec<u8>>> {
        let (open, busy) = store.with(|mut access| {
            let state = access.get();
            // A workflow that follows another waits for something of the outside world.
            let busy = state.run().map(|run| run.busy());
            state.table().get(&this).map(|open| (Arc::clone(&open.0), busy))
        })?;
        let mut subscription = open.lock().await;
        let event = subscription.next().await;
        drop(busy);
        Ok(event.map(|event| event::to_json(subscription.instance_id(), &event)))
    }
}

/// The ids that instances are given, if somebody wants to see them.
fn ids(store: &Store, instances: &[WitCreate]) -> Vec<Option<String>> {
    let wanted = store.with(|mut access| access.get().services().outside().is_some());
    let instances = if wanted { instances } else { &[] };
    instances.iter().map(|options| options.id.clone()).collect()
}

/// Shows what is created to whoever wants to see it. Nothing of the kind is done by a trial.
async fn show(store: &Store, binding: &str, ids: Vec<Option<String>>) {
    let (services, run) = store.with(|mut access| {
        let state = access.get();
        (Arc::clone(state.services()), state.run().filter(|run| !run.is_trial()).cloned())
    });
    if services.outside().is_none() {
        return;
    }
    if let Ok((_, workflow)) = resolve(store, binding) {
        for id in ids {
            services.show(run.as_ref(), || Deed::Create { workflow: workflow.clone(), id }).await;
        }
    }
}

/// Asks the runtime about the workflow that `binding` stands for.
async fn ask<T>(
    store: &Store,
    binding: &str,
    question: impl AsyncFnOnce(Handle, String) -> Result<T, RuntimeError>,
) -> Asked<T> {
    let (services, workflow) = match resolve(store, binding) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let _busy = store.with(|mut access| access.get().gate()).pass("uses a workflow outside of a step").await?;
    let runtime = services.runtime().await.clone();
    Ok(question(runtime, workflow).await.map_err(api_error))
}

fn resolve(store: &Store, binding: &str) -> Result<(Arc<Services>, String), ApiError> {
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
        Some(Bound::Absent { kind: "workflow", why }) => {
            return Err(ApiError { code: "workflow.not_found".to_owned(), message: why.clone() });
        }
        Some(other) => format!("binding `{binding}` is a {}, not a workflow", other.kind()),
        None => format!("there is no binding `{binding}`"),
    };
    let bound = match bindings.list("workflow") {
        Some(names) => format!("bound workflows: {names}"),
        None => "no workflow is bound; add it to `workflows` in the configuration".to_owned(),
    };
    Err(ApiError { code: "binding.not_found".to_owned(), message: format!("{problem} ({bound})") })
}

fn create_options(options: WitCreate) -> Result<CreateOptions, RuntimeError> {
    Ok(CreateOptions {
        id: options.id,
        params: options.params.map(Bytes::from),
        retention: options.retention.map(retention).transpose()?.unwrap_or_default(),
        ..CreateOptions::default()
    })
}

fn retention(kept: WitRetention) -> Result<Retention, RuntimeError> {
    let ms = |kept: Option<Duration>| {
        let ms = kept.map(|kept| DurationSpec::from(kept).to_ms()).transpose();
        ms.map_err(|_| RuntimeError { code: "body", message: text::INVALID_RETENTION.to_owned() })
    };
    Ok(Retention { success_ms: ms(kept.success)?, error_ms: ms(kept.error)? })
}

fn status(report: StatusReport) -> WitStatus {
    let status = match report.status {
        InstanceStatus::Queued => StatusKind::Queued,
        // While compensations run the binding goes on to say `running` (documented).
        InstanceStatus::Running | InstanceStatus::RollingBack => StatusKind::Running,
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
        rollback: report.rollback.map(|rollback| RollbackOutcome {
            complete: rollback.error.is_none(),
            error: rollback.error.map(Into::into),
        }),
    }
}

fn api_error(error: RuntimeError) -> ApiError {
    ApiError { code: error.code.to_owned(), message: error.message }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rules: C2.1-33
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
        let absent = Bound::Absent { kind: "workflow", why: "not here".to_owned() };
        let error = workflow(&[("BILLING".to_owned(), absent)].into_iter().collect(), "BILLING").unwrap_err();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("workflow.not_found", "not here"));
        let error = workflow(&Bindings::default(), "ORDERS").unwrap_err();
        assert!(error.message.ends_with("(no workflow is bound; add it to `workflows` in the configuration)"));
    }
}
