//! [`ObjectNamespace`], [`ObjectId`] and [`Stub`]: how objects are found and called.

use std::fmt;

use url::Url;

use crate::bindings::miniflow::worker::durable_object as wit;
use crate::http_api::Route;
use crate::{Fetch, Request, Response, Result, host};

/// The objects of a class that the configuration binds; see [`Env::durable_object`](crate::Env::durable_object).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNamespace {
    binding: String,
}

impl ObjectNamespace {
    pub(crate) fn bound_as(binding: &str) -> Self {
        Self { binding: binding.to_owned() }
    }

    /// Returns the id of the object `name`: always the same.
    ///
    /// # Errors
    ///
    /// When the class is not served.
    pub fn id_from_name(&self, name: &str) -> Result<ObjectId<'_>> {
        host::required("`ObjectNamespace::id_from_name`");
        let hex = wit::id_from_name(&self.binding, name)?;
        Ok(ObjectId { hex, name: Some(name.to_owned()), namespace: Some(self) })
    }

    /// Returns the id that `hex_id` is the text of.
    ///
    /// # Errors
    ///
    /// Code `object.invalid_id` when it is not an id of this class.
    pub fn id_from_string(&self, hex_id: &str) -> Result<ObjectId<'_>> {
        host::required("`ObjectNamespace::id_from_string`");
        let hex = wit::id_from_string(&self.binding, hex_id)?;
        Ok(ObjectId { hex, name: None, namespace: Some(self) })
    }

    /// Returns an id that nobody has had before.
    ///
    /// # Errors
    ///
    /// When the class is not served.
    pub fn unique_id(&self) -> Result<ObjectId<'_>> {
        host::required("`ObjectNamespace::unique_id`");
        Ok(ObjectId { hex: wit::unique_id(&self.binding)?, name: None, namespace: Some(self) })
    }

    /// As [`unique_id`](Self::unique_id): on one machine there is one jurisdiction.
    ///
    /// # Errors
    ///
    /// When the class is not served.
    pub fn unique_id_with_jurisdiction(&self, _jurisdiction: &str) -> Result<ObjectId<'_>> {
        self.unique_id()
    }

    /// Returns the object `name`.
    ///
    /// # Errors
    ///
    /// When the class is not served.
    pub fn get_by_name(&self, name: &str) -> Result<Stub> {
        self.id_from_name(name)?.get_stub()
    }
}

/// The id of an object. [`to_string`](ToString::to_string) gives it as 64 hexadecimal digits.
#[derive(Clone, Debug)]
pub struct ObjectId<'a> {
    hex: String,
    name: Option<String>,
    namespace: Option<&'a ObjectNamespace>,
}

impl ObjectId<'_> {
    pub(super) fn own(hex: &str, name: Option<&str>) -> Self {
        Self { hex: hex.to_owned(), name: name.map(ToOwned::to_owned), namespace: None }
    }

    /// Returns what requests to the object are sent through. The object need not exist: it is made when it is asked something.
    ///
    /// # Errors
    ///
    /// When this is the id that an object has of itself: an object cannot call itself.
    pub fn get_stub(&self) -> Result<Stub> {
        let Some(namespace) = self.namespace else {
            return Err("Cannot get stub from within a Durable Object".into());
        };
        let (id, name) = (self.hex.clone(), self.name.clone());
        Ok(Stub { binding: namespace.binding.clone(), id, name })
    }

    /// As [`get_stub`](Self::get_stub): on one machine there is one location.
    ///
    /// # Errors
    ///
    /// As [`get_stub`](Self::get_stub).
    pub fn get_stub_with_location_hint(&self, _location_hint: &str) -> Result<Stub> {
        self.get_stub()
    }

    /// Returns the name that the id was made of. In an object: the one by which it was called first, as long as it lives.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.name.clone()
    }
}

impl PartialEq for ObjectId<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hex == other.hex
    }
}

impl Eq for ObjectId<'_> {}

impl fmt::Display for ObjectId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex)
    }
}

/// What requests to an object are sent through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stub {
    binding: String,
    id: String,
    name: Option<String>,
}

impl Stub {
    /// Sends a request to the object. Nothing of the URL matters but what the object makes of it.
    ///
    /// # Errors
    ///
    /// The error that the object's `fetch` returned, or what it died of.
    pub async fn fetch_with_request(&self, req: Request) -> Result<Response> {
        Fetch::Request(req).send_by(Some(&self.route())).await
    }

    /// Sends a `GET`.
    ///
    /// # Errors
    ///
    /// When `url` is not an absolute URL; the error that the object's `fetch` returned, or what it died of.
    pub async fn fetch_with_str(&self, url: &str) -> Result<Response> {
        let url: Url = url.parse().map_err(|error| crate::Error::from(format!("`{url}` is not a URL: {error}")))?;
        Fetch::Url(url).send_by(Some(&self.route())).await
    }

    fn route(&self) -> Route {
        Route::object(&self.binding, &self.id, self.name.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_does_not_call_itself() {
        let id = ObjectId::own("00", Some("me"));
        assert_eq!((id.to_string().as_str(), id.name().as_deref()), ("00", Some("me")));
        assert_eq!(id.get_stub().unwrap_err().to_string(), "Cannot get stub from within a Durable Object");
    }
}
