//! Requests and their answers as files: recorded once, and answered from then on.
//!
//! An exchange is found again by the step that asked, the method, the URL and the body; what is asked several times is answered in the order in
//! which it was recorded. A field that is taken out of the file is not looked at.
//!
//! Promises: nothing is recorded unless that is wanted, and nothing is sent when it is not; no header of a request, no cookie and no secret of
//! the configuration is written; bodies are kept as they came. Never does: make an answer up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use miniflow::verify::scenario::is_like;
use miniflow::wasm::outside::{Doer, send};
use miniflow_runtime::StepKind;
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::error::Error;
use crate::secrets::Secrets;

/// Set to anything but `0` and nothing: what would be answered from files is sent, and recorded.
const RECORD: &str = "MINIFLOW_RECORD";

/// What a file begins with.
const FORMAT: &str = "miniflow-fixtures";
const VERSION: u32 = 1;

/// Headers of answers that are about the connection, or are a secret of whoever asked.
const LEFT_OUT: [&str; 7] =
    ["connection", "keep-alive", "transfer-encoding", "content-length", "trailer", "upgrade", "set-cookie"];

/// Exchanges of one file.
pub(crate) struct Fixtures {
    file: PathBuf,
    is_recording: bool,
    secrets: Secrets,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None: it is asked just now.
    exchanges: Vec<Option<Exchange>>,
    /// Those that have been given, in the order of `exchanges`.
    given: BTreeSet<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u32,
    exchanges: Vec<Exchange>,
}

/// As [`File`], for writing.
#[derive(Serialize)]
struct Written<'a> {
    format: &'static str,
    version: u32,
    exchanges: Vec<&'a Exchange>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workflow: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    request: Asked,
    response: Answered,
    /// It answers any number of requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    repeat: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Content>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    status: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Content>,
}

/// A request, as it is looked for.
struct Sought {
    workflow: Option<String>,
    step: Option<String>,
    method: String,
    url: String,
    body: Bytes,
}

impl Fixtures {
    /// Answers from `file`, or records into it if that is wanted, here or in the environment.
    pub(crate) fn open(file: &Path, is_recording: bool, secrets: Secrets) -> Result<Self, Error> {
        let is_recording = is_recording || is_wanted(std::env::var(RECORD).ok().as_deref());
        let exchanges = match is_recording {
            true => claim(file).map(|()| Vec::new())?,
            false => read(file)?,
        };
        let exchanges = exchanges.into_iter().map(Some).collect();
        let state = Mutex::new(State { exchanges, ..State::default() });
        Ok(Self { file: file.to_owned(), is_recording, secrets, state })
    }

    /// The answer to a request of `doer`.
    pub(crate) async fn answer(&self, doer: Option<Doer>, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let sought = Sought::new(doer, &request, &self.secrets);
        if self.is_recording { self.record(sought, request).await } else { self.replay(&sought) }
    }

    fn replay(&self, sought: &Sought) -> Result<Response<Bytes>, String> {
        let mut state = self.state();
        let fits = |(at, exchange): (usize, &Option<Exchange>)| {
            exchange.as_ref().filter(|it| it.differs(sought).is_none()).map(|it| (at, it.repeat, it.response.clone()))
        };
        let fitting: Vec<_> = state.exchanges.iter().enumerate().filter_map(fits).collect();
        let next = fitting.iter().find(|(at, repeats, _)| *repeats || !state.given.contains(at));
        let Some((at, _, answered)) = next else { return Err(self.unanswered(sought, fitting.len(), &state)) };
        state.given.insert(*at);
        answered.response(&self.secrets).map_err(|why| format!("{}, exchange {}: {why}", self.file.display(), at + 1))
    }

    /// Sends it, and writes down what came of it.
    async fn record(&self, sought: Sought, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let at = {
            let mut state = self.state();
            state.exchanges.push(None);
            state.exchanges.len() - 1
        };
        let response = send(request).await?;
        let mut state = self.state();
        if let Some(place) = state.exchanges.get_mut(at) {
            *place = Some(sought.answered(&response, &self.secrets));
        }
        // Somebody records by hand, and the file is small: it is written where it is known, so that a test that fails leaves it as well.
        self.write(&state).map_err(|error| format!("could not write {}: {error}", self.file.display()))?;
        Ok(response)
    }

    fn write(&self, state: &State) -> std::io::Result<()> {
        let exchanges = state.exchanges.iter().flatten().collect();
        let mut text = serde_json::to_vec_pretty(&Written { format: FORMAT, version: VERSION, exchanges })?;
        text.push(b'\n');
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&self.file, text)
    }

    fn unanswered(&self, sought: &Sought, fitting: usize, state: &State) -> String {
        let file = self.file.display();
        let mut text = format!("{sought} is not answered by {file}: ");
        let nearest = state.exchanges.iter().flatten().filter_map(|exchange| exchange.differs(sought)).max();
        // Writing to a string cannot fail.
        let _ = match (fitting, nearest) {
            (1, _) => write!(text, "its answer was given already"),
            (2.., _) => write!(text, "all its {fitting} answers were given already"),
            (0, Some(difference)) => write!(text, "{difference}"),
            (0, None) => write!(text, "nothing is recorded there"),
        };
        let _ = write!(text, ". Record it anew: run the test with {RECORD}=1");
        text
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In what a request is not the one that was recorded; the later, the nearer they are.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    Url,
    Method(String),
    Asker(String),
    Body(String),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url => write!(f, "nothing is recorded for this URL"),
            Self::Method(method) => write!(f, "what is recorded for this URL is a {method}"),
            Self::Asker(asker) => write!(f, "it is recorded as a request of {asker}"),
            Self::Body(body) => write!(f, "it is recorded with another body: {body}"),
        }
    }
}

impl Exchange {
    /// None: it is the request that is looked for.
    fn differs(&self, sought: &Sought) -> Option<Difference> {
        let Asked { method, url, body } = &self.request;
        if url.as_ref().is_some_and(|url| !is_like(&sought.url, url)) {
            return Some(Difference::Url);
        }
        if let Some(method) = method.as_ref().filter(|method| !method.eq_ignore_ascii_case(&sought.method)) {
            return Some(Difference::Method(method.clone()));
        }
        let is_other = |said: &Option<String>, found: &Option<String>| said.is_some() && said != found;
        if is_other(&self.workflow, &sought.workflow) || is_other(&self.step, &sought.step) {
            return Some(Difference::Asker(asker(self.workflow.as_deref(), self.step.as_deref())));
        }
        let body = body.as_ref().filter(|body| !body.is(&sought.body))?;
        Some(Difference::Body(body.shown()))
    }
}

impl Answered {
    fn response(&self, secrets: &Secrets) -> Result<Response<Bytes>, String> {
        let body = self.body.as_ref().map_or(Ok(Bytes::new()), |body| body.bytes(secrets))?;
        let mut response = Response::builder().status(self.status);
        for (name, values) in &self.headers {
            // Several values of one name are lines of one text.
            for value in values.lines() {
                response = response.header(name, secrets.reveal(value));
            }
        }
        response.body(body).map_err(|error| error.to_string())
    }
}

impl Sought {
    fn new(doer: Option<Doer>, request: &Request<Bytes>, secrets: &Secrets) -> Self {
        let step = |doer: &Doer| {
            let key = doer.step.as_ref()?;
            Some(if key.kind == StepKind::Rollback { format!("rollback {key}") } else { key.to_string() })
        };
        Self {
            step: doer.as_ref().and_then(step),
            workflow: doer.map(|doer| doer.workflow),
            method: request.method().to_string(),
            url: secrets.hide(&request.uri().to_string()),
            body: secrets.hide_in(request.body()),
        }
    }

    /// What is written down of it.
    fn answered(self, response: &Response<Bytes>, secrets: &Secrets) -> Exchange {
        let text = |value: &HeaderValue| secrets.hide(&String::from_utf8_lossy(value.as_bytes()));
        let kept = |name: &&HeaderName| !LEFT_OUT.contains(&name.as_str());
        let values = |name: &HeaderName| response.headers().get_all(name).iter().map(text).collect::<Vec<_>>();
        let headers = response.headers().keys().filter(kept).map(|name| (name.to_string(), values(name).join("\n")));
        let content = |body: &Bytes| (!body.is_empty()).then(|| Content::of(body));
        Exchange {
            workflow: self.workflow,
            step: self.step,
            request: Asked { method: Some(self.method), url: Some(self.url), body: content(&self.body) },
            response: Answered {
                status: response.status().as_u16(),
                headers: headers.collect(),
                body: content(&secrets.hide_in(response.body())),
            },
            repeat: false,
        }
    }
}

impl std::fmt::Display for Sought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.url)?;
        match self.workflow {
            Some(_) => write!(f, " of {}", asker(self.workflow.as_deref(), self.step.as_deref())),
            None => Ok(()),
        }
    }
}

fn asker(workflow: Option<&str>, step: Option<&str>) -> String {
    match (workflow, step) {
        (Some(workflow), Some(step)) => format!("step `{step}` of `{workflow}`"),
        (Some(workflow), None) => format!("`{workflow}`, between its steps"),
        (None, Some(step)) => format!("step `{step}`"),
        (None, None) => "anybody".to_owned(),
    }
}

fn is_wanted(record: Option<&str>) -> bool {
    record.is_some_and(|value| !matches!(value, "" | "0"))
}

/// Takes a file to record into. What two Workers ask at a time cannot be told apart later.
fn claim(file: &Path) -> Result<(), Error> {
    static CLAIMED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    match CLAIMED.lock().unwrap_or_else(PoisonError::into_inner).insert(absolute) {
        true => Ok(()),
        false => {
            let shown = file.display();
            Err(Error::Data(format!("{shown} was recorded by another Worker of this process: give each its own file")))
        }
    }
}

fn read(file: &Path) -> Result<Vec<Exchange>, Error> {
    let shown = file.display();
    let text = std::fs::read(file).map_err(|error| {
        Error::Data(format!("{shown} cannot be read: {error}. Record it: run the test with {RECORD}=1"))
    })?;
    let File { format, version, exchanges } = serde_json::from_slice(&text)
        .map_err(|error| Error::Data(format!("{shown} is no file of fixtures: {error}")))?;
    if format != FORMAT || version != VERSION {
        let why = format!("{shown} is `{format}` of version {version}, and not `{FORMAT}` of version {VERSION}");
        return Err(Error::Data(why));
    }
    for (number, exchange) in (1..).zip(&exchanges) {
        let answer = exchange.response.response(&Secrets::default());
        answer.map_err(|why| Error::Data(format!("{shown}, exchange {number}: {why}")))?;
    }
    Ok(exchanges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recording_is_wanted_by_a_word_of_the_environment() {
        assert!(is_wanted(Some("1")) && is_wanted(Some("true")));
        assert!(!is_wanted(None) && !is_wanted(Some("0")) && !is_wanted(Some("")));
    }

    #[test]
    fn what_a_file_does_not_say_is_not_looked_at() {
        let exchange: Exchange = serde_json::from_str(
            r#"{ "request": { "url": "https://bank.example/charges/*" }, "response": { "status": 201 } }"#,
        )
        .unwrap();
        let sought = |url: &str| Sought {
            workflow: Some("orders".to_owned()),
            step: Some("charge-1".to_owned()),
            method: "POST".to_owned(),
            url: url.to_owned(),
            body: Bytes::from_static(b"drawn anew"),
        };
        assert_eq!(exchange.differs(&sought("https://bank.example/charges/7")), None);
        assert_eq!(exchange.differs(&sought("https://bank.example/refunds/7")), Some(Difference::Url));
    }

    #[test]
    fn a_file_that_makes_no_sense_is_told_where() {
        let said = |text: &str| {
            let file = std::env::temp_dir().join(format!("miniflow-fixtures-{}.json", std::process::id()));
            std::fs::write(&file, text).unwrap();
            let said = read(&file).unwrap_err().to_string();
            std::fs::remove_file(&file).unwrap();
            said
        };
        let file = |exchange: &str| {
            said(&format!(r#"{{ "format": "miniflow-fixtures", "version": 1, "exchanges": [{exchange}] }}"#))
        };
        assert!(said("[]").contains("is no file of fixtures: "));
        assert!(said(r#"{ "format": "x", "version": 1, "exchanges": [] }"#).contains("is `x` of version 1"));
        assert!(
            file(r#"{ "request": { "uri": "x" }, "response": { "status": 200 } }"#).contains("unknown field `uri`")
        );
        assert!(file(r#"{ "request": {}, "response": { "status": 99 } }"#).contains("exchange 1: invalid status code"));
        let base64 = r#"{ "request": {}, "response": { "status": 200, "body": { "base64": "?" } } }"#;
        assert!(file(base64).contains("exchange 1: its body is no base64"));
    }
}
