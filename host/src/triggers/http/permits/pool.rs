//! Permits that are limited together and for each holder.
//!
//! **Guarantees.** A permit is given to the first in the queue that may have it. One that is dropped, also on its way to a caller that is gone, is
//! given back.
//!
//! **Non-goals.** Time.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Permits of holders of type `H`.
pub(super) struct Pool<H: Eq + Hash + Clone>(Arc<Mutex<State<H>>>);

impl<H: Eq + Hash + Clone> Default for Pool<H> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { taken: 0, by_holder: HashMap::new(), queue: VecDeque::new() })))
    }
}

struct State<H: Eq + Hash + Clone> {
    taken: usize,
    by_holder: HashMap<H, usize>,
    queue: VecDeque<Waiter<H>>,
}

struct Waiter<H: Eq + Hash + Clone> {
    want: Want<H>,
    permit: oneshot::Sender<Permit<H>>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Want<H> {
    /// Whose permits are counted; `None` counts for nobody.
    pub(super) holder: Option<H>,
    /// Permits of the holder at a time.
    pub(super) holder_max: usize,
    /// Permits of all at a time.
    pub(super) max: usize,
}

/// A permit; given back when it is dropped.
pub(in crate::triggers::http) struct Permit<H: Eq + Hash + Clone> {
    holder: Option<H>,
    /// `None` when it was given back.
    pool: Option<Arc<Mutex<State<H>>>>,
}

impl<H: Eq + Hash + Clone> Pool<H> {
    /// Returns a permit as soon as there is one.
    ///
    /// # Cancel safety
    ///
    /// When dropped, no permit is held.
    pub(super) async fn take(&self, want: Want<H>) -> Permit<H> {
        let (permit, given) = oneshot::channel();
        {
            let mut state = lock(&self.0);
            // Those in the queue may not have one: it is looked through whenever that may have changed.
            if state.allows(&want) {
                return state.give(want.holder, &self.0);
            }
            state.queue.retain(|waiter| !waiter.permit.is_closed());
            state.queue.push_back(Waiter { want, permit });
        }
        match given.await {
            Ok(permit) => permit,
            // The sender is in the queue, which lives as long as the pool.
            Err(_) => Permit { holder: None, pool: None },
        }
    }
}

impl<H: Eq + Hash + Clone> State<H> {
    fn allows(&self, want: &Want<H>) -> bool {
        let held = want.holder.as_ref().and_then(|holder| self.by_holder.get(holder)).copied().unwrap_or_default();
        self.taken < want.max && held < want.holder_max
    }

    fn give(&mut self, holder: Option<H>, pool: &Arc<Mutex<Self>>) -> Permit<H> {
        self.taken += 1;
        if let Some(holder) = &holder {
            *self.by_holder.entry(holder.clone()).or_default() += 1;
        }
        Permit { holder, pool: Some(Arc::clone(pool)) }
    }

    fn take_back(&mut self, holder: Option<&H>) {
        self.taken = self.taken.saturating_sub(1);
        let Some(holder) = holder else { return };
        if let Some(held) = self.by_holder.get_mut(holder) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.by_holder.remove(holder);
            }
        }
    }

    /// The first in the queue that may have a permit now.
    fn next(&mut self) -> Option<Waiter<H>> {
        let place = self.queue.iter().position(|waiter| waiter.permit.is_closed() || self.allows(&waiter.want))?;
        self.queue.remove(place)
    }
}

impl<H: Eq + Hash + Clone> Drop for Permit<H> {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        let mut state = lock(&pool);
        state.take_back(self.holder.as_ref());
        while let Some(Waiter { want, permit }) = state.next() {
            let given = state.give(want.holder, &pool);
            if let Err(mut given) = permit.send(given) {
                // The caller is gone. Dropping it here would lock the pool a second time.
                given.pool = None;
                state.take_back(given.holder.as_ref());
            }
        }
    }
}

fn lock<H: Eq + Hash + Clone>(pool: &Mutex<State<H>>) -> MutexGuard<'_, State<H>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn want(holder: &'static str, holder_max: usize, max: usize) -> Want<&'static str> {
        Want { holder: Some(holder), holder_max, max }
    }

    #[tokio::test]
    async fn permit_goes_to_the_first_that_may_have_it() {
        let pool = Pool::default();
        let held = pool.take(want("a", 2, 2)).await;
        let other = pool.take(want("b", 2, 2)).await;
        let mut third_a = Box::pin(pool.take(want("a", 1, 2)));
        let mut gone = Box::pin(pool.take(want("c", 1, 2)));
        let mut fourth_c = Box::pin(pool.take(want("c", 1, 2)));
        for waiting in [&mut third_a, &mut gone, &mut fourth_c] {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        drop(gone);
        drop(other);
        // `a` holds one already, as many as it may.
        assert!(third_a.as_mut().now_or_never().is_none());
        let given = fourth_c.as_mut().now_or_never().expect("one is free");
        drop(held);
        assert!(third_a.as_mut().now_or_never().is_some());
        drop(given);
        assert_eq!(lock(&pool.0).taken, 0);
        assert!(lock(&pool.0).by_holder.is_empty());
    }

    #[tokio::test]
    async fn permit_on_its_way_to_a_caller_that_is_gone_returns() {
        let pool = Pool::default();
        let held = pool.take(want("a", 1, 1)).await;
        let mut waiting = Box::pin(pool.take(want("a", 1, 1)));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        assert_eq!(lock(&pool.0).taken, 1);
        drop(waiting);
        assert_eq!(lock(&pool.0).taken, 0);
    }
}
