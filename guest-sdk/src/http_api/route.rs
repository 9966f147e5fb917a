//! [`Route`]: a request that goes to a binding instead of a server.

use url::form_urlencoded::byte_serialize;

/// The header that says so. The host takes it off, and looks the binding up among those of the Worker that sends the request.
pub(super) const ROUTE_HEADER: &str = "miniflow-route";

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route(String);

impl Route {
    /// To the object `id`, which was found by `name` if there is one.
    pub(crate) fn object(binding: &str, id: &str, name: Option<&str>) -> Self {
        let mut text = format!("object {binding} {id}");
        if let Some(name) = name {
            text.push(' ');
            text.extend(byte_serialize(name.as_bytes()));
        }
        Self(text)
    }

    /// To another Worker.
    pub(crate) fn service(binding: &str) -> Self {
        Self(format!("service {binding}"))
    }

    pub(super) fn header(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_characters_is_one_word() {
        let route = Route::object("ROOMS", "00ff", Some("room 7 \u{e9}"));
        assert_eq!(route.header(), "object ROOMS 00ff room+7+%C3%A9");
        assert_eq!(Route::object("ROOMS", "00ff", None).header(), "object ROOMS 00ff");
        assert_eq!(Route::service("AUTH").header(), "service AUTH");
    }
}
