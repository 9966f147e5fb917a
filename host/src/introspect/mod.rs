//! Introspection: what a test says about instances, and what it sees of them. In the process of the test it is asked by the test kit, and of a
//! server over HTTP.
//!
//! Names, semantics and error texts are those of Cloudflare's tests of Workflows. Every wait follows what is recorded of the instance, sees every
//! status however short it is, skips idle time if that is how the clock goes, and says what the instance is doing when it gives up.
//!
//! Never does: wait for ever, or answer with what another instance has come to.

mod error;
mod instance;

use std::sync::Arc;

use miniflow_runtime::Handle;
use miniflow_runtime::mover::Mover;
use miniflow_runtime::script::{Direction, Scripts, SessionNo};

pub use self::error::IntrospectError;
pub use self::instance::{Introspected, StepResult};

/// Looks into the instances of a session. Cheap to clone.
#[derive(Clone)]
pub struct Introspection {
    scripts: Arc<Scripts>,
    handle: Handle,
    mover: Mover,
}

impl Introspection {
    /// Into the instances of `handle`, whose dispatcher was started with `scripts`.
    #[must_use]
    pub fn new(scripts: Arc<Scripts>, handle: Handle, mover: Mover) -> Self {
        Self { scripts, handle, mover }
    }

    /// Looks into the instance `id` of `workflow`, which need not exist yet.
    #[must_use]
    pub fn instance(&self, workflow: &str, id: &str) -> Introspected {
        Introspected::new(self.clone(), workflow, id)
    }

    /// Begins to look into all instances of `workflow` that are made from now on. `binding` is what whoever asks calls it.
    ///
    /// # Errors
    ///
    /// When somebody does it already.
    pub fn begin(&self, workflow: &str, binding: &str) -> Result<SessionNo, IntrospectError> {
        self.scripts.begin(workflow).ok_or_else(|| {
            IntrospectError::Misuse(format!(
                "Workflow \"{workflow}\" already has an active introspection session for binding \"{binding}\"."
            ))
        })
    }

    /// Says something about every instance that is made afterwards.
    ///
    /// # Errors
    ///
    /// When it contradicts what was said before, or the session has ended.
    pub fn modify_all(
        &self,
        workflow: &str,
        session: SessionNo,
        said: impl IntoIterator<Item = Direction>,
    ) -> Result<(), IntrospectError> {
        // Also if nothing is said.
        self.made(workflow, session)?;
        for direction in said {
            match self.scripts.direct_all(workflow, session, direction) {
                Some(said) => said.map_err(|error| IntrospectError::Misuse(error.to_string()))?,
                None => return Err(has_ended(workflow)),
            }
        }
        Ok(())
    }

    /// The ids of the instances that were made since, in order.
    ///
    /// # Errors
    ///
    /// When the session has ended.
    pub fn made(&self, workflow: &str, session: SessionNo) -> Result<Vec<String>, IntrospectError> {
        self.scripts.made_in(workflow, session).ok_or_else(|| has_ended(workflow))
    }

    /// Ends the session. A second time it does nothing. Returns the ids of the instances that were made since.
    pub fn end(&self, workflow: &str, session: SessionNo) -> Vec<String> {
        self.scripts.end(workflow, session).unwrap_or_default()
    }

    /// Ends the session, and removes the instances that were made since. A second time it does nothing.
    ///
    /// # Errors
    ///
    /// When the server has stopped.
    pub async fn dispose(&self, workflow: &str, session: SessionNo) -> Result<(), IntrospectError> {
        for id in self.end(workflow, session) {
            self.instance(workflow, &id).dispose().await?;
        }
        Ok(())
    }
}

fn has_ended(workflow: &str) -> IntrospectError {
    IntrospectError::Misuse(format!(
        "Workflow \"{workflow}\" does not have an active introspection session for this introspector."
    ))
}
