//! Requests that leave the Worker: answered by the test, or denied.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use miniflow::wasm::outside::{Deed, Doer, Outside, send};
use miniflow_runtime::Clock as _;
use miniflow_runtime::clock::MovableClock;

use crate::body::Body;
use crate::error::Error;
use crate::fixtures::Fixtures;
use crate::running::TestWorker;
use crate::secrets::Secrets;

type Answer = Arc<dyn Fn(Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> + Send + Sync>;

/// Stands between a Worker under test and the network.
#[derive(Default)]
pub(crate) struct Outbound {
    /// The last that fits counts.
    rules: Mutex<Vec<(Pattern, Rule)>>,
    sent: Mutex<Vec<Request<Bytes>>>,
    /// Why requests were not answered.
    refused: Mutex<Vec<String>>,
    /// What is not to be written into files.
    secrets: Secrets,
    /// Held while the test answers, so that no time is skipped meanwhile.
    pub(crate) clock: OnceLock<MovableClock>,
}

/// What becomes of a request.
#[derive(Clone)]
enum Rule {
    /// The test answers it.
    Answer(Answer),
    /// It is sent.
    Send,
    /// A file answers it, or is to know how it is answered.
    File(Arc<Fixtures>),
}

/// The beginning of URLs.
struct Pattern {
    scheme: Option<String>,
    authority: String,
    path: String,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Self { scheme, authority: authority.to_ascii_lowercase(), path: path.trim_end_matches('/').to_owned() }
    }

    fn fits(&self, uri: &Uri) -> bool {
        let of_scheme = self.scheme.as_deref().is_none_or(|scheme| uri.scheme_str() == Some(scheme));
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let authority = uri.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let rest = uri.path().strip_prefix(self.path.as_str());
        let of_path = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let of_host = self.authority == "*" || self.authority == host || self.authority == authority;
        of_scheme && of_path && of_host
    }
}

impl Outbound {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self { secrets, ..Self::default() }
    }

    fn add(&self, pattern: &str, rule: Rule) {
        lock(&self.rules).push((Pattern::new(pattern), rule));
    }

    /// What is to become of a request to `uri`; none: it is denied.
    fn rule(&self, uri: &Uri) -> Option<Rule> {
        lock(&self.rules).iter().rev().find(|(pattern, _)| pattern.fits(uri)).map(|(_, rule)| rule.clone())
    }

    /// Why requests were not answered, in order.
    pub(crate) fn refused(&self) -> Vec<String> {
        lock(&self.refused).clone()
    }
}

/// As the world of a Worker under test.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<Outbound>);

impl Outside for Shared {
    fn sees(&self, _doer: Option<&Doer>, _deed: Deed) -> bool {
        true
    }

    fn answer(
        &self,
        doer: Option<Doer>,
        request: Request<Bytes>,
    ) -> BoxFuture<'static, Result<Response<Bytes>, String>> {
        let outbound = Arc::clone(&self.0);
        lock(&outbound.sent).push(request.clone());
        let rule = outbound.rule(request.uri());
        let hold = outbound.clock.get().map(|clock| clock.hold());
        Box::pin(async move {
            let _hold = hold;
            let answered = match rule {
                Some(Rule::Answer(answer)) => Ok(answer(request).await),
                Some(Rule::Send) => return send(request).await,
                Some(Rule::File(fixtures)) => fixtures.answer(doer, request).await,
                None => Err(denied(&request)),
            };
            answered.inspect_err(|why| lock(&outbound.refused).push(why.clone()))
        })
    }
}

fn denied(request: &Request<Bytes>) -> String {
    let uri = request.uri();
    let (scheme, authority) = (uri.scheme_str().unwrap_or("https"), uri.authority().map_or("", |it| it.as_str()));
    format!(
        "{} {uri} was not sent: tests have no network. Answer it with `worker.outbound(\"{scheme}://{authority}\", …)`, or send it with \
         `worker.allow_outbound(\"{authority}\")`",
        request.method()
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is ever half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TestWorker {
    /// Has requests of guests answered whose URL begins with `url`: a host, with or without scheme, port and path. What is said last counts. A
    /// request that nothing was said about is denied: the guest gets an error that names it.
    ///
    /// ```no_run
    /// use miniflow_test::http;
    /// # use miniflow_test::{Body, Worker};
    /// # async fn test() -> Result<(), miniflow_test::Error> {
    /// let worker = Worker::here().start().await?;
    /// worker.outbound("https://bank.example/charge", |request| async move {
    ///     assert_eq!(request.headers()["idempotency-key"], "order-1");
    ///     http::Response::new(r#"{"receipt":"r-1"}"#)
    /// });
    /// # Ok(()) }
    /// ```
    pub fn outbound<A, F, B>(&self, url: &str, answer: A)
    where
        A: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Into<Body>,
    {
        let answer = move |request| -> BoxFuture<'static, Response<Bytes>> {
            let answer = answer(request);
            Box::pin(async move { answer.await.map(|body| body.into().0) })
        };
        self.0.outbound.add(url, Rule::Answer(Arc::new(answer)));
    }

    /// Lets requests of guests out to the network whose URL begins with `url`, as in [`Self::outbound`].
    pub fn allow_outbound(&self, url: &str) {
        self.0.outbound.add(url, Rule::Send);
    }

    /// Has requests of guests answered from `file` whose URL begins with `url`, as in [`Self::outbound`]; `"*"` is every URL. A request that is
    /// not in the file is an error that says in what it differs.
    ///
    /// With `MINIFLOW_RECORD=1` in the environment of the test the requests are sent, and the file is written anew with their answers.
    ///
    /// ```no_run
    /// # use miniflow_test::Worker;
    /// # async fn test() -> Result<(), miniflow_test::Error> {
    /// let worker = Worker::here().start().await?;
    /// worker.replay_outbound("https://rates.example", "tests/fixtures/rates.json")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the file is not there, or is something else; when another Worker of this process has recorded into it.
    pub fn replay_outbound(&self, url: &str, file: impl AsRef<Path>) -> Result<(), Error> {
        self.add_file(url, file.as_ref(), false)
    }

    /// Sends requests of guests as [`Self::allow_outbound`], and writes `file` anew with them and their answers, for [`Self::replay_outbound`].
    ///
    /// # Errors
    ///
    /// When another Worker of this process has recorded into the file.
    pub fn record_outbound(&self, url: &str, file: impl AsRef<Path>) -> Result<(), Error> {
        self.add_file(url, file.as_ref(), true)
    }

    fn add_file(&self, url: &str, file: &Path, is_recording: bool) -> Result<(), Error> {
        let outbound = &self.0.outbound;
        let fixtures = Fixtures::open(file, is_recording, outbound.secrets.clone())?;
        outbound.add(url, Rule::File(Arc::new(fixtures)));
        Ok(())
    }

    /// The requests that guests have sent so far, also those that were denied, oldest first.
    #[must_use]
    pub fn outbound_requests(&self) -> Vec<Request<Bytes>> {
        lock(&self.0.outbound.sent).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_meant_by_its_beginning() {
        let fits = |pattern: &str, uri: &str| Pattern::new(pattern).fits(&uri.parse().unwrap());
        assert!(fits("bank.example", "https://bank.example/a?b=c"));
        assert!(fits("bank.example", "http://Bank.example:8080/"));
        assert!(fits("https://bank.example/charge", "https://bank.example/charge/7?x"));
        assert!(fits("https://bank.example/", "https://bank.example"));
        assert!(!fits("https://bank.example/charge", "https://bank.example/charges"));
        assert!(!fits("https://bank.example", "http://bank.example/"));
        assert!(!fits("bank.example:81", "http://bank.example/"));
        assert!(!fits("bank.example", "http://mybank.example/"));
        assert!(fits("*", "http://mybank.example/a") && !fits("https://*", "http://mybank.example/a"));
    }
}
