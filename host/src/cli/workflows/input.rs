//! What people write on the command line: JSON, moments, paths.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;

use crate::api::instant;

/// Everything but what needs no encoding in a part of a path or a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Returns `text` as a part of a path or a query. Ids of schedules have blanks and slashes.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// A list of `name=value`, with those that are there.
pub(super) fn query(parameters: &[(&str, Option<String>)]) -> String {
    let given: Vec<_> = parameters
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", encoded(value))))
        .collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

/// JSON from the command line, as it was written.
#[derive(Clone, Debug)]
pub(super) struct JsonText(Box<RawValue>);

impl JsonText {
    pub(super) fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Whether it says nothing: wrangler's default.
    pub(super) fn is_empty_object(&self) -> bool {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(self.as_str())
            .is_ok_and(|map| map.is_empty())
    }
}

/// Params from the command line; an empty text is as good as none.
#[derive(Clone, Debug)]
pub(super) struct Params(pub(super) Option<JsonText>);

/// Reads params.
pub(super) fn params(text: &str) -> Result<Params, String> {
    if text.is_empty() { Ok(Params(None)) } else { json(text).map(|json| Params(Some(json))) }
}

/// Reads JSON; says where it is none.
pub(super) fn json(text: &str) -> Result<JsonText, String> {
    serde_json::from_str(text).map(JsonText).map_err(|error| {
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
        // serde counts bytes.
        let before = line.as_bytes().get(..error.column().saturating_sub(1)).unwrap_or(line.as_bytes());
        let column = String::from_utf8_lossy(before).chars().count();
        let hint = if text.trim_start().starts_with(['{', '[', '"']) {
            String::new()
        } else {
            "\n  hint: a text has quotes of its own: '\"text\"'".to_owned()
        };
        format!("it is not JSON: {error}\n    {line}\n    {}^{hint}", " ".repeat(column))
    })
}

/// Reads a moment from which on: a day is its beginning.
pub(super) fn from(text: &str) -> Result<String, String> {
    moment(text, "T00:00:00.000Z")
}

/// Reads a moment until which: a day is its end.
pub(super) fn until(text: &str) -> Result<String, String> {
    moment(text, "T23:59:59.999Z")
}

fn moment(text: &str, time: &str) -> Result<String, String> {
    let whole = if text.contains(['T', 't', ' ']) { text.to_owned() } else { format!("{text}{time}") };
    let at = instant::parse(&whole);
    at.map(instant::format).ok_or_else(|| "not a moment, such as `2026-11-25` or `2026-11-25T12:00:00Z`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_is_wrong_is_shown_with_the_place() {
        let wrong = |text| json(text).expect_err("it is wrong");
        assert_eq!(
            wrong("{\"ä\": 1 \"b\": 2}"),
            "it is not JSON: expected `,` or `}` at line 1 column 10\n    {\"ä\": 1 \"b\": 2}\n            ^"
        );
        assert_eq!(wrong("{\n  \"a\": nul\n}"), "it is not JSON: expected ident at line 3 column 0\n    }\n    ^");
        assert!(wrong("hello").ends_with("hint: a text has quotes of its own: '\"text\"'"));
        assert!(wrong("").contains("EOF while parsing"), "{}", wrong(""));
    }

    #[test]
    fn json_stays_as_it_was_written() {
        assert_eq!(json(r#"{"b":1e400, "a":2}"#).expect("it is JSON").as_str(), r#"{"b":1e400, "a":2}"#);
        assert!(json("{ }").expect("it is JSON").is_empty_object());
        assert!(!json("[]").expect("it is JSON").is_empty_object());
    }

    #[test]
    fn a_day_is_all_of_it() {
        assert_eq!(from("2026-11-25").as_deref(), Ok("2026-11-25T00:00:00.000Z"));
        assert_eq!(until("2026-11-25").as_deref(), Ok("2026-11-25T23:59:59.999Z"));
        assert_eq!(until("2026-11-25T01:00:00+01:00").as_deref(), Ok("2026-11-25T00:00:00.000Z"));
        assert!(from("tomorrow").is_err() && until("2026-02-30").is_err());
    }

    #[test]
    fn ids_of_any_kind_are_a_part_of_a_path() {
        assert_eq!(encoded("*/5 * * * *-17"), "%2A%2F5%20%2A%20%2A%20%2A%20%2A-17");
        assert_eq!(query(&[("a", None), ("b", Some("x y".to_owned())), ("c", Some("1".to_owned()))]), "?b=x%20y&c=1");
        assert_eq!(query(&[("a", None)]), "");
    }
}
