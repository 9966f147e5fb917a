//! The REST API, twice: version 4 of Cloudflare's under `/client/v4`, and the local one under `/cdn-cgi/local/explorer/api`.
//!
//! A request goes: [`Surface`] (whose path is it) → `guard` (may it be answered) → `routes` (which operation) → `handlers` (typed
//! questions to the runtime, typed answers) → `envelope`. Both surfaces have the same handlers; what differs is in `failure` (codes) and in
//! `model` (how an output is shown).
//!
//! Promises: a request that is refused has changed nothing, and says why in the documented form; what an answer says is committed. A body is
//! read up to a bound. Never does: know wasm, or hold anything but the job that terminates instances.

mod catalog;
mod envelope;
mod failure;
mod guard;
mod handlers;
pub(crate) mod instant;
mod jobs;
mod kept;
mod model;
mod openapi;
mod query;
mod request;
mod routes;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use miniflow_runtime::{Clock, Handle};

pub(crate) use kept::Kept;
pub use openapi::document;

use crate::session::Session;
use crate::triggers::http::Body;
use catalog::Catalog;
use envelope::Reply;
use failure::Failure;
use guard::Rules;
use jobs::Jobs;
use request::Call;
use routes::Found;

/// Whose API a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Cloudflare's: what `wrangler workflows …` and the SDKs speak.
    V4,
    /// The local one: what `wrangler workflows … --local` speaks.
    Local,
}

/// Where the local API is; the second is where older programs look for it.
const LOCAL: [&str; 2] = ["/cdn-cgi/local/explorer/api", "/cdn-cgi/explorer/api"];

/// Where the page of the official local emulator is.
const PAGE: [&str; 2] = ["/cdn-cgi/local/explorer", "/cdn-cgi/explorer"];

const V4: &str = "/client/v4";

impl Surface {
    /// The surface that a path belongs to, and what comes after its prefix; none for a path of somebody else.
    #[must_use]
    pub fn of(path: &str) -> Option<(Self, &str)> {
        let below = |prefix: &str| path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some(rest) = below(V4) {
            return Some((Self::V4, rest));
        }
        LOCAL.iter().find_map(|prefix| below(prefix)).map(|rest| (Self::Local, rest))
    }
}

/// What an API works with.
pub struct ApiOptions {
    /// The instances.
    pub handle: Handle,
    /// The Workers.
    pub session: Session,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What requests have to bring, if anything.
    pub token: Option<String>,
    /// Others on the network reach the server, by an address of this machine.
    pub is_shared: bool,
}

/// Answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    handle: Handle,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    rules: Rules,
    jobs: Jobs,
}

impl Api {
    /// An API of these.
    #[must_use]
    pub fn new(options: ApiOptions) -> Self {
        let ApiOptions { handle, session, clock, token, is_shared } = options;
        let catalog = Catalog::new(session, Arc::clone(&clock));
        Self(Arc::new(Shared { handle, catalog, clock, rules: Rules { token, is_shared }, jobs: Jobs::default() }))
    }

    /// The answer to a request that is for an API; the request itself when it is for somebody else. `peer`: who sent it, if that is known.
    ///
    /// # Errors
    ///
    /// The request.
    pub async fn answer<B>(&self, request: Request<B>, peer: Option<SocketAddr>) -> Result<Response<Body>, Request<B>>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = request.uri().path();
        let Some((surface, rest)) = Surface::of(path) else {
            let is_page = PAGE.iter().any(|page| path.strip_prefix(page).is_some_and(|rest| matches!(rest, "" | "/")));
            return if is_page { Ok(self.no_page(request.headers())) } else { Err(request) };
        };
        let origin = match self.0.rules.check(request.headers(), surface, peer) {
            Ok(origin) => origin,
            Err(refused) => return Ok(refused.response(surface)),
        };
        if request.method() == Method::OPTIONS {
            return Ok(guard::preflight(origin.as_ref()));
        }
        let found = routes::find(surface, request.method(), rest);
        let mut response = match found {
            Ok(Found { op, .. }) if op.is_open() => self.document(surface),
            found => match self.run(surface, found, request, peer).await {
                Ok(reply) => reply.response(),
                Err(failure) => failure.response(surface),
            },
        };
        guard::allow(response.headers_mut(), origin.as_ref());
        Ok(response)
    }

    async fn run<B>(
        &self,
        surface: Surface,
        found: Result<Found, Failure>,
        request: Request<B>,
        peer: Option<SocketAddr>,
    ) -> Result<Reply, Failure>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.0.rules.authorize(request.headers(), surface, peer)?;
        let Found { op, parameters } = found?;
        let call = Call::read(parameters, request).await?;
        let Shared { handle, catalog, .. } = &*self.0;
        let view = View { source: Source::Served(handle), catalog, surface };
        handlers::run(&Context { shared: &self.0, view }, op, call).await
    }

    fn document(&self, surface: Surface) -> Response<Body> {
        envelope::json(StatusCode::OK, Bytes::from(openapi::text(surface)))
    }

    fn no_page(&self, headers: &HeaderMap) -> Response<Body> {
        if let Err(refused) = self.0.rules.check(headers, Surface::Local, None) {
            return refused.response(Surface::Local);
        }
        let hint = "404 Not Found\n\nminiflow has no page to look at instances yet. `wrangler workflows … --local` shows them, and the \
                    API that it uses is described at /cdn-cgi/local/explorer/api.\n";
        envelope::text(StatusCode::NOT_FOUND, hint.to_owned())
    }
}

/// What a handler works with that only reads.
struct View<'a> {
    source: Source<'a>,
    catalog: &'a Catalog,
    surface: Surface,
}

/// Who answers questions about what is kept.
enum Source<'a> {
    Served(&'a Handle),
    Kept(&'a Kept),
}

impl View<'_> {
    fn catalog(&self) -> &Catalog {
        self.catalog
    }

    fn is_local(&self) -> bool {
        self.surface == Surface::Local
    }
}

/// What a handler works with that may change something.
struct Context<'a> {
    shared: &'a Arc<Shared>,
    view: View<'a>,
}

impl Context<'_> {
    fn handle(&self) -> &Handle {
        &self.shared.handle
    }

    fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }
}

impl<'a> Deref for Context<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rules: A128
    #[test]
    fn a_path_belongs_to_the_surface_whose_prefix_it_has_as_a_whole() {
        assert_eq!(Surface::of("/client/v4"), Some((Surface::V4, "")));
        assert_eq!(Surface::of("/client/v4/accounts/a/workflows"), Some((Surface::V4, "/accounts/a/workflows")));
        assert_eq!(Surface::of("/cdn-cgi/local/explorer/api/workflows"), Some((Surface::Local, "/workflows")));
        assert_eq!(Surface::of("/cdn-cgi/explorer/api"), Some((Surface::Local, "")));
        for other in ["/client/v42", "/client", "/cdn-cgi/local/explorer", "/cdn-cgi/local/explorer/apis", "/api"] {
            assert_eq!(Surface::of(other), None, "{other}");
        }
    }
}
