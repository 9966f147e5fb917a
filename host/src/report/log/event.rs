//! What the program itself says, through `tracing`.
//!
//! The field `kind` says what kind of record an event is. Without it, one about a step is a `step`, one about an instance an `instance`, anything
//! else is of the `server`.

use std::fmt::Write as _;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};

use super::{Console, Record};
use crate::bindings::logging::Level;

impl<S: Subscriber> Layer<S> for Console {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.say(&fields.record(level));
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("miniflow") && *metadata.level() <= least(self.least)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(least(self.least))
    }
}

fn least(level: Option<Level>) -> LevelFilter {
    match level {
        None => LevelFilter::OFF,
        Some(Level::Debug) => LevelFilter::DEBUG,
        Some(Level::Info | Level::Log) => LevelFilter::INFO,
        Some(Level::Warn) => LevelFilter::WARN,
        Some(Level::Error) => LevelFilter::ERROR,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    kind: Option<String>,
    facts: Vec<(&'static str, Value)>,
}

impl Fields {
    fn record(self, level: Level) -> Record {
        let has = |name: &str| self.facts.iter().any(|(field, _)| *field == name);
        let (is_step, is_instance) = (has("step"), has("workflow"));
        let mut message = self.message;
        for (name, value) in &self.facts {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            // Writing to a text cannot fail. What has a kind is readable without its facts.
            match *name {
                "workflow" | "instance" | "step" | "attempt" | "event" => {}
                "error" => drop(write!(message, ": {text}")),
                _ if self.kind.is_some() => {}
                name => drop(write!(message, " {name}={text}")),
            }
        }
        let kind = match self.kind {
            Some(kind) => kind.into(),
            None if is_step => "step".into(),
            None if is_instance => "instance".into(),
            None => "server".into(),
        };
        let fields = self.facts.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Record { level, kind, message, fields, text: None }
    }

    fn take(&mut self, field: &Field, value: Value) {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        match field.name() {
            "message" => self.message = text(value),
            "kind" => self.kind = Some(text(value)),
            // There is none.
            "step" if value == "" => {}
            name => self.facts.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.take(field, format!("{value:?}").into());
    }
}
