//! The one reading of URLs: the URL Standard's, as in the Workers platform and in the SDK.
//!
//! **Guarantees.** The path that a Worker sees, that the server's own routes are matched with and that the log shows is the same text. Dot
//! segments are resolved (`%2e` is a dot there), `\` is `/`, and the text is unchanged by a second reading. A host has one form: lower case,
//! no dot at the end, punycode, and the shortest form of an IP address.
//!
//! **Non-goals.** Decoding: `%2F` stays as it is.

use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Request, Uri, header};
use url::{Host, Position, Url};

/// Base of a target: the path of an `http` URL does not depend on its host.
const BASE: &str = "http://localhost";

/// Replaces path and query of `uri` by their standard form. A target without a path, such as `*`, stays as it is.
pub(crate) fn normalize_target(uri: &mut Uri) {
    let Some(target) = uri.path_and_query().map(PathAndQuery::as_str).filter(|target| target.starts_with('/')) else {
        return;
    };
    let Ok(url) = Url::parse(&format!("{BASE}{target}")) else { return };
    let standard = &url[Position::BeforePath..Position::AfterQuery];
    if standard == target {
        return;
    }
    let Ok(standard) = PathAndQuery::try_from(standard) else { return };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(standard);
    // Only path and query were replaced, by others that are valid.
    if let Ok(changed) = Uri::from_parts(parts) {
        *uri = changed;
    }
}

/// Replaces the URL of a guest's request by its standard form, and `host` where that changes it. User and password are left out.
///
/// # Errors
///
/// The request's URL, when it is not an absolute URL.
pub(crate) fn normalize_request<B>(request: &mut Request<B>) -> Result<(), NotAUrl> {
    normalize_target(request.uri_mut());
    let mut parts = request.uri().clone().into_parts();
    let Some(authority) = parts.authority.take() else { return Err(NotAUrl) };
    let port = authority.port().map_or(String::new(), |port| format!(":{port}"));
    let standard = format!("{}{port}", host(authority.host()).ok_or(NotAUrl)?);
    if standard == authority.as_str() {
        return Ok(());
    }
    let value = HeaderValue::try_from(&standard).map_err(|_| NotAUrl)?;
    parts.authority = Some(Authority::try_from(standard).map_err(|_| NotAUrl)?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| NotAUrl)?;
    request.headers_mut().insert(header::HOST, value);
    Ok(())
}

/// The URL of a request is not absolute, or names no valid host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAUrl;

/// Returns the standard form of a host; `None` when it is not one. IPv6 addresses are in brackets.
pub(crate) fn host(text: &str) -> Option<String> {
    let host = Host::parse(text).ok()?.to_string();
    let name = host.strip_suffix('.').unwrap_or(&host);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(target: &str) -> String {
        let mut uri: Uri = target.parse().unwrap();
        normalize_target(&mut uri);
        uri.to_string()
    }

    #[test]
    fn target_gets_the_form_of_the_standard() {
        for (target, expected) in [
            ("/a/../b?x=/../y", "/b?x=/../y"),
            ("/a/%2e%2E/b", "/b"),
            ("/a\\..\\b", "/b"),
            ("//a//b/", "//a//b/"),
            ("/a%2Fb", "/a%2Fb"),
            ("/?it's", "/?it%27s"),
            ("*", "*"),
            ("http://h:81/a/./b", "http://h:81/a/b"),
        ] {
            assert_eq!(normalized(target), expected, "{target}");
        }
    }

    /// Every target of up to five pieces.
    #[test]
    fn target_is_read_as_the_url_parser_reads_it() {
        const PIECES: [&str; 10] = ["/", ".", "%2e", "%2E", "\\", "a", "?", "%", "'", "%2f"];
        for number in 0..PIECES.len().pow(5) {
            let pieces = (0..5).map(|place| PIECES[number / PIECES.len().pow(place) % PIECES.len()]);
            let target: String = std::iter::once("/").chain(pieces).collect();
            let once = normalized(&target);
            let url = Url::parse(&format!("{BASE}{target}")).unwrap();
            assert_eq!(once, url[Position::BeforePath..Position::AfterQuery], "{target}");
            assert_eq!(normalized(&once), once, "{target}");
        }
    }

    #[test]
    fn host_has_one_form() {
        for (text, expected) in [
            ("API.Example.com.", Some("api.example.com")),
            ("127.1", Some("127.0.0.1")),
            ("0x7f.0.0.1", Some("127.0.0.1")),
            ("[0:0::1]", Some("[::1]")),
            ("b\u{fc}cher.test", Some("xn--bcher-kva.test")),
            ("%61.test", Some("a.test")),
            ("a b", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(host(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn request_is_sent_where_it_is_checked() {
        let mut request = Request::builder()
            .uri("http://me:secret@0x7f.1:81/a/../b?q")
            .header(header::HOST, "me:secret@0x7f.1:81")
            .body(())
            .unwrap();
        normalize_request(&mut request).unwrap();
        assert_eq!(request.uri(), "http://127.0.0.1:81/b?q");
        assert_eq!(request.headers()[header::HOST], "127.0.0.1:81");
        let mut relative = Request::builder().uri("/a").body(()).unwrap();
        assert_eq!(normalize_request(&mut relative), Err(NotAUrl));
    }
}
