//! Reads TOML: the older form of the same configuration, and `Cargo.toml`.

use ::toml::Spanned;
use ::toml::de::{DeInteger, DeTable, DeValue};

use super::raw::{Entry, Node, SyntaxError, Value};

/// Reads `text`, reporting every syntax error there is.
pub(super) fn parse(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table(0, root.into_inner()));
    }
    let errors = errors.iter().map(|error| SyntaxError {
        offset: error.span().map_or(0, |span| span.start),
        message: format!("invalid TOML: {}", error.message().replace('\n', ", ")),
        hint: "strings need quotes; a section is written `[build]`, an entry of a list `[[workflows]]`",
    });
    Err(errors.collect())
}

fn table(offset: usize, table: DeTable<'_>) -> Node {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_offset: key.span().start,
            key: key.into_inner().into_owned(),
            value: node(value),
        })
        .collect();
    // The parser sorts by key; the order written is what messages show.
    entries.sort_by_key(|entry| entry.key_offset);
    Node { offset, value: Value::Object(entries) }
}

fn node(value: Spanned<DeValue<'_>>) -> Node {
    let offset = value.span().start;
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(integer) => Value::Number(number(&integer)),
        DeValue::Float(float) => Value::Number(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(array) => Value::Array(array.into_iter().map(node).collect()),
        DeValue::Table(entries) => return table(offset, entries),
    };
    Node { offset, value }
}

#[expect(clippy::cast_precision_loss, reason = "JavaScript rounds the same way")]
fn number(integer: &DeInteger<'_>) -> f64 {
    i128::from_str_radix(integer.as_str(), integer.radix()).map_or(f64::NAN, |integer| integer as f64)
}
