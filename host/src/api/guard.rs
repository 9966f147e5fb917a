//! Who may ask.
//!
//! Promises: a page of another origin, and a name that points here, are answered nothing: it must not drive the developer's instances. Where a
//! token is asked for, nobody gets on without it. Whoever has the token may use any name for this machine, but a page is a page.

use std::net::SocketAddr;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};

use super::Surface;
use super::failure::Failure;
use crate::triggers::http::Body;
use crate::triggers::local;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
const HEADERS: HeaderValue =
    HeaderValue::from_static("Content-Type, Authorization, cf-metadata-only, cf-r2-custom-metadata");
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// What is asked of requests.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// What they have to bring, if anything.
    pub(super) token: Option<String>,
    /// Others on the network reach the server. A name may have been made to point here; an address is what it is.
    pub(super) is_shared: bool,
}

impl Rules {
    /// Refuses what does not come from this machine. Returns the origin that asks, if there is one.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        surface: Surface,
        peer: Option<SocketAddr>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let vouched = self.asks_for_token(surface, peer) && self.is_borne(headers);
        let by_address = self.is_shared && local::is_host_an_address(headers);
        if !vouched && !by_address && !local::is_host_here(headers) {
            return Err(Failure::Foreign("the `Host` of the request is not this machine"));
        }
        if !local::is_origin_here(headers) {
            return Err(Failure::Foreign("the `Origin` of the request is not this machine"));
        }
        Ok(headers.get(header::ORIGIN).cloned())
    }

    /// Refuses who has to bring a token and does not.
    pub(super) fn authorize(
        &self,
        headers: &HeaderMap,
        surface: Surface,
        peer: Option<SocketAddr>,
    ) -> Result<(), Failure> {
        if self.asks_for_token(surface, peer) && !self.is_borne(headers) { Err(Failure::Unauthorized) } else { Ok(()) }
    }

    /// Everybody has to bring it with version 4, and with the local API who is not on this machine.
    fn asks_for_token(&self, surface: Surface, peer: Option<SocketAddr>) -> bool {
        self.token.is_some() && (surface == Surface::V4 || is_elsewhere(peer))
    }

    fn is_borne(&self, headers: &HeaderMap) -> bool {
        self.token.as_deref().is_some_and(|token| bears(headers, token))
    }
}

fn is_elsewhere(peer: Option<SocketAddr>) -> bool {
    peer.is_some_and(|peer| !peer.ip().to_canonical().is_loopback())
}

fn bears(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked(7));
    given.is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case(b"bearer ") && equal(given, token.as_bytes()))
}

/// Takes as long whatever the difference is, so that nobody guesses the token piece by piece.
fn equal(given: &[u8], token: &[u8]) -> bool {
    given.len() == token.len() && given.iter().zip(token).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// The answer to the question of a browser whether it may ask.
pub(super) fn preflight(origin: Option<&HeaderValue>) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let any = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.cloned().unwrap_or(any));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    headers.insert(header::VARY, HeaderValue::from(HeaderName::from_static("origin")));
    response
}

/// Lets the page that asked read the answer.
pub(super) fn allow(headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::VARY, HeaderValue::from(HeaderName::from_static("origin")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    fn peer(address: &str) -> Option<SocketAddr> {
        Some(address.parse().unwrap())
    }

    fn rules(token: Option<&str>, is_shared: bool) -> Rules {
        Rules { token: token.map(str::to_owned), is_shared }
    }

    #[test]
    fn a_token_is_asked_for_where_somebody_else_could_ask() {
        let with = headers(&[("authorization", "Bearer secret")]);
        let without = headers(&[]);
        let (here, there) = (peer("127.0.0.1:1"), peer("192.168.0.7:1"));
        let (secret, none) = (rules(Some("secret"), true), rules(None, true));
        for (surface, peer, needed) in [
            (Surface::V4, here, true),
            (Surface::V4, there, true),
            (Surface::Local, here, false),
            (Surface::Local, peer("[::ffff:127.0.0.1]:1"), false),
            (Surface::Local, there, true),
        ] {
            assert_eq!(secret.authorize(&without, surface, peer).is_err(), needed, "{surface:?} {peer:?}");
            assert_eq!(secret.authorize(&with, surface, peer), Ok(()));
            assert_eq!(none.authorize(&without, surface, peer), Ok(()));
        }
        for wrong in ["Bearer secre", "Bearer secret2", "Bearer Secret", "secret", "Basic secret", "Bearer"] {
            let wrong = headers(&[("authorization", wrong)]);
            assert_eq!(secret.authorize(&wrong, Surface::V4, here), Err(Failure::Unauthorized));
        }
    }

    #[test]
    fn a_token_stands_for_the_host_and_not_for_the_origin() {
        let with = headers(&[("host", "box.lan:8787"), ("authorization", "Bearer secret")]);
        let secret = rules(Some("secret"), false);
        assert!(secret.check(&with, Surface::V4, None).is_ok());
        assert!(rules(None, false).check(&with, Surface::V4, None).is_err());
        assert!(secret.check(&with, Surface::Local, peer("127.0.0.1:1")).is_err());
        let page =
            headers(&[("host", "box.lan:8787"), ("authorization", "Bearer secret"), ("origin", "https://example.com")]);
        assert!(secret.check(&page, Surface::V4, None).is_err());
    }

    #[test]
    fn a_server_that_others_reach_is_reached_by_its_address_and_by_no_name() {
        for host in ["192.168.0.7:8787", "[fe80::1]:8787", "0.0.0.0"] {
            let asked = headers(&[("host", host)]);
            assert!(rules(None, true).check(&asked, Surface::V4, None).is_ok(), "{host}");
            assert!(rules(None, false).check(&asked, Surface::V4, None).is_err(), "{host}");
        }
        let named = headers(&[("host", "rebound.example.com:8787")]);
        assert!(rules(None, true).check(&named, Surface::V4, None).is_err());
    }
}
