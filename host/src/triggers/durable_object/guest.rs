//! The guest that is an object: made once, then asked event by event.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{self, BoxFuture};
use futures::stream::FuturesUnordered;
use http::Request;
use http_body_util::BodyExt as _;
use miniflow_runtime::Clock;
use miniflow_runtime::clock::{Hold, real};
use tokio::sync::mpsc;
use wasmtime::Store;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::{WasiBody, WasiHttpView as _};

use super::body::{Gated, Readers};
use super::event::{Begun, Event, Reply};
use super::places::{Idle, Places};
use crate::bindings::durable_object::{Alarm, AlarmEnd, ObjectKey, ObjectStorage};
use crate::bindings::logging::Level;
use crate::wasm::bindings::exports::miniflow::worker::durable_objects::{AlarmInfo, Guest, Object};
use crate::wasm::bindings::miniflow::worker::types::Error;
use crate::wasm::inward::CallError;
use crate::wasm::{self, Generation, GuestState};

/// How long an object lives without events.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// What an object lets run on after its last event is waited for, for so many times as long as it lives without events.
const BEATS_MAX: u32 = 3;

/// Makes the object; the inner error is the guest's own.
pub(super) async fn construct(
    generation: &Generation,
    store: &mut Store<GuestState>,
    object: &ObjectKey,
    name: Option<&str>,
) -> wasmtime::Result<Result<Guest, String>> {
    let Some(guest) = generation.instantiate_object(store).await else {
        wasmtime::bail!("the Worker has no Durable Objects");
    };
    let guest = guest?;
    let object =
        Object { class: object.namespace.class.clone(), id: object.id.to_string(), name: name.map(ToOwned::to_owned) };
    let made = guest.call_construct(&mut *store, &object).await?;
    Ok(made.map(|()| guest).map_err(|error| error.message))
}

/// What an object needs while it lives.
#[derive(Clone, Copy)]
pub(super) struct Serving<'a> {
    pub(super) guest: &'a Guest,
    pub(super) generation: &'a Generation,
    pub(super) storage: &'a Arc<ObjectStorage>,
    pub(super) begun: &'a Begun,
    pub(super) places: &'a Places,
    pub(super) clock: &'a Arc<dyn Clock>,
}

/// Why an object goes.
pub(super) enum Ending {
    /// It has nothing to do.
    Idle,
    /// There is newer code; what came in and is for that.
    Retired(Option<Event>),
}

type Working<'a> = BoxFuture<'a, wasmtime::Result<()>>;

/// Hands `first`, and then one event after the other, to the guest.
pub(super) async fn serve(
    accessor: &Accessor<GuestState>,
    serving: Serving<'_>,
    first: &mut Option<Event>,
    events: &mut mpsc::Receiver<Event>,
) -> wasmtime::Result<Ending> {
    let Serving { generation, storage, places, .. } = serving;
    let readers = Readers::default();
    let mut working: FuturesUnordered<Working<'_>> = FuturesUnordered::new();
    let mut in_transaction = storage.in_transaction();
    let mut next = first.take();
    let (mut retired, mut asked, mut beats) = (false, false, 0);
    loop {
        if !*in_transaction.borrow_and_update()
            && !retired
            && let Some(event) = next.take()
        {
            working.push(begin(accessor, serving, &readers, event)?);
            (asked, beats) = (false, 0);
        }
        let is_quiet = working.is_empty() && (retired || next.is_none());
        let idle = (is_quiet && !retired).then(|| places.idle_now());
        // Cancel-safe: an event that was received is kept in `next`, everything else only tells that something may be done.
        tokio::select! {
            biased;
            Some(done) = working.next(), if !working.is_empty() => done?,
            () = storage.settle() => storage.flush().await?,
            () = generation.retired(), if !retired => retired = true,
            event = events.recv(), if next.is_none() && !retired => next = event,
            _ = in_transaction.changed(), if next.is_some() && !retired => {}
            () = asked_to_go(idle.as_ref()), if !asked => asked = true,
            () = rests(accessor, &readers), if is_quiet && (retired || asked) => break,
            () = real::sleep(IDLE_MAX), if is_quiet => {
                beats += 1;
                let rests = future::poll_fn(|context| Poll::Ready(accessor.poll_no_interesting_tasks(context).is_ready()));
                if !readers.any() && (beats >= BEATS_MAX || rests.await) {
                    break;
                }
            }
        }
    }
    Ok(if retired { Ending::Retired(next) } else { Ending::Idle })
}

async fn asked_to_go(idle: Option<&Idle<'_>>) {
    match idle {
        Some(idle) => idle.asked_to_go().await,
        None => future::pending().await,
    }
}

/// Returns when nobody reads an answer any more, and the guest has nothing left that it let run on.
async fn rests(accessor: &Accessor<GuestState>, readers: &Readers) {
    readers.gone().await;
    future::poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
}

/// Has the guest begin with an event: it enters before any that comes later.
fn begin<'a>(
    accessor: &'a Accessor<GuestState>,
    serving: Serving<'a>,
    readers: &Readers,
    event: Event,
) -> wasmtime::Result<Working<'a>> {
    match event {
        Event::Fetch { request, depth, reply } => fetch(accessor, serving, readers.clone(), *request, depth, reply),
        Event::Alarm { alarm, hold } => Ok(Box::pin(ring(accessor, serving, alarm, hold))),
    }
}

fn fetch<'a>(
    accessor: &'a Accessor<GuestState>,
    serving: Serving<'a>,
    readers: Readers,
    request: Request<WasiBody>,
    depth: u32,
    reply: Reply,
) -> wasmtime::Result<Working<'a>> {
    let Serving { guest, storage, begun, .. } = serving;
    let (number, depth) = begun.fetch(reply, depth);
    let (call, sent) = accessor.with(|mut store| {
        let state = store.get();
        state.cpu().reset();
        state.depth().set(depth);
        let view = state.http();
        let (request, sent) = wasmtime_wasi_http::p3::Request::from_http(view.hooks, request);
        let sent: BoxFuture<'static, _> = Box::pin(sent);
        let request = view.table.push(request)?;
        let call = guest.func_fetch().start_call_concurrent(store, (request,))?;
        wasmtime::error::Ok((call, sent))
    })?;
    Ok(Box::pin(async move {
        let (answer,) = guest.func_fetch().finish_call_concurrent(accessor, call).await?;
        let answer = match answer {
            Ok(response) => {
                let response = accessor.with(|mut store| {
                    let response = store.get().http().table.delete(response)?;
                    response.into_http(&mut store, sent)
                })?;
                wasm::answer(response).map_err(|error| CallError(error.to_string()))
            }
            Err(error) => Err(CallError(error.message)),
        };
        storage.flush().await?;
        let gate = |body| Gated::new(body, Arc::clone(storage), readers).boxed_unsync();
        begun.answer(number, answer.map(|response| response.map(gate)));
        Ok(())
    }))
}

async fn ring(accessor: &Accessor<GuestState>, serving: Serving<'_>, alarm: Alarm, hold: Hold) -> wasmtime::Result<()> {
    let Serving { guest, storage, begun, clock, .. } = serving;
    if !storage.alarm_begins(clock.now()).await? {
        return Ok(());
    }
    begun.alarm(alarm, hold);
    accessor.with(|mut store| store.get().cpu().reset());
    let info = AlarmInfo { scheduled_time: alarm.at.as_millis(), retry_count: alarm.retries };
    let failed = guest.call_alarm(accessor, info).await?.err();
    let end = storage.alarm_ends(alarm, failed.is_some(), clock.now()).await?;
    if let Some(Error { name, message, .. }) = failed {
        let what = match end {
            AlarmEnd::Retry(due) => format!("is called again in {} s", due.since(clock.now()).as_secs_f32().round()),
            AlarmEnd::Replaced => "has set another one".to_owned(),
            AlarmEnd::Done | AlarmEnd::GivenUp => "is given up after 6 retries".to_owned(),
        };
        accessor
            .with(|mut store| store.get().console().tell(Level::Error, format!("{name}: {message} (alarm, {what})")));
    }
    // Only now may the time go on.
    drop(begun.take_alarm());
    Ok(())
}
