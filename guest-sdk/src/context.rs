//! [`Context`]: what outlives the response.

use std::future::Future;

use crate::host;
use crate::tasks::Tasks;

/// The circumstances of one event, besides its content and the [`Env`](crate::Env).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Context {
    /// Where the event is over only when these are.
    tasks: Option<Tasks>,
}

impl Context {
    pub(crate) fn new() -> Self {
        Self { tasks: None }
    }

    /// One whose futures are waited for, with [`finish`](Self::finish).
    pub(crate) fn collecting() -> Self {
        Self { tasks: Some(Tasks::default()) }
    }

    pub(crate) async fn finish(&self) {
        if let Some(tasks) = &self.tasks {
            tasks.finish().await;
        }
    }

    /// Lets `future` run on after the handler has answered. It runs on the same thread and shares the Worker's memory. The messages of a
    /// queue are done only when it is; of a request nobody waits for it. It logs its own failures.
    pub fn wait_until<F>(&self, future: F)
    where
        F: Future<Output = ()> + 'static,
    {
        if let Some(tasks) = &self.tasks {
            return tasks.add(future);
        }
        host::required("`Context::wait_until`");
        // The handle only serves to cancel or await the task.
        drop(crate::bindings::wit_bindgen::spawn_local(future));
    }
}
