//! What is wrong, where, and what to do about it.
//!
//! A [`Problem`] is one message with a place and a hint; [`Problems`] are all of them, because a developer wants to fix
//! everything in one go. Their text is made here and nowhere else; `report` only adds colour to it.

use std::fmt;
use std::path::{Path, PathBuf};

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is run.
    Error,
    /// Everything is run, but probably not as meant.
    Warning,
    /// Worth a line.
    Note,
}

impl Severity {
    /// Returns the word in front of the message.
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A point in a text file, as editors count: both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A file, and a point in it where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As the developer wrote it, so that it can be clicked or opened from where they are.
    pub file: PathBuf,
    pub position: Option<Position>,
}

impl Place {
    /// Returns the place that is all of `file`.
    pub fn file(file: &Path) -> Self {
        Self { file: file.to_owned(), position: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.position {
            Some(Position { line, column }) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// One thing to tell the developer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Problem {
    pub severity: Severity,
    /// A clause without a final period, except where wrangler's words have one.
    pub message: String,
    pub place: Option<Place>,
    /// Further places it is about, such as the first use of a name that is used twice.
    pub also: Vec<Place>,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// Returns a problem that keeps anything from being run.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// Returns a problem that is only pointed out.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    /// Returns a piece of information.
    pub fn note(message: impl Into<String>) -> Self {
        Self::new(Severity::Note, message.into())
    }

    /// Returns an error that says what `error` says, with its causes.
    pub fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            // Some errors already carry the text of their cause.
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = inner.source();
        }
        Self::error(message)
    }

    fn new(severity: Severity, message: String) -> Self {
        Self { severity, message, place: None, also: Vec::new(), hint: None }
    }

    /// Adds where it is.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds another place it is about.
    pub fn also_at(mut self, place: Place) -> Self {
        self.also.push(place);
        self
    }

    /// Adds what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the text, every part that can be set apart passed through `paint`.
    pub fn text(&self, paint: &dyn Fn(Part, &str) -> String) -> String {
        let label = format!("{}:", self.severity.label());
        let mut text = format!("{} {}", paint(Part::Label(self.severity), &label), self.message);
        if let Some(place) = &self.place {
            text.push_str(&format!("\n  {} {place}", paint(Part::Arrow, "-->")));
        }
        for place in &self.also {
            text.push_str(&format!("\n  {} {place}", paint(Part::Arrow, "also:")));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n  {} {hint}", paint(Part::Hint, "hint:")));
        }
        text
    }
}

/// The parts of a problem's text that colour sets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Label(Severity),
    Arrow,
    Hint,
}

/// Without colour: `error: …`, then the place, then the hint, each on its line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&|_, text| text.to_owned()))
    }
}

/// Everything found so far, in the order found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Returns whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns them in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Returns `value` and what is left to point out, or all of them if there is an error.
    ///
    /// # Errors
    ///
    /// When one of them is an error.
    pub fn or<T>(self, value: T) -> Result<(T, Self), Self> {
        if self.has_errors() { Err(self) } else { Ok((value, self)) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.0.extend(problems);
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// One after the other, without colour.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
