//! [`Context`]: what outlives the response.

use std::future::Future;

use crate::host;

/// The circumstances of one event, besides its content and the [`Env`](crate::Env).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Context {}

impl Context {
    pub(crate) fn new() -> Self {
        Self {}
    }

    /// Lets `future` run on after the handler has answered. It runs on the same thread and shares the Worker's memory;
    /// nobody waits for it, so it logs its own failures.
    pub fn wait_until<F>(&self, future: F)
    where
        F: Future<Output = ()> + 'static,
    {
        host::required("`Context::wait_until`");
        // The handle only serves to cancel or await the task.
        drop(wit_bindgen::spawn_local(future));
    }
}
