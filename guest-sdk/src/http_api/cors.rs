//! [`Cors`]: who else may read an answer, in the words of browsers.

use super::{Headers, Method};
use crate::Result;

/// What pages of other origins may do. Nothing unless it is said.
///
/// ```
/// # use miniflow_sdk::{Cors, Method, Response, Result};
/// # fn f() -> Result<Response> {
/// let cors = Cors::new().with_origins(["https://shop.example.com"]).with_methods([Method::Get]);
/// Response::ok("for the shop")?.with_cors(&cors)
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cors {
    credentials: bool,
    max_age: Option<u32>,
    origins: Vec<String>,
    methods: Vec<Method>,
    allowed_headers: Vec<String>,
    exposed_headers: Vec<String>,
}

impl Cors {
    /// Allows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether cookies and the like may come along.
    #[must_use]
    pub fn with_credentials(mut self, credentials: bool) -> Self {
        self.credentials = credentials;
        self
    }

    /// Sets for how many seconds a browser may remember the answer to its question.
    #[must_use]
    pub fn with_max_age(mut self, max_age: u32) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Sets the origins.
    #[must_use]
    pub fn with_origins<S: Into<String>, V: IntoIterator<Item = S>>(mut self, origins: V) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the methods.
    #[must_use]
    pub fn with_methods<V: IntoIterator<Item = Method>>(mut self, methods: V) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// Sets the headers that a request may have.
    #[must_use]
    pub fn with_allowed_headers<S: Into<String>, V: IntoIterator<Item = S>>(mut self, headers: V) -> Self {
        self.allowed_headers = headers.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the headers of the answer that may be read.
    #[must_use]
    pub fn with_exposed_headers<S: Into<String>, V: IntoIterator<Item = S>>(mut self, headers: V) -> Self {
        self.exposed_headers = headers.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the headers that say so.
    ///
    /// # Errors
    ///
    /// When a value is not allowed in HTTP.
    pub fn apply_headers(&self, headers: &mut Headers) -> Result<()> {
        if self.credentials {
            headers.set("access-control-allow-credentials", "true")?;
        }
        if let Some(max_age) = self.max_age {
            headers.set("access-control-max-age", &max_age.to_string())?;
        }
        let lists = [
            ("access-control-allow-origin", self.origins.join(",")),
            ("access-control-allow-methods", self.methods.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",")),
            ("access-control-allow-headers", self.allowed_headers.join(",")),
            ("access-control-expose-headers", self.exposed_headers.join(",")),
        ];
        lists.iter().filter(|(_, list)| !list.is_empty()).try_for_each(|(name, list)| headers.set(name, list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_in_the_headers_and_nothing_else() {
        let applied = |cors: Cors| {
            let mut headers = Headers::new();
            cors.apply_headers(&mut headers).unwrap();
            headers.entries().collect::<std::collections::BTreeMap<_, _>>()
        };
        assert!(applied(Cors::new()).is_empty());
        let all = applied(
            Cors::new()
                .with_credentials(true)
                .with_max_age(60)
                .with_origins(["https://a.test", "https://b.test"])
                .with_methods([Method::Get, Method::Post])
                .with_allowed_headers(["x-a"])
                .with_exposed_headers(["x-b", "x-c"]),
        );
        let expected = [
            ("access-control-allow-credentials", "true"),
            ("access-control-max-age", "60"),
            ("access-control-allow-origin", "https://a.test,https://b.test"),
            ("access-control-allow-methods", "GET,POST"),
            ("access-control-allow-headers", "x-a"),
            ("access-control-expose-headers", "x-b,x-c"),
        ];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
