//! What each operation does. All of them are for both surfaces.

mod account;
mod batches;
mod details;
mod events;
mod instances;
mod lists;
mod steps;
mod versions;
mod workflows;

use miniflow_runtime::dispatcher::CronState;
use miniflow_runtime::storage::{Count, Record, StorageError};
use miniflow_runtime::{ApiError, Timestamp};

use super::catalog::Defined;
use super::envelope::Reply;
use super::failure::Failure;
use super::request::Call;
use super::routes::Op;
use super::{Context, Source, View, instant};

pub(super) async fn run(context: &Context<'_>, op: Op, call: Call) -> Result<Reply, Failure> {
    match op {
        // Answered before: it needs nothing.
        Op::Document => Err(Failure::NoRoute),
        Op::ListAccounts => account::accounts(&call),
        Op::GetAccount => account::account(),
        Op::ListMemberships => account::memberships(&call),
        Op::GetUser => account::user(),
        Op::VerifyToken => account::token(),
        Op::ListWorkers => account::workers(context),
        Op::ListWorkflows => workflows::list(context, &call).await,
        Op::GetWorkflow => workflows::get(context, &call).await,
        Op::PutWorkflow => workflows::put(context, &call).await,
        Op::DeleteWorkflow => workflows::delete(context, &call).await,
        Op::ListVersions => versions::list(context, &call),
        Op::GetVersion => versions::get(context, &call),
        Op::GetGraph => versions::graph(context, &call),
        Op::ListInstances => lists::list(context, &call).await,
        Op::CreateInstance => instances::create(context, &call).await,
        Op::CreateMany => batches::create(context, &call).await,
        Op::DeleteMany => batches::delete(context, &call).await,
        Op::TerminateAll => instances::terminate_all(context, &call).await,
        Op::GetInstance => details::get(context, &call).await,
        Op::DeleteInstance => instances::delete(context, &call).await,
        Op::GetStep => steps::get(context, &call).await,
        Op::SetStatus => instances::set_status(context, &call).await,
        Op::SendEvent => events::send(context, &call).await,
        Op::Subscribe => events::subscribe(context, &call).await,
    }
}

/// The answer to a question that needs no server; none when it is of another kind.
pub(super) async fn read(view: &View<'_>, op: Op, call: &Call) -> Option<Result<Reply, Failure>> {
    match op {
        Op::ListWorkflows => Some(workflows::list(view, call).await),
        Op::GetWorkflow => Some(workflows::get(view, call).await),
        Op::ListInstances => Some(lists::list(view, call).await),
        Op::GetInstance => Some(details::get(view, call).await),
        _ => None,
    }
}

impl View<'_> {
    /// A workflow that is defined.
    fn defined(&self, name: &str) -> Result<Defined, Failure> {
        self.catalog().find(name).ok_or_else(|| Failure::UnknownWorkflow(name.to_owned()))
    }

    /// Asks about what is kept.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn miniflow_runtime::storage::Archive) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.source {
            Source::Served(handle) => handle.read(question).await.map_err(|_: ApiError| Failure::Internal),
            Source::Kept(kept) => kept.read(question).ok_or(Failure::Internal),
        }
    }

    /// What fires by itself, and when. Nothing does where nobody serves.
    async fn next(&self) -> Result<Vec<CronState>, Failure> {
        match self.source {
            Source::Served(handle) => handle.crons().await.ok_or(Failure::Internal),
            Source::Kept(_) => Ok(Vec::new()),
        }
    }

    /// A workflow that is defined, or has instances of an earlier time.
    async fn known(&self, name: &str) -> Result<Option<Defined>, Failure> {
        if let Some(defined) = self.catalog().find(name) {
            return Ok(Some(defined));
        }
        if self.counts(name).await?.is_empty() {
            return Err(Failure::UnknownWorkflow(name.to_owned()));
        }
        Ok(None)
    }

    async fn counts(&self, workflow: &str) -> Result<Vec<Count>, Failure> {
        let workflow = workflow.to_owned();
        self.read(move |archive| archive.counts(Some(&workflow))).await
    }

    async fn record(&self, workflow: &str, id: &str) -> Result<Record, Failure> {
        let asked = (workflow.to_owned(), id.to_owned());
        match self.read(move |archive| archive.record(&asked.0, &asked.1)).await? {
            Some(record) => Ok(record),
            None => {
                self.known(workflow).await?;
                Err(Failure::UnknownInstance(id.to_owned()))
            }
        }
    }
}

impl Context<'_> {
    /// What the runtime refused about an instance. It does not know of workflows that have instances and nothing else any more.
    async fn refused(&self, error: ApiError, workflow: &str, id: &str) -> Failure {
        match Failure::of(error, workflow, id) {
            Failure::UnknownWorkflow(_) if self.known(workflow).await.is_ok_and(|defined| defined.is_none()) => {
                Failure::UnknownInstance(id.to_owned())
            }
            failure => failure,
        }
    }

    fn now(&self) -> String {
        instant::format(self.clock().now())
    }
}

/// The workflow and the instance that a path names.
fn names(call: &Call) -> (&str, &str) {
    (call.parameter(0), call.parameter(1))
}

fn moment(at: Option<Timestamp>) -> Option<String> {
    at.map(instant::format)
}
