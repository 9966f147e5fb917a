//! `#[event(start)]`: code that runs once, before the first event a Worker instance handles.

use std::sync::Once;

use crate::registry::{Registered, Registry};

/// A function marked with `#[event(start)]`. The macro submits it; it is not for direct use.
#[doc(hidden)]
#[derive(Debug)]
pub struct StartHook(pub fn());

impl Registered for StartHook {
    fn registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<StartHook> = Registry::new();
        &REGISTRY
    }
}

/// Runs the hooks, the first time it is called in this instance of the Worker.
pub(crate) fn run_once() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        for hook in StartHook::registry().all() {
            (hook.0)();
        }
    });
}
