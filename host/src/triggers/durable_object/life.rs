//! One object: from its first event to when nothing is left to do, through as many guests as it takes.

use std::future;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use wasmtime::component::Accessor;
use wasmtime::{PoolConcurrencyLimitError, Store};

use super::event::{Begun, Event};
use super::guest::{Ending, Serving, construct, serve};
use super::objects::Shared;
use crate::bindings::durable_object::{AlarmEnd, ObjectKey, ObjectStorage};
use crate::bindings::logging::Level;
use crate::wasm::inward::CallError;
use crate::wasm::pool::PoolBackoff;
use crate::wasm::trap::explain;
use crate::wasm::{Death, Generation, GuestState};

/// Before an alarm of a class that is not there is tried again.
const ABSENT_DELAY_MS: u64 = 5_000;

/// Lives until the object has nothing to do.
pub(super) async fn live(
    shared: Arc<Shared>,
    object: ObjectKey,
    name: Option<String>,
    mut events: mpsc::Receiver<Event>,
) {
    let mut next = None;
    loop {
        if next.is_none() {
            next = events.try_recv().ok();
        }
        let Some(event) = next.take() else {
            if shared.leave(&object, &events) {
                return;
            }
            continue;
        };
        let storage = Arc::new(ObjectStorage::new(object.clone(), shared.databases.clone(), shared.alarms.clone()));
        let life = Life { shared: &shared, object: &object, name: name.as_deref(), storage: &storage };
        next = life.once(event, &mut events).await;
        storage.release().await;
    }
}

struct Life<'a> {
    shared: &'a Shared,
    object: &'a ObjectKey,
    name: Option<&'a str>,
    storage: &'a Arc<ObjectStorage>,
}

impl Life<'_> {
    /// Lives in one guest. Returns the event that the next guest has to begin with, if there is one.
    async fn once(&self, first: Event, events: &mut mpsc::Receiver<Event>) -> Option<Event> {
        let Some(_place) = self.shared.places.take().await else {
            self.refuse(first, "too many objects are doing something at the same time").await;
            return None;
        };
        let generation = match self.generation() {
            Ok(generation) => generation,
            Err(why) => {
                self.refuse(first, &why).await;
                return None;
            }
        };
        let begun = Begun::default();
        let mut first = Some(first);
        let mut backoff = PoolBackoff::default();
        loop {
            // Nothing of the guest may outlive this.
            let mut store = generation.object_store(Arc::clone(self.storage)).await;
            let lived = self.guest(&generation, &mut store, &begun, &mut first, events).await;
            let error = match lived {
                Ok(next) => {
                    drop(store);
                    if let Err(error) = self.storage.flush().await {
                        tracing::error!("an object of {}: {error}", self.object.namespace);
                    }
                    return next;
                }
                Err(error) => error,
            };
            if error.is::<PoolConcurrencyLimitError>() && first.is_some() {
                drop(store);
                backoff.wait().await;
                continue;
            }
            let death = explain(&store, &error).await;
            let report = format!("an object of {} died: {}", self.object.namespace, death.report());
            store.data().console().tell(Level::Error, report);
            drop(store);
            self.died(&death, &begun, first).await;
            return None;
        }
    }

    /// Runs the guest to its end.
    async fn guest(
        &self,
        generation: &Arc<Generation>,
        store: &mut Store<GuestState>,
        begun: &Begun,
        first: &mut Option<Event>,
        events: &mut mpsc::Receiver<Event>,
    ) -> wasmtime::Result<Option<Event>> {
        let cpu = store.data().cpu().clone();
        let lived = async {
            let guest = match construct(generation, store, self.object, self.name).await? {
                Ok(guest) => guest,
                Err(why) => {
                    if let Some(event) = first.take() {
                        self.fail(event, &why).await;
                    }
                    return Ok(None);
                }
            };
            let serving = Serving {
                guest: &guest,
                generation,
                storage: self.storage,
                begun,
                places: &self.shared.places,
                clock: &self.shared.clock,
            };
            let serve = async |accessor: &Accessor<GuestState>| {
                let mut serving = pin!(serve(accessor, serving, first, events));
                // It is polled where the guest waits, and before what the guest has made is passed on.
                future::poll_fn(|context| {
                    self.storage.guest_waits();
                    serving.as_mut().poll(context)
                })
                .await
            };
            let ending = store.run_concurrent(serve).await??;
            Ok(match ending {
                Ending::Idle => None,
                Ending::Retired(next) => next,
            })
        };
        let mut lived = pin!(lived);
        // Its processor time is counted from its last wait.
        future::poll_fn(|context| {
            let polled = lived.as_mut().poll(context);
            if polled.is_pending() {
                cpu.after_pending();
            }
            polled
        })
        .await
    }

    fn generation(&self) -> Result<Arc<Generation>, String> {
        let namespace = &self.object.namespace;
        let generation = self.shared.workers.get(&namespace.worker).and_then(|slot| slot.get());
        match generation {
            None => Err(format!("the Worker `{}` is not in this session", namespace.worker)),
            Some(generation) if generation.is_retired() => Err("the server stops".to_owned()),
            Some(generation) if !generation.has_object_class(&namespace.class) => {
                let has: Vec<_> = generation.object_classes().iter().map(|class| format!("`{}`", class.name)).collect();
                let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
                Err(format!("there is no Durable Object class {namespace} (it has: {has})"))
            }
            Some(generation) => Ok(generation),
        }
    }

    /// The guest is gone, and with it what was not durable.
    async fn died(&self, death: &Death, begun: &Begun, first: Option<Event>) {
        if let Err(error) = self.storage.discard().await {
            tracing::error!("an object of {}: {error}", self.object.namespace);
        }
        begun.fail(&death.message);
        if let Some((alarm, _hold)) = begun.take_alarm() {
            match self.storage.alarm_ends(alarm, true, self.shared.clock.now()).await {
                Ok(AlarmEnd::GivenUp) => tracing::error!("{}", given_up(self.object)),
                Ok(_) => {}
                Err(error) => tracing::error!("an object of {}: {error}", self.object.namespace),
            }
        }
        if let Some(event) = first {
            self.fail(event, &death.message).await;
        }
    }

    /// The object failed before it could begin with `event`.
    async fn fail(&self, event: Event, why: &str) {
        match event {
            Event::Fetch { reply, .. } => {
                // Whoever asked may have gone.
                let _ = reply.send(Err(CallError(why.to_owned())));
            }
            Event::Alarm { alarm, hold } => {
                if let Err(error) = self.storage.alarm_ends(alarm, true, self.shared.clock.now()).await {
                    tracing::error!("an object of {}: {error}", self.object.namespace);
                }
                drop(hold);
            }
        }
    }

    /// There is no object: an alarm waits for it.
    async fn refuse(&self, event: Event, why: &str) {
        match event {
            Event::Fetch { reply, .. } => {
                // Whoever asked may have gone.
                let _ = reply.send(Err(CallError(why.to_owned())));
            }
            Event::Alarm { alarm, hold } => {
                tracing::debug!("the alarm of an object of {} waits: {why}", self.object.namespace);
                let due = self.shared.clock.now().plus_ms(ABSENT_DELAY_MS);
                if let Err(error) = self.storage.postpone_alarm(alarm, due).await {
                    tracing::error!("an object of {}: {error}", self.object.namespace);
                }
                drop(hold);
            }
        }
    }
}

pub(super) fn given_up(object: &ObjectKey) -> String {
    format!("the alarm of an object of {} is given up after 6 retries", object.namespace)
}
