//! A configuration as written: values, and where each of them stands.
//!
//! JSONC and TOML are both read into [`Node`]s, so everything that is checked is checked once. Nothing here knows what
//! a key means.

use std::path::{Path, PathBuf};

use super::keys::{self, Scope};
use super::problem::{Place, Position, Problem, Problems};

/// A file that was read.
#[derive(Debug)]
pub(super) struct Document {
    /// As shown to the developer.
    file: PathBuf,
    text: String,
    pub(super) root: Node,
    /// The environment it is seen by, if one was chosen and is there.
    environment: Option<String>,
    /// What the name of the Worker ends with.
    name_suffix: String,
}

/// A value and the byte at which it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) offset: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As JavaScript has them, since that is what reads the same file in production.
    Number(f64),
    String(String),
    /// TOML only.
    Date(String),
    Array(Vec<Node>),
    /// In the order written. JSON allows a key twice; then the last one counts.
    Object(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_offset: usize,
    pub(super) value: Node,
}

impl Document {
    /// Reads `file` with `parse`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not UTF-8, or `parse` fails: one problem, with its place.
    pub(super) fn read(file: &Path, parse: Parser) -> Result<Self, Problems> {
        Self::parse(file, &read_text(file)?, parse)
    }

    fn parse(file: &Path, text: &str, parse: Parser) -> Result<Self, Problems> {
        match parse(text) {
            Ok(root) => Ok(Self {
                file: file.to_owned(),
                text: text.to_owned(),
                root,
                environment: None,
                name_suffix: String::new(),
            }),
            Err(errors) => Err(errors
                .into_iter()
                .map(|error| {
                    Problem::error(error.message)
                        .at(Place { file: file.to_owned(), position: Some(position(text, error.offset)) })
                        .with_hint(error.hint)
                })
                .collect()),
        }
    }

    /// Returns where the byte `offset` is.
    pub(super) fn place(&self, offset: usize) -> Place {
        Place { file: self.file.clone(), position: Some(position(&self.text, offset)) }
    }

    /// Returns where the character `at` (from 0) of the text `node` is; where the text begins, if it is not written as it is meant.
    pub(super) fn place_in_text(&self, node: &Node, at: usize) -> Place {
        let mut place = self.place(node.offset);
        let (text, written) = (node.text().unwrap_or_default(), self.text.get(node.offset..).unwrap_or_default());
        let quotes = written.len() - written.trim_start_matches(['"', '\'']).len();
        // An empty text has only quotes.
        let is_plain = !text.is_empty() && written[quotes..].starts_with(text);
        if is_plain && let Some(position) = &mut place.position {
            position.column += quotes + at;
        }
        place
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the same file with `root` as what the environment `name` sees of it.
    pub(super) fn seen_by(self, name: &str, root: Node) -> Self {
        Self { root, environment: Some(name.to_owned()), ..self }
    }

    /// Returns the same file, of a Worker whose name ends with `suffix`.
    pub(super) fn with_name_suffix(self, name_suffix: String) -> Self {
        Self { name_suffix, ..self }
    }

    /// Returns the full name of the Worker that the file calls `name`.
    pub(super) fn full_name(&self, name: &str) -> String {
        format!("{name}{}", self.name_suffix)
    }

    /// Returns what the top-level key `key` is called in messages.
    pub(super) fn field(&self, key: &str) -> String {
        match &self.environment {
            Some(name) if keys::scope(key) == Some(Scope::PerEnvironment) => format!("env.{name}.{key}"),
            _ => key.to_owned(),
        }
    }

    /// Returns whether it is written in TOML.
    pub(super) fn is_toml(&self) -> bool {
        self.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
    }
}

/// Returns the text of `file`, without a byte order mark.
///
/// # Errors
///
/// When it cannot be read or is not UTF-8.
pub(super) fn read_text(file: &Path) -> Result<String, Problems> {
    let bytes = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let position = position(&valid, valid.len());
        Problem::error("not UTF-8 text")
            .at(Place { file: file.to_owned(), position: Some(position) })
            .with_hint("save the file as UTF-8")
            .into()
    })
}

/// Reads a text into nodes, or says what is wrong with its syntax.
pub(super) type Parser = fn(&str) -> Result<Node, Vec<SyntaxError>>;

#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

impl Node {
    /// Returns the entries of an object.
    pub(super) fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Object(entries) => Some(entries),
            _ => None,
        }
    }

    pub(super) fn items(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value of `key` of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let entries = self.entries()?;
        entries.iter().rfind(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Returns the number if it is a whole one of at least 1.
    pub(super) fn positive_integer(&self) -> Option<f64> {
        match self.value {
            Value::Number(number) if number.fract() == 0.0 && number >= 1.0 => Some(number),
            _ => None,
        }
    }

    /// Returns whether there is nothing in it, as in `[]` or `{}`.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(entries) => entries.is_empty(),
            _ => false,
        }
    }

    /// Returns the value as `JSON.stringify` writes it: compact, keys in the order written.
    pub(super) fn to_json(&self) -> String {
        let mut json = String::new();
        self.write_json(&mut json);
        json
    }

    fn write_json(&self, json: &mut String) {
        match &self.value {
            Value::Null => json.push_str("null"),
            Value::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => json.push_str(&number_to_json(*number)),
            Value::String(text) | Value::Date(text) => json.push_str(&text_to_json(text)),
            Value::Array(items) => {
                json.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    item.write_json(json);
                }
                json.push(']');
            }
            Value::Object(entries) => {
                json.push('{');
                let counted = entries.iter().enumerate().filter(|(index, entry)| {
                    // A key that is written again later does not count.
                    !entries[index + 1..].iter().any(|later| later.key == entry.key)
                });
                for (index, (_, entry)) in counted.enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    json.push_str(&text_to_json(&entry.key));
                    json.push(':');
                    entry.value.write_json(json);
                }
                json.push('}');
            }
        }
    }
}

fn text_to_json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes a number the way JavaScript does: whole ones without a point, very large and very small ones with an exponent.
fn number_to_json(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        "null".to_owned()
    } else if size == 0.0 {
        "0".to_owned()
    } else if (1e-6..1e21).contains(&size) {
        number.to_string()
    } else {
        let text = format!("{number:e}");
        if size >= 1.0 { text.replace('e', "e+") } else { text }
    }
}

pub(super) fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// Returns the problem that `file` exists but could not be read.
pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Problems {
    Problem::error(format!("could not read `{}`: {error}", file.display())).with_hint("check its permissions").into()
}
