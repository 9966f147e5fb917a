//! [`Headers`]: the fields of a request or response.

use std::cell::{Cell, RefCell};
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Result;

/// Header fields, with the methods of the web's `Headers`. Names are compared without regard to case and kept in lower
/// case.
///
/// Changes go through a shared reference, so that `response.headers().set(…)` works as well as `headers_mut()`.
#[derive(Clone, Default)]
pub struct Headers(RefCell<HeaderMap>, CodingMark);

/// Whether `content-encoding` came with an answer and describes the body of that one.
#[derive(Clone, Debug, Default)]
struct CodingMark(Cell<bool>);

impl Headers {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the value of `name`; several are joined by `, `. Bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    ///
    /// When `name` is not a header name.
    pub fn get(&self, name: &str) -> Result<Option<String>> {
        let name = name.parse::<HeaderName>()?;
        let fields = self.0.borrow();
        let values: Vec<_> = fields.get_all(name).iter().map(text).collect();
        Ok((!values.is_empty()).then(|| values.join(", ")))
    }

    /// Returns every value of `name` on its own, such as each `set-cookie`.
    ///
    /// # Errors
    ///
    /// When `name` is not a header name.
    pub fn get_all(&self, name: &str) -> Result<Vec<String>> {
        let name = name.parse::<HeaderName>()?;
        Ok(self.0.borrow().get_all(name).iter().map(text).collect())
    }

    /// Says whether there is a field `name`.
    ///
    /// # Errors
    ///
    /// When `name` is not a header name.
    pub fn has(&self, name: &str) -> Result<bool> {
        Ok(self.0.borrow().contains_key(name.parse::<HeaderName>()?))
    }

    /// Adds a value, keeping those there are.
    ///
    /// # Errors
    ///
    /// When `name` or `value` is not allowed in HTTP.
    pub fn append(&self, name: &str, value: &str) -> Result<()> {
        let name = self.changed(name)?;
        self.0.borrow_mut().append(name, value.parse::<HeaderValue>()?);
        Ok(())
    }

    /// Sets the value, replacing those there are.
    ///
    /// # Errors
    ///
    /// When `name` or `value` is not allowed in HTTP.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let name = self.changed(name)?;
        self.0.borrow_mut().insert(name, value.parse::<HeaderValue>()?);
        Ok(())
    }

    /// Removes every value of `name`.
    ///
    /// # Errors
    ///
    /// When `name` is not a header name.
    pub fn delete(&self, name: &str) -> Result<()> {
        let name = self.changed(name)?;
        self.0.borrow_mut().remove(name);
        Ok(())
    }

    /// Returns all fields, each value on its own.
    pub fn entries(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let fields: Vec<_> =
            self.0.borrow().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        fields.into_iter()
    }

    /// Returns the names of all fields, each once.
    pub fn keys(&self) -> impl Iterator<Item = String> + use<> {
        let names: Vec<_> = self.0.borrow().keys().map(|name| name.as_str().to_owned()).collect();
        names.into_iter()
    }

    /// Returns all values.
    pub fn values(&self) -> impl Iterator<Item = String> + use<> {
        self.entries().map(|(_, value)| value)
    }

    /// Sets a content type that the SDK itself knows to be a valid value, unless there is one.
    pub(crate) fn default_content_type(&self, value: &'static str) {
        self.0.borrow_mut().entry(http::header::CONTENT_TYPE).or_insert(HeaderValue::from_static(value));
    }

    /// Notes that `content-encoding` describes a body that was received with it.
    pub(super) fn mark_coding(&self) {
        self.1.0.set(true);
    }

    /// Whether `content-encoding` is as it was received.
    pub(super) fn has_marked_coding(&self) -> bool {
        self.1.0.get()
    }

    /// The name of a field that is changed.
    fn changed(&self, name: &str) -> Result<HeaderName> {
        let name = name.parse::<HeaderName>()?;
        if name == http::header::CONTENT_ENCODING {
            self.1.0.set(false);
        }
        Ok(name)
    }

    /// Gives the fields to `f` without copying them.
    pub(crate) fn with_map<R>(&self, f: impl FnOnce(&mut HeaderMap) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries()).finish()
    }
}

impl From<HeaderMap> for Headers {
    fn from(fields: HeaderMap) -> Self {
        Self(RefCell::new(fields), CodingMark::default())
    }
}

impl From<Headers> for HeaderMap {
    fn from(headers: Headers) -> Self {
        headers.0.into_inner()
    }
}

/// Leaves out what is not allowed in HTTP.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let headers = Self::new();
        for (name, value) in fields {
            // An error is only possible for what is to be left out.
            let _ = headers.append(name.as_ref(), value.as_ref());
        }
        headers
    }
}

impl IntoIterator for &Headers {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries().collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_several_values_are_joined() {
        let headers = Headers::new();
        headers.append("Accept", "text/html").unwrap();
        headers.append("ACCEPT", "text/plain").unwrap();
        assert_eq!(headers.get("accept").unwrap().as_deref(), Some("text/html, text/plain"));
        assert_eq!(headers.get_all("accept").unwrap().len(), 2);
        headers.set("accept", "*/*").unwrap();
        assert_eq!(headers.entries().collect::<Vec<_>>(), [("accept".to_owned(), "*/*".to_owned())]);
        headers.delete("Accept").unwrap();
        assert!(!headers.has("accept").unwrap());
    }

    #[test]
    fn what_http_does_not_allow_is_an_error() {
        let headers = Headers::new();
        assert!(headers.set("a b", "x").is_err());
        assert!(headers.set("a", "line\nbreak").is_err());
    }
}
