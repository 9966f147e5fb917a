//! How many requests a session serves at a time: each needs an instance, and the pool has a part for them.
//!
//! **Guarantees.** A request from outside has a permit of its own kind, so requests between Workers never wait for one of them. A request that asks
//! another Worker never waits for requests that are less deep in the chain: each depth has permits that no lower depth can take, so a chain ends.
//! No Worker holds all permits for requests between Workers, and no client on the network those from outside. A request whose body
//! has not arrived holds no permit, but for the few of [`INCOMPLETE_MAX`]: those whose body is a stream.
//!
//! **Non-goals.** An order among requests that wait, beyond first come, first served.

mod pool;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::clock::real;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::WasiBody;

use self::pool::{Permit, Pool, Want};
use super::early::Early;
use crate::wasm::inward::DEPTH_MAX;

/// Requests from outside at a time.
pub(super) const OUTSIDE_MAX: usize = 160;

/// The same of one client, when it is on another machine. Programs of this machine have one address and cannot be told apart.
const CLIENT_MAX: usize = 120;

/// Requests from outside whose body has not arrived to its end.
const INCOMPLETE_MAX: usize = 24;

/// Requests of Workers and objects to Workers at a time.
const NESTED_MAX: usize = 96;

/// Of these, what one Worker leaves to others.
const OTHERS_MIN: usize = 16;

/// How long a request waits for its permit.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The permits of a session. Cheap to clone; all clones share them.
#[derive(Clone)]
pub struct Permits(Arc<Shared>);

struct Shared {
    outside: Pool<IpAddr>,
    nested: Pool<Arc<str>>,
    incomplete: Arc<Semaphore>,
}

impl Default for Permits {
    fn default() -> Self {
        Self(Arc::new(Shared {
            outside: Pool::default(),
            nested: Pool::default(),
            incomplete: Arc::new(Semaphore::new(INCOMPLETE_MAX)),
        }))
    }
}

/// The permit of one request; given back when it is dropped.
pub(super) enum RequestPermit {
    Outside { _permit: Permit<IpAddr> },
    Nested { _permit: Permit<Arc<str>> },
}

/// Why a request has no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPermit {
    /// None was given back in time.
    Overloaded { max: usize },
    /// The body of the request broke off before.
    Body,
}

impl Permits {
    /// Returns a permit for a request from outside, and its body. A body that has not arrived is kept in memory until it is whole, is longer
    /// than the buffer, or one of the permits for streams is free. `client` is its address. With `is_asked_for` the body is not read: the client
    /// waits for the word that it is wanted.
    ///
    /// # Errors
    ///
    /// [`NoPermit`].
    ///
    /// # Cancel safety
    ///
    /// When dropped, nothing is held. The body is lost.
    pub(super) async fn outside(
        &self,
        body: WasiBody,
        is_asked_for: bool,
        client: Option<IpAddr>,
    ) -> Result<(WasiBody, RequestPermit), NoPermit> {
        let mut body = Early::new(body);
        let stream = if body.is_whole() { None } else { self.stream(&mut body, is_asked_for).await? };
        let holder = client.filter(|client| !client.to_canonical().is_loopback());
        let holder_max = if holder.is_some() { CLIENT_MAX } else { OUTSIDE_MAX };
        let want = Want { holder, holder_max, max: OUTSIDE_MAX };
        let permit = self.0.outside.take(want);
        let permit = real::timeout(PERMIT_TIMEOUT, permit).await.ok_or(NoPermit::Overloaded { max: OUTSIDE_MAX })?;
        Ok((body.with_permit(stream), RequestPermit::Outside { _permit: permit }))
    }

    /// Waits for the body, or for a permit to be served before it is whole.
    async fn stream(&self, body: &mut Early, is_asked_for: bool) -> Result<Option<OwnedSemaphorePermit>, NoPermit> {
        let incomplete = &self.0.incomplete;
        if let Ok(permit) = Arc::clone(incomplete).try_acquire_owned() {
            return Ok(Some(permit));
        }
        let permit = Arc::clone(incomplete).acquire_owned();
        if is_asked_for {
            let permit = real::timeout(PERMIT_TIMEOUT, permit).await;
            return permit.and_then(Result::ok).map(Some).ok_or(NoPermit::Overloaded { max: INCOMPLETE_MAX });
        }
        tokio::select! {
            biased;
            filled = body.fill() => filled.map(|()| None).map_err(|_| NoPermit::Body),
            permit = permit => Ok(permit.ok()),
        }
    }

    /// Returns a permit for a request to `worker` that is the `depth`-th in its chain.
    ///
    /// # Errors
    ///
    /// [`NoPermit::Overloaded`].
    pub(super) async fn nested(&self, worker: &str, depth: u32) -> Result<RequestPermit, NoPermit> {
        let max = nested_max(depth);
        let want = Want { holder: Some(Arc::from(worker)), holder_max: max - OTHERS_MIN, max };
        let permit = real::timeout(PERMIT_TIMEOUT, self.0.nested.take(want)).await;
        let permit = permit.ok_or(NoPermit::Overloaded { max })?;
        Ok(RequestPermit::Nested { _permit: permit })
    }
}

/// Permits that requests of this depth may hold together with all that are less deep. It grows with each depth.
fn nested_max(depth: u32) -> usize {
    let depth = depth.clamp(1, DEPTH_MAX);
    let deeper = usize::try_from(DEPTH_MAX - depth).unwrap_or_default();
    NESTED_MAX - deeper.max((NESTED_MAX / 2) >> (depth - 1))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt as _;
    use futures::stream::{self, StreamExt as _};
    use http_body::Frame;
    use http_body_util::{BodyExt as _, Empty, StreamBody};
    use wasmtime_wasi_http::Error;

    use super::*;

    fn empty() -> WasiBody {
        Empty::new().map_err(|never| match never {}).boxed_unsync()
    }

    /// A body whose first bytes have arrived, and no more.
    fn stalled(bytes: usize) -> WasiBody {
        let first = stream::iter([Ok::<_, Error>(Frame::data(Bytes::from(vec![0; bytes])))]);
        StreamBody::new(first.chain(stream::pending())).boxed_unsync()
    }

    #[test]
    fn each_depth_has_permits_of_its_own() {
        for depth in 1..DEPTH_MAX {
            assert!(nested_max(depth) < nested_max(depth + 1), "{depth}");
        }
        assert_eq!((nested_max(1), nested_max(DEPTH_MAX)), (48, NESTED_MAX));
        assert!(nested_max(1) - OTHERS_MIN > INCOMPLETE_MAX);
    }

    #[tokio::test]
    async fn incomplete_bodies_leave_permits_to_whole_ones() {
        let permits = Permits::default();
        let mut waiting = Vec::new();
        let mut held = Vec::new();
        for _ in 0..1_000 {
            let mut request = Box::pin(permits.outside(stalled(1), false, None).map(|admitted| admitted.ok()));
            match request.as_mut().now_or_never() {
                Some(admitted) => held.push(admitted.unwrap()),
                None => waiting.push(request),
            }
        }
        assert_eq!(held.len(), INCOMPLETE_MAX);
        let whole = permits.outside(empty(), false, None).now_or_never();
        assert!(whole.unwrap().is_ok());
        // One that flows need not be whole.
        let flowing = permits.outside(stalled(1 << 20), false, None).now_or_never();
        assert!(flowing.unwrap().is_ok());
    }

    #[tokio::test]
    async fn permit_for_streams_returns_when_the_body_is_whole() {
        let permits = Permits::default();
        let mut held = Vec::new();
        for _ in 0..INCOMPLETE_MAX {
            let body = StreamBody::new(stream::iter([Ok::<_, Error>(Frame::data(Bytes::from_static(b"x")))]));
            held.push(permits.outside(body.boxed_unsync(), false, None).await.ok().unwrap());
        }
        assert_eq!(permits.0.incomplete.available_permits(), 0);
        for (body, _) in &mut held {
            assert_eq!(body.collect().await.unwrap().to_bytes(), "x");
        }
        assert_eq!(permits.0.incomplete.available_permits(), INCOMPLETE_MAX);
    }

    #[tokio::test]
    async fn one_client_or_worker_cannot_take_all_permits() {
        let permits = Permits::default();
        let far: IpAddr = [192, 0, 2, 1].into();
        let mut held = Vec::new();
        while let Some(Ok((_, permit))) = permits.outside(empty(), false, Some(far)).now_or_never() {
            held.push(permit);
        }
        assert_eq!(held.len(), CLIENT_MAX);
        assert!(permits.outside(empty(), false, Some([127, 0, 0, 1].into())).now_or_never().is_some());
        let mut nested = Vec::new();
        while let Some(Ok(permit)) = permits.nested("auth", 1).now_or_never() {
            nested.push(permit);
        }
        assert_eq!(nested.len(), nested_max(1) - OTHERS_MIN);
        assert!(permits.nested("shop", 1).now_or_never().is_some(), "another Worker");
        assert!(permits.nested("auth", 2).now_or_never().is_some(), "deeper in a chain");
    }
}
