//! How a record looks: a line for people, or a JSON object.

use std::fmt::Write as _;

use miniflow_runtime::Timestamp;
use serde_json::{Map, Value};

use super::Record;
use crate::api::instant;
use crate::bindings::logging::Level;
use crate::report::Style;

/// How records are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: level, whose it is, message.
    Text(Style),
    /// For programs: one object in a line.
    Json,
}

impl Format {
    /// Returns `record`, said at `now`, as whole lines; as JSON it is one.
    #[must_use]
    pub fn line(self, record: &Record, now: Timestamp) -> String {
        match (self, &record.text) {
            (Self::Text(_), Some(text)) => text.clone(),
            (Self::Text(style), None) => text(record, style),
            (Self::Json, _) => json(record, now),
        }
    }

    /// Colour, or none.
    #[must_use]
    pub fn style(self) -> Style {
        match self {
            Self::Text(style) => style,
            Self::Json => Style::Plain,
        }
    }

    /// Whether it is JSON.
    #[must_use]
    pub fn is_json(self) -> bool {
        self == Self::Json
    }
}

fn text(record: &Record, style: Style) -> String {
    let code = match record.level {
        Level::Debug => "2",
        Level::Info => "36",
        Level::Log => "32",
        Level::Warn => "33",
        Level::Error => "31",
    };
    let mut line = style.word(code, &format!("{:<5}", record.level.as_str()));
    let label = label(record);
    if !label.is_empty() {
        line.push(' ');
        line.push_str(&style.word("2", &label));
    }
    // A message of several lines stays readable as one.
    for (index, part) in message(record, style).lines().enumerate() {
        line.push_str(if index == 0 { " " } else { "\n      " });
        line.push_str(part);
    }
    line.push('\n');
    line
}

/// What it is about, where that is an instance.
fn label(record: &Record) -> String {
    let word = |name| record.field(name).map(shown).filter(|text| !text.is_empty());
    let mut label = String::new();
    if let Some(workflow) = word("workflow") {
        // Writing to a text cannot fail.
        let _ = write!(label, "{workflow}/{}", word("instance").unwrap_or_default());
    }
    if let Some(step) = word("step") {
        let _ = write!(label, " {step}");
    }
    if let Some(attempt) = word("attempt") {
        let _ = write!(label, " attempt {attempt}");
    }
    label
}

/// The message, with the status of an answer set apart.
fn message(record: &Record, style: Style) -> String {
    let Some(status) = record.field("status").and_then(Value::as_u64).filter(|_| record.kind == "request") else {
        return record.message.clone();
    };
    let code = match status {
        500.. => "31",
        400.. => "33",
        _ => "32",
    };
    let text = status.to_string();
    record.message.replacen(&format!(" {text} "), &format!(" {} ", style.word(code, &text)), 1)
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn json(record: &Record, now: Timestamp) -> String {
    let mut object = Map::new();
    object.insert("time".to_owned(), instant::format(now).into());
    object.insert("level".to_owned(), record.level.as_str().into());
    object.insert("kind".to_owned(), record.kind.as_ref().into());
    for (name, value) in &record.fields {
        object.insert(name.clone().into_owned(), value.clone());
    }
    object.insert("message".to_owned(), record.message.as_str().into());
    format!("{}\n", Value::Object(object))
}
