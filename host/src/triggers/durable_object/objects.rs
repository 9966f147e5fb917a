//! The objects of a session: which live, and how events find them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use miniflow_runtime::Clock;
use miniflow_runtime::clock::{Hold, real};
use miniflow_runtime::storage::Durability;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use wasmtime_wasi_http::WasiBody;

use super::alarms::ring;
use super::event::Event;
use super::life::live;
use super::places::Places;
use crate::bindings::durable_object::{Alarm, Alarms, Databases, ObjectKey, StorageError};
use crate::wasm::inward::CallError;
use crate::wasm::{Services, Workers};

/// Events that wait for an object. Whoever sends more is told that it is overloaded, as in production.
const MAILBOX: usize = 1024;

/// The folder of all objects, in the state directory.
const FOLDER: &str = "objects";

/// Between two looks whether all objects are gone.
const STOP_BEAT: Duration = Duration::from_millis(5);

/// The objects. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Objects {
    shared: Arc<Shared>,
    /// Rings the alarms; ends with the last clone.
    ringing: Arc<Mutex<Option<Ringing>>>,
}

struct Ringing(JoinHandle<()>);

impl Drop for Ringing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) workers: Workers,
    pub(super) databases: Databases,
    pub(super) alarms: Alarms,
    pub(super) places: Places,
    living: Mutex<HashMap<ObjectKey, mpsc::Sender<Event>>>,
}

impl Objects {
    /// Opens what is kept in the state directory; none: in memory.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(state: Option<&Path>, durability: Durability, services: &Services) -> Result<Self, StorageError> {
        let folder = state.map(|state| state.join(FOLDER));
        let alarms = Alarms::open(folder.as_deref(), durability)?;
        Ok(Self::of(Databases::new(folder, durability), alarms, services))
    }

    /// Objects whose databases and alarms are these.
    #[must_use]
    pub(crate) fn of(databases: Databases, alarms: Alarms, services: &Services) -> Self {
        let shared = Shared {
            clock: Arc::clone(&services.clock),
            workers: services.workers.clone(),
            databases,
            alarms,
            places: Places::default(),
            living: Mutex::default(),
        };
        Self { shared: Arc::new(shared), ringing: Arc::default() }
    }

    /// Has alarms go off from now on: the Workers are in place.
    pub fn ring(&self) {
        let shared = &self.shared;
        shared.alarms.begin(&shared.clock);
        let ring = ring(shared.alarms.clone(), Arc::clone(&shared.clock), Arc::downgrade(shared));
        *self.ringing.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ringing(tokio::spawn(ring)));
    }

    /// Has an object answer a request. Dropped, the object goes on with it.
    ///
    /// # Errors
    ///
    /// The object's own error, what it died of, or why there is none.
    pub async fn fetch(
        &self,
        object: ObjectKey,
        name: Option<String>,
        request: Request<WasiBody>,
        depth: u32,
    ) -> Result<Response<WasiBody>, CallError> {
        let (reply, answer) = oneshot::channel();
        self.shared.send(object, name, Event::Fetch { request: Box::new(request), depth, reply })?;
        answer.await.unwrap_or_else(|_| Err(CallError("the server stops".to_owned())))
    }

    /// Returns when no object lives any more, at the latest after `max`. To be called when the Workers are retired.
    pub async fn stop(&self, max: Duration) {
        self.ringing.lock().unwrap_or_else(PoisonError::into_inner).take();
        let gone = async {
            while !self.shared.living().is_empty() {
                real::sleep(STOP_BEAT).await;
            }
        };
        if real::timeout(max, gone).await.is_none() {
            tracing::debug!("{} objects were cut", self.shared.living().len());
        }
    }
}

impl Shared {
    /// Tells an object that its alarm goes off.
    pub(super) fn wake(self: &Arc<Self>, object: ObjectKey, alarm: Alarm, hold: Hold) {
        if let Err(CallError(why)) = self.send(object.clone(), None, Event::Alarm { alarm, hold }) {
            tracing::warn!("the alarm of an object of {} is late: {why}", object.namespace);
            let alarms = self.alarms.clone();
            let again = Alarm { due: self.clock.now().plus_ms(1_000), ..alarm };
            tokio::task::spawn_blocking(move || alarms.settle(&object, Some(again)));
        }
    }

    /// Puts an event into the mailbox of an object, which comes to life if it has to.
    fn send(self: &Arc<Self>, object: ObjectKey, name: Option<String>, event: Event) -> Result<(), CallError> {
        let mut living = self.living();
        let sent = match living.entry(object) {
            Entry::Occupied(lives) => lives.get().try_send(event),
            Entry::Vacant(place) => {
                let (mailbox, events) = mpsc::channel(MAILBOX);
                let sent = mailbox.try_send(event);
                // It removes itself, when nothing is left in its mailbox.
                tokio::spawn(live(Arc::clone(self), place.key().clone(), name, events));
                place.insert(mailbox);
                sent
            }
        };
        sent.map_err(|_| CallError("Durable Object is overloaded. Too many requests queued.".to_owned()))
    }

    /// Takes an object off, unless something is in its mailbox. Returns whether it is off.
    pub(super) fn leave(&self, object: &ObjectKey, events: &mpsc::Receiver<Event>) -> bool {
        // Nothing is sent while this is locked.
        let mut living = self.living();
        let gone = events.is_empty();
        if gone {
            living.remove(object);
        }
        gone
    }

    fn living(&self) -> MutexGuard<'_, HashMap<ObjectKey, mpsc::Sender<Event>>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
