//! Reads JSON with comments and trailing commas, which is all that wrangler accepts beyond JSON.

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::raw::{Entry, Node, SyntaxError, Value};

const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads `text`. An empty text is an empty object, as in wrangler.
pub(super) fn parse(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS).map_err(|error| {
        vec![SyntaxError {
            offset: error.range().start,
            message: format!("invalid JSON: {}", lowercase_first(&error.kind().to_string())),
            hint: "comments and trailing commas are fine; keys and strings need double quotes",
        }]
    })?;
    Ok(match parsed.value {
        Some(value) => node(value),
        None => Node { offset: 0, value: Value::Object(Vec::new()) },
    })
}

fn node(value: ast::Value<'_>) -> Node {
    let offset = value.start();
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        // The grammar of JSON is part of Rust's, so this parses whatever the scanner let through.
        ast::Value::NumberLit(literal) => Value::Number(literal.value.parse().unwrap_or(f64::NAN)),
        ast::Value::StringLit(literal) => Value::String(literal.value.into_owned()),
        ast::Value::Array(array) => Value::Array(array.elements.into_iter().map(node).collect()),
        ast::Value::Object(object) => Value::Object(object.properties.into_iter().map(entry).collect()),
    };
    Node { offset, value }
}

fn entry(property: ast::ObjectProp<'_>) -> Entry {
    Entry { key_offset: property.start(), value: node(property.value), key: property.name.into_string() }
}

fn lowercase_first(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}
