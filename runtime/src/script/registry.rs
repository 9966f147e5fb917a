//! The scripts of a dispatcher: by instance, and for all instances of a workflow that are made from some moment on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::direction::{Direction, Script, ScriptError};
use crate::engine::Bytes;

/// Scripts of instances. Shared by whoever writes them and the dispatcher.
#[derive(Debug)]
pub struct Scripts {
    state: Mutex<State>,
    /// An instance was made.
    made: watch::Sender<()>,
}

/// Which session of a workflow.
pub type SessionNo = u64;

#[derive(Debug, Default)]
struct State {
    /// By workflow and id.
    scripts: HashMap<(String, String), Arc<Script>>,
    /// By workflow.
    sessions: HashMap<String, Session>,
    next_session: SessionNo,
}

#[derive(Debug, Default)]
struct Session {
    number: SessionNo,
    directions: Vec<Direction>,
    /// What contradicts is found here.
    rehearsal: Script,
    /// Ids of instances that were made since it began, in order.
    made: Vec<String>,
}

impl Default for Scripts {
    fn default() -> Self {
        Self { state: Mutex::default(), made: watch::Sender::new(()) }
    }
}

impl Scripts {
    /// The script of an instance, which need not exist yet.
    pub fn of(&self, workflow: &str, id: &str) -> Arc<Script> {
        Arc::clone(self.state().scripts.entry((workflow.to_owned(), id.to_owned())).or_default())
    }

    /// Begins a session: what it is told goes for every instance of the workflow that is made afterwards. None when there is one already.
    pub fn begin(&self, workflow: &str) -> Option<SessionNo> {
        let mut state = self.state();
        let number = state.next_session;
        let Entry::Vacant(place) = state.sessions.entry(workflow.to_owned()) else { return None };
        place.insert(Session { number, ..Session::default() });
        state.next_session += 1;
        Some(number)
    }

    /// Says something about all instances to come. None when the session has ended.
    ///
    /// # Errors
    /// When it contradicts what was said in this session; nothing is changed then.
    pub fn direct_all(
        &self,
        workflow: &str,
        session: SessionNo,
        direction: Direction,
    ) -> Option<Result<(), ScriptError>> {
        let mut state = self.state();
        let session = state.session(workflow, session)?;
        if let Err(error) = session.rehearsal.direct(direction.clone()) {
            return Some(Err(error));
        }
        session.directions.push(direction);
        Some(Ok(()))
    }

    /// Ids of the instances that were made since the session began, in order. None when it has ended.
    #[must_use]
    pub fn made_in(&self, workflow: &str, session: SessionNo) -> Option<Vec<String>> {
        Some(self.state().session(workflow, session)?.made.clone())
    }

    /// Ends a session, and returns the ids of the instances that were made in it. None when it has ended.
    pub fn end(&self, workflow: &str, session: SessionNo) -> Option<Vec<String>> {
        let mut state = self.state();
        state.session(workflow, session)?;
        state.sessions.remove(workflow).map(|session| session.made)
    }

    /// Tells of every instance that is made from now on.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.made.subscribe()
    }

    /// An instance is made: what is said about all of its workflow goes for it, before it starts. Returns the events it has got.
    pub(crate) fn made(&self, workflow: &str, id: &str) -> Vec<(Arc<str>, Bytes)> {
        let script = self.of(workflow, id);
        let directions = match self.state().sessions.get_mut(workflow) {
            Some(session) => {
                session.made.push(id.to_owned());
                session.directions.clone()
            }
            None => Vec::new(),
        };
        for direction in directions {
            if let Err(error) = script.direct(direction) {
                // What was said about this one counts more.
                tracing::warn!(workflow, instance = id, "{error}");
            }
        }
        script.events()
    }

    /// Says that an instance is stored, for whoever waits for it.
    pub(crate) fn tell(&self) {
        self.made.send_replace(());
    }

    /// Forgets what was said about an instance.
    pub fn forget(&self, workflow: &str, id: &str) {
        self.state().scripts.remove(&(workflow.to_owned(), id.to_owned()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn session(&mut self, workflow: &str, number: SessionNo) -> Option<&mut Session> {
        self.sessions.get_mut(workflow).filter(|session| session.number == number)
    }
}
