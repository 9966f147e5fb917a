//! What is logged.

use std::borrow::Cow;

use serde_json::Value;

use crate::bindings::logging::Level;
use crate::config::{Problem, Severity};
use crate::report::{self, Style};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// What kind of thing it is, such as `request`.
    pub kind: Cow<'static, str>,
    /// Readable alone.
    pub message: String,
    /// The facts, in order.
    pub fields: Vec<(Cow<'static, str>, Value)>,
    /// What people read instead of the usual line; whole lines.
    pub text: Option<String>,
}

impl Record {
    /// Something without facts yet.
    #[must_use]
    pub fn new(level: Level, kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { level, kind: kind.into(), message: message.into(), fields: Vec::new(), text: None }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Says what people read instead.
    #[must_use]
    pub fn shown_as(self, text: String) -> Self {
        Self { text: Some(text), ..self }
    }

    /// A problem, as it is told to people where it is.
    #[must_use]
    pub fn problem(problem: &Problem, style: Style) -> Self {
        let mut record = Self::new(level_of(problem.severity), "problem", problem.message.clone());
        if let Some(place) = &problem.place {
            record = record.with("file", place.file.display().to_string());
            if let Some(position) = place.position {
                record = record.with("line", position.line).with("column", position.column);
            }
        }
        if let Some(hint) = &problem.hint {
            record = record.with("hint", hint.as_str());
        }
        record.shown_as(report::problem(problem, style))
    }

    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

/// How much a problem matters.
#[must_use]
pub fn level_of(severity: Severity) -> Level {
    match severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warn,
        Severity::Note => Level::Info,
    }
}
