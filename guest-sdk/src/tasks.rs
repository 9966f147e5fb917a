//! What a handler lets run on after it has returned, where somebody waits for it.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

/// Futures that are to be run. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Rc<RefCell<Vec<Task>>>);

struct Task(LocalBoxFuture<'static, ()>);

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Task")
    }
}

impl Tasks {
    /// Hands one in.
    pub(crate) fn add(&self, future: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push(Task(future.boxed_local()));
    }

    /// Runs what was handed in, and what that hands in.
    pub(crate) async fn finish(&self) {
        let mut running = FuturesUnordered::new();
        loop {
            running.extend(self.0.borrow_mut().drain(..).map(|task| task.0));
            if running.next().await.is_none() && self.0.borrow().is_empty() {
                return;
            }
        }
    }
}
