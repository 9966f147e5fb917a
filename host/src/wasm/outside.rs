//! Whoever stands between guests and what is outside of them, where somebody does: a check that wants to see what they do there.
//!
//! Promises: it is asked before anything is done, and told on whose behalf. Never does: anything by itself.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use miniflow_runtime::{Run, StepKey};
use wasmtime_wasi_http::{Error, WasiBody};

use super::sending;
use super::services::Services;
use super::tls::Tls;

/// A run of a workflow that does something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Doer {
    /// Its workflow.
    pub workflow: String,
    /// The step whose body it is in; none between steps, or when it cannot be told.
    pub step: Option<StepKey>,
}

impl Doer {
    /// Who does what `run` does now.
    pub(crate) fn of(run: &Run) -> Self {
        let step = run.current_step().map(|(step, _)| step);
        Self { workflow: run.workflow_name().to_owned(), step }
    }
}

/// Something that is done to what is outside of a guest, other than by a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Messages are sent to a queue.
    Send {
        /// Its name.
        queue: String,
        /// The bodies of the messages.
        messages: Vec<Bytes>,
    },
    /// An instance is created.
    Create {
        /// Of which workflow.
        workflow: String,
        /// Its id, if it was given one.
        id: Option<String>,
    },
    /// An object is asked, or a value of a KV namespace is put or deleted.
    Touch {
        /// Which, in the words in which its contents are told.
        place: String,
    },
}

/// See the module. None as a doer: a guest that is no run of a workflow.
pub trait Outside: Send + Sync + 'static {
    /// Sees a deed. False: it is not to be done, and whoever does it is not to go on.
    fn sees(&self, doer: Option<&Doer>, deed: Deed) -> bool;

    /// Answers a request that goes to the network. Never returns when whoever sends it is not to go on.
    fn answer(
        &self,
        doer: Option<Doer>,
        request: Request<Bytes>,
    ) -> BoxFuture<'static, Result<Response<Bytes>, String>>;
}

impl Services {
    /// Shows a deed to whoever stands outside, if somebody does. Never returns when it is not to be done.
    pub(crate) async fn show(&self, run: Option<&Arc<Run>>, deed: impl FnOnce() -> Deed) {
        let Some(outside) = self.outside() else { return };
        let doer = run.map(|run| Doer::of(run));
        show(&*outside, doer.as_ref(), deed()).await;
    }
}

/// Shows a deed to `outside`. Never returns when it is not to be done.
pub(super) async fn show(outside: &dyn Outside, doer: Option<&Doer>, deed: Deed) {
    if !outside.sees(doer, deed) {
        std::future::pending::<()>().await;
    }
}

/// Has `outside` answer a request.
pub(super) async fn ask(
    outside: Arc<dyn Outside>,
    doer: Option<Doer>,
    request: Request<WasiBody>,
) -> Result<Response<WasiBody>, Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    match outside.answer(doer, Request::from_parts(head, body)).await {
        Ok(answer) => Ok(answer.map(whole)),
        Err(why) => Err(Error::InternalError(Some(why))),
    }
}

fn whole(body: Bytes) -> WasiBody {
    WasiBody::new(http_body_util::Full::new(body).map_err(|never| match never {}))
}

/// Sends a request to the network, and reads the answer to its end.
///
/// # Errors
///
/// When there is none.
pub async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let answer = async {
        let (response, connection) = sending::send(&Tls::default(), request.map(whole), None, None).await?;
        let (head, body) = response.into_parts();
        let (body, _) = futures::future::join(body.collect(), Box::into_pin(connection)).await;
        Ok::<_, Error>(Response::from_parts(head, body?.to_bytes()))
    };
    answer.await.map_err(|error| error.to_string())
}
