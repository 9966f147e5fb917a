//! One object of a configuration: takes its fields, and says what is wrong with them in wrangler's words.

use super::nearest::nearest;
use super::problem::{Place, Problem, Problems};
use super::raw::{Document, Entry, Node, Value};

/// An object, and where its problems go.
pub(super) struct Fields<'a> {
    pub(super) document: &'a Document,
    pub(super) node: &'a Node,
    /// Its name in messages, such as `workflows[0]`.
    pub(super) field: String,
    /// How messages about it begin, such as `"workflows[0]" bindings`.
    subject: String,
    pub(super) problems: &'a mut Problems,
}

impl<'a> Fields<'a> {
    /// Returns the object `node`, which is called `field`.
    pub(super) fn of(document: &'a Document, node: &'a Node, field: String, problems: &'a mut Problems) -> Self {
        Self { subject: format!("\"{field}\""), document, node, field, problems }
    }

    /// Returns the object `node` of a list of bindings, which wrangler mentions.
    pub(super) fn of_binding(
        document: &'a Document,
        node: &'a Node,
        field: String,
        problems: &'a mut Problems,
    ) -> Self {
        Self { subject: format!("\"{field}\" bindings"), document, node, field, problems }
    }

    pub(super) fn place(&self, node: &Node) -> Place {
        self.document.place(node.offset)
    }

    pub(super) fn error(&mut self, node: &Node, message: impl Into<String>, hint: &str) {
        let problem = Problem::error(message).at(self.place(node)).with_hint(hint);
        self.problems.push(problem);
    }

    pub(super) fn warning(&mut self, node: &Node, message: impl Into<String>, hint: &str) {
        let problem = Problem::warning(message).at(self.place(node)).with_hint(hint);
        self.problems.push(problem);
    }

    /// Reports that the value of `key` is wrong: `rule` is what it must be.
    pub(super) fn must_be(&mut self, node: &Node, key: &str, rule: &str, hint: &str) {
        let message = format!("{} \"{key}\" field must be {rule} but got {}.", self.subject, node.to_json());
        self.error(node, message, hint);
    }

    /// Reports that `key` has to be `expected`, showing all of the object as wrangler does.
    pub(super) fn not_optionally(&mut self, node: &Node, key: &str, expected: &str) {
        let message = format!(
            "{} should, optionally, have {expected} \"{key}\" field but got {}.",
            self.subject,
            self.node.to_json()
        );
        self.error(node, message, &format!("correct `{key}`, or leave it out"));
    }

    /// Returns the text under `key`, which has to be there; `purpose` says what it is for.
    pub(super) fn required(&mut self, key: &str, purpose: &str) -> Option<(&'a Node, &'a str)> {
        let node = self.node.get(key);
        if let Some(node) = node
            && let Some(text) = node.text()
        {
            return Some((node, text));
        }
        let message = format!("{} should have a string \"{key}\" field but got {}.", self.subject, self.node.to_json());
        self.error(node.unwrap_or(self.node), message, &format!("add `{key}`: {purpose}"));
        None
    }

    /// Returns the text under `key`, if there is one.
    pub(super) fn optional(&mut self, key: &str) -> Option<(&'a Node, &'a str)> {
        let node = self.node.get(key)?;
        match node.text() {
            Some(text) => Some((node, text)),
            None => {
                self.not_optionally(node, key, "a string");
                None
            }
        }
    }

    /// Returns the whole number from `least` to `most` under `key`, if there is one.
    pub(super) fn number(&mut self, key: &str, least: u32, most: u32) -> Option<u32> {
        let node = self.node.get(key)?;
        let Value::Number(number) = node.value else {
            self.not_optionally(node, key, "a number");
            return None;
        };
        if number.fract() == 0.0 && (f64::from(least)..=f64::from(most)).contains(&number) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole and within the bounds"
            )]
            return Some(number as u32);
        }
        let rule = format!("a whole number from {least} to {most}");
        self.must_be(node, key, &rule, &format!("production takes {least} to {most}"));
        None
    }

    /// Warns of a binding that is to be the one in production.
    pub(super) fn check_remote(&mut self) {
        match self.node.get("remote") {
            None => {}
            Some(node) => match node.value {
                Value::Bool(false) => {}
                Value::Bool(true) => {
                    let message = format!("\"{}\" is `remote`, and is local here", self.field);
                    self.warning(node, message, "nothing outside of this machine is used");
                }
                _ => {
                    let message = format!(
                        "\"{}\" should, optionally, have a boolean \"remote\" field but got {}.",
                        self.field,
                        self.node.to_json()
                    );
                    self.error(node, message, "correct `remote`, or leave it out");
                }
            },
        }
    }

    /// Returns the object under `key`, whose keys should be among `known`.
    pub(super) fn object(&mut self, key: &str, known: &[&'static str]) -> Option<&'a Node> {
        let node = self.node.get(key)?;
        if node.entries().is_none() {
            self.not_optionally(node, key, "an object");
            return None;
        }
        let container = format!("{}.{key}", self.field);
        check_keys(self.document, node, &container, known, self.problems);
        Some(node)
    }

    /// Warns of every key that is not among `known`.
    pub(super) fn check_keys(&mut self, known: &[&'static str]) {
        check_keys(self.document, self.node, &self.field, known, self.problems);
    }
}

/// Warns of every key of the object `node`, called `field`, that is not among `known`.
pub(super) fn check_keys(
    document: &Document,
    node: &Node,
    field: &str,
    known: &[&'static str],
    problems: &mut Problems,
) {
    for entry in node.entries().unwrap_or_default().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        problems.push(unexpected_field(document, field, entry, known.iter().copied()));
    }
}

/// Returns the warning that nobody knows `entry`.
pub(super) fn unexpected_field(
    document: &Document,
    container: &str,
    entry: &Entry,
    known: impl IntoIterator<Item = &'static str>,
) -> Problem {
    let problem = Problem::warning(format!("Unexpected fields found in {container} field: \"{}\"", entry.key))
        .at(document.place(entry.key_offset));
    match nearest(&entry.key, known) {
        Some(meant) => problem.with_hint(format!("did you mean `{meant}`?")),
        None => problem.with_hint("it is ignored"),
    }
}

/// Returns the items of the list `node`, called `field`.
pub(super) fn items<'a>(document: &Document, node: &'a Node, field: &str, problems: &mut Problems) -> &'a [Node] {
    node.items().unwrap_or_else(|| {
        let message = format!("The field \"{field}\" should be an array but got {}.", node.to_json());
        problems.push(Problem::error(message).at(document.place(node.offset)).with_hint("write a list, even of one"));
        &[]
    })
}

/// Returns the bindings in the list `node`, called `field`, each with its name in messages. `word` is what wrangler calls them.
pub(super) fn bindings<'a>(
    document: &Document,
    node: &'a Node,
    field: &str,
    word: &str,
    problems: &mut Problems,
) -> Vec<(String, &'a Node)> {
    let mut bindings = Vec::new();
    for (index, item) in items(document, node, field, problems).iter().enumerate() {
        if item.entries().is_some() {
            bindings.push((format!("{field}[{index}]"), item));
        } else {
            let message = format!("\"{word}\" bindings should be objects, but got {}", item.to_json());
            problems
                .push(Problem::error(message).at(document.place(item.offset)).with_hint("write `{ \"binding\": … }`"));
        }
    }
    bindings
}

/// Returns the object `node`, called `field`.
pub(super) fn object<'a>(
    document: &Document,
    node: &'a Node,
    field: &str,
    problems: &mut Problems,
) -> Option<&'a Node> {
    if node.entries().is_some() {
        return Some(node);
    }
    let message = format!("The field \"{field}\" should be an object but got {}.", node.to_json());
    problems.push(Problem::error(message).at(document.place(node.offset)).with_hint("write `{ … }`"));
    None
}

/// Returns the problem that `field` is not a `expected`.
pub(super) fn wrong_type(field: &str, expected: &str, node: &Node) -> Problem {
    Problem::error(format!("Expected \"{field}\" to be of type {expected} but got {}.", node.to_json()))
        .with_hint(format!("write {} {expected}", if expected == "object" { "an" } else { "a" }))
}

/// Returns the text that `node` is; `field` is its name in messages.
pub(super) fn string<'a>(
    document: &Document,
    node: &'a Node,
    field: &str,
    problems: &mut Problems,
) -> Option<(&'a str, Place)> {
    let place = document.place(node.offset);
    match node.text() {
        Some(text) => Some((text, place)),
        None => {
            problems.push(wrong_type(field, "string", node).at(place));
            None
        }
    }
}

/// Returns the texts in the list `node`, called `field`, each with its node.
pub(super) fn strings<'a>(
    document: &Document,
    node: &'a Node,
    field: &str,
    problems: &mut Problems,
) -> Vec<(&'a Node, &'a str)> {
    let Some(items) = node.items() else {
        problems.push(
            Problem::error(format!("Expected \"{field}\" to be of type string array but got {}.", node.to_json()))
                .at(document.place(node.offset))
                .with_hint("write a list of texts"),
        );
        return Vec::new();
    };
    let texts = items.iter().enumerate().filter_map(|(index, item)| {
        string(document, item, &format!("{field}.[{index}]"), problems).map(|(text, _)| (item, text))
    });
    texts.collect()
}
