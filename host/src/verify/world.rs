//! Sandbox of one run: it answers the run's requests and records its effects.
//!
//! **Guarantees.** After it is closed, it records no effect and never answers: a killed run has no further effects.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, StatusCode};

use super::scenario::Scenario;
use crate::wasm::outside::{Deed, Doer, Outside, send};

/// Longest part of a body that is shown, in characters.
const SHOWN_MAX: usize = 200;

/// Recorded effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Origin of the effect. `None` for a Durable Object or a called Worker.
    pub doer: Option<Doer>,
    /// Description for the user.
    pub text: String,
    /// Key of an idempotent effect: equal keys count once. `None` if every repetition counts.
    pub identity: Option<String>,
}

/// Effects and accesses of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Effects, in order.
    pub effects: Vec<Effect>,
    /// Number of accesses to each stored object or key, by origin.
    pub touches: BTreeMap<String, BTreeMap<Option<Doer>, usize>>,
}

impl Done {
    /// Appends a later log.
    pub fn extend(&mut self, later: Self) {
        self.effects.extend(later.effects);
        for (place, doers) in later.touches {
            let known = self.touches.entry(place).or_default();
            for (doer, count) in doers {
                *known.entry(doer).or_default() += count;
            }
        }
    }
}

/// Sandbox of one run, shared by all clones.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    scenario: Arc<Scenario>,
    /// Responses of the first run.
    answers: Arc<Answers>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: Done,
    /// Number of times each request was sent.
    asked: HashMap<Question, usize>,
    given: Answers,
    ended: bool,
}

/// Request and its origin.
type Question = (Option<Doer>, Method, String, Bytes);

/// Recorded responses by request, in order.
pub type Answers = HashMap<Question, Vec<Answer>>;

/// Recorded response.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl World {
    /// Creates a sandbox that answers from `scenario` and repeats the recorded responses.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, answers: Arc<Answers>) -> Self {
        Self(Arc::new(Shared { scenario, answers, state: Mutex::default() }))
    }

    /// Returns the effects so far.
    #[must_use]
    pub fn done(&self) -> Done {
        self.state().done.clone()
    }

    /// Returns the number of effects so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().done.effects.len()
    }

    /// Returns the recorded responses.
    #[must_use]
    pub fn answers(&self) -> Answers {
        self.state().given.clone()
    }

    /// Closes the sandbox.
    pub fn end(&self) {
        self.state().ended = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an effect. Returns `false` if the sandbox is closed.
    fn does(&self, effect: Option<Effect>) -> bool {
        let mut state = self.state();
        if !state.ended {
            state.done.effects.extend(effect);
        }
        !state.ended
    }

    /// Returns the recorded response to the n-th repetition of `question`.
    fn answered(&self, question: &Question) -> Option<Answer> {
        let mut state = self.state();
        let count = state.asked.entry(question.clone()).or_default();
        let before = self.0.answers.get(question)?;
        let answer = before.get(*count).or(before.last());
        *count += 1;
        answer.filter(|_| !self.0.scenario.live).cloned()
    }
}

impl Outside for World {
    fn sees(&self, doer: Option<&Doer>, deed: Deed) -> bool {
        let effects: Vec<_> = match deed {
            Deed::Touch { place } => {
                let mut state = self.state();
                if !state.ended {
                    *state.done.touches.entry(place).or_default().entry(doer.cloned()).or_default() += 1;
                }
                return !state.ended;
            }
            Deed::Send { queue, messages } => {
                let text = |body: &Bytes| format!("message to the queue `{queue}`: {}", shown(body));
                messages.iter().map(|body| (text(body), None)).collect()
            }
            Deed::Create { workflow, id: None } => {
                vec![(format!("instance of the workflow `{workflow}`, without an id"), None)]
            }
            Deed::Create { workflow, id: Some(id) } => {
                let text = format!("instance `{id}` of the workflow `{workflow}`");
                vec![(text.clone(), Some(text))]
            }
        };
        effects.into_iter().all(|(text, identity)| self.does(Some(Effect { doer: doer.cloned(), text, identity })))
    }

    fn answer(
        &self,
        doer: Option<Doer>,
        request: Request<Bytes>,
    ) -> BoxFuture<'static, Result<Response<Bytes>, String>> {
        let world = self.clone();
        Box::pin(async move {
            let question = (doer.clone(), request.method().clone(), request.uri().to_string(), request.body().clone());
            if !world.does(effect(doer, &request)) {
                return std::future::pending().await;
            }
            if let Some(answer) = world.answered(&question) {
                return Ok(answer.response());
            }
            let response = match world.0.scenario.answer(&request) {
                Some(response) => response,
                None => send(request).await?,
            };
            let (head, body) = response.into_parts();
            let answer = Answer { status: head.status, headers: head.headers, body };
            world.state().given.entry(question).or_default().push(answer.clone());
            Ok(answer.response())
        })
    }
}

impl Answer {
    fn response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Returns the effect of a request on its receiver. `None` for a request that only reads.
fn effect(doer: Option<Doer>, request: &Request<Bytes>) -> Option<Effect> {
    let (method, url) = (request.method(), request.uri());
    if method.is_safe() {
        return None;
    }
    let key = request.headers().get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    let body = shown(request.body());
    let text = match &key {
        Some(key) => format!("{method} {url} {body} (Idempotency-Key: {key})"),
        None => format!("{method} {url} {body}"),
    };
    let identity = match key {
        Some(key) => Some(format!("{method} {url} key {key}")),
        // // PUT and DELETE are idempotent.
        None if method.is_idempotent() => Some(format!("{method} {url} {}", String::from_utf8_lossy(request.body()))),
        None => None,
    };
    Some(Effect { doer, text, identity })
}

fn shown(body: &Bytes) -> String {
    let text = String::from_utf8_lossy(body);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn request(method: Method, key: Option<&str>, body: &'static str) -> Request<Bytes> {
        let request = Request::builder().method(method).uri("http://bank/");
        let request = key.into_iter().fold(request, |request, key| request.header("Idempotency-Key", key));
        request.body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    fn identity(method: Method, key: Option<&str>, body: &'static str) -> Option<Option<String>> {
        effect(None, &request(method, key, body)).map(|effect| effect.identity)
    }

    #[test]
    fn what_may_be_done_twice_has_an_identity() {
        assert_eq!(identity(Method::GET, None, ""), None);
        assert_eq!(identity(Method::HEAD, None, ""), None);
        assert_eq!(identity(Method::POST, None, "1"), Some(None));
        assert_eq!(identity(Method::PATCH, None, "1"), Some(None));
        // // The idempotency key decides, also if the bodies differ.
        assert_eq!(identity(Method::POST, Some("a"), "1"), identity(Method::POST, Some("a"), "2"));
        assert_ne!(identity(Method::POST, Some("a"), "1"), identity(Method::POST, Some("b"), "1"));
        assert_eq!(identity(Method::PUT, None, "1"), identity(Method::PUT, None, "1"));
        assert_ne!(identity(Method::PUT, None, "1"), identity(Method::PUT, None, "2"));
        assert!(identity(Method::DELETE, None, "").unwrap().is_some());
    }

    #[test]
    fn what_was_asked_before_is_answered_as_then() {
        let stubs = |status: u16| Stubs::of(status);
        let first = World::new(stubs(201), Arc::default());
        let ask = |world: &World| world.answer(None, request(Method::POST, None, "1")).now_or_never().unwrap().unwrap();
        assert_eq!(ask(&first).status(), 201);
        let answers = Arc::new(first.answers());
        assert_eq!(ask(&World::new(stubs(500), Arc::clone(&answers))).status(), 201);
        let live = Scenario { live: true, ..(*stubs(500)).clone() };
        assert_eq!(ask(&World::new(live.into(), answers)).status(), 500);
    }

    struct Stubs;

    impl Stubs {
        fn of(status: u16) -> Arc<Scenario> {
            let stub = super::super::scenario::Stub { status: Some(status), ..Default::default() };
            Arc::new(Scenario { stubs: vec![stub], ..Scenario::default() })
        }
    }

    #[test]
    fn nothing_is_done_to_a_world_that_has_ended() {
        let world = World::new(Arc::default(), Arc::default());
        let deed = || Deed::Create { workflow: "w".to_owned(), id: None };
        assert!(world.sees(None, deed()));
        world.end();
        assert!(!world.sees(None, deed()));
        assert!(world.answer(None, request(Method::GET, None, "")).now_or_never().is_none());
        assert_eq!(world.count(), 1);
    }
}
