//! Input of a check: params, events and stubbed responses.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

/// Input of a run, the same in every run of a check.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Params, as JSON. `None` means no params.
    pub params: Option<Value>,
    /// Event payloads by type, sent in order, each when a wait asks for it.
    pub events: BTreeMap<String, Vec<Value>>,
    /// Stubbed responses. The first match wins.
    pub stubs: Vec<Stub>,
    /// Whether requests without a stub go to the network. Otherwise they get status 200 and `{}`.
    pub allow_net: bool,
    /// Whether repeated bodies send their requests again, instead of getting the responses of the first run.
    pub live: bool,
}

/// Stubbed response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stub {
    /// Matches only this method. `None` matches every method.
    #[serde(default)]
    pub method: Option<String>,
    /// URL pattern; `*` matches any text. `None` matches every URL.
    #[serde(default)]
    pub url: Option<String>,
    /// Status code.
    #[serde(default)]
    pub status: Option<u16>,
    /// Response headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Response body, as JSON.
    #[serde(default)]
    pub json: Option<Value>,
    /// Response body, as text.
    #[serde(default)]
    pub body: Option<String>,
}

/// Error of a stub file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StubError(String);

impl Stub {
    /// Parses a JSON list of stubs.
    ///
    /// # Errors
    ///
    /// Fails if the text is not such a list, or a stub is invalid.
    pub fn list(text: &[u8]) -> Result<Vec<Self>, StubError> {
        let stubs: Vec<Self> = serde_json::from_slice(text).map_err(|error| StubError(error.to_string()))?;
        for (number, stub) in (1..).zip(&stubs) {
            stub.answer().map_err(|error| StubError(format!("answer {number}: {error}")))?;
            if stub.json.is_some() && stub.body.is_some() {
                return Err(StubError(format!("answer {number} has both a `json` and a `body`")));
            }
        }
        Ok(stubs)
    }

    fn matches(&self, request: &Request<Bytes>) -> bool {
        let url = request.uri().to_string();
        self.method.as_ref().is_none_or(|method| request.method().as_str().eq_ignore_ascii_case(method))
            && self.url.as_ref().is_none_or(|pattern| is_like(&url, pattern))
    }

    fn answer(&self) -> http::Result<Response<Bytes>> {
        let (body, kind) = match (&self.json, &self.body) {
            (Some(json), _) => (json.to_string(), Some("application/json")),
            (None, body) => (body.clone().unwrap_or_default(), None),
        };
        let mut answer = Response::builder().status(self.status.unwrap_or(200));
        let has_kind = self.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        if let Some(kind) = kind.filter(|_| !has_kind) {
            answer = answer.header(header::CONTENT_TYPE, kind);
        }
        for (name, value) in &self.headers {
            answer = answer.header(name, value);
        }
        answer.body(Bytes::from(body))
    }
}

impl Scenario {
    /// Returns the response of the first stub that matches the request.
    #[must_use]
    pub fn stubbed(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        // // The response was validated when the file was parsed.
        self.stubs.iter().find(|stub| stub.matches(request)).and_then(|stub| stub.answer().ok())
    }

    /// Returns the response to a request. `None` means that it goes to the network.
    #[must_use]
    pub fn answer(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let stubbed = self.stubbed(request);
        if stubbed.is_some() || self.allow_net {
            return stubbed;
        }
        let mut answer = Response::new(Bytes::from_static(b"{}"));
        *answer.status_mut() = StatusCode::OK;
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        Some(answer)
    }
}

/// Whether `text` matches `pattern`, in which `*` matches any text.
#[must_use]
pub fn is_like(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(text) = text.strip_prefix(first) else { return false };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| is_like(&text[at..], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, url: &str) -> Request<Bytes> {
        Request::builder().method(method).uri(url).body(Bytes::new()).unwrap()
    }

    fn stubs(text: &str) -> Scenario {
        Scenario { stubs: Stub::list(text.as_bytes()).unwrap(), ..Scenario::default() }
    }

    #[test]
    fn the_first_stub_that_matches_answers() {
        let scenario = stubs(
            r#"[{ "method": "post", "url": "http://bank/*", "status": 201, "json": { "receipt": 1 } },
                { "url": "*/rates?day=*", "body": "1.5", "headers": { "x-day": "1" } }]"#,
        );
        let answer = scenario.answer(&request("POST", "http://bank/charge")).unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (201, br#"{"receipt":1}"#.as_slice()));
        assert_eq!(answer.headers()["content-type"], "application/json");
        let answer = scenario.answer(&request("GET", "https://example.com/rates?day=2")).unwrap();
        assert_eq!((answer.body().as_ref(), &answer.headers()["x-day"]), (b"1.5".as_slice(), &"1".parse().unwrap()));
        let other = scenario.answer(&request("GET", "http://bank/charge")).unwrap();
        assert_eq!((other.status().as_u16(), other.body().as_ref()), (200, b"{}".as_slice()));
        let open = Scenario { allow_net: true, ..scenario };
        assert!(open.answer(&request("GET", "http://bank/charge")).is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let said = |text: &str| Stub::list(text.as_bytes()).unwrap_err().to_string();
        assert!(said("{}").starts_with("invalid type: map, expected a sequence"));
        assert!(said(r#"[{ "uri": "x" }]"#).starts_with("unknown field `uri`"));
        assert!(said(r#"[{ "status": 99 }]"#).starts_with("answer 1: "));
        assert!(said(r#"[{}, { "json": 1, "body": "1" }]"#).starts_with("answer 2 has both"));
    }
}
