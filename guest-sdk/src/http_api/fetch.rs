//! [`Fetch`]: asking another server.

use url::Url;

use super::body::Inner;
use super::{Body, Headers, Method, Request, RequestRedirect, Response, Route, wasi};
use crate::{Error, Result, host};

/// As in browsers and Workers.
const REDIRECTS_MAX: u32 = 20;

/// Refused by the platform in these words.
const ONE_TIME_BODY: &str = "A request with a one-time-use body (it was initialized from a stream, not a buffer) encountered a \
    redirect requiring the body to be retransmitted. To avoid this error in the future, construct this request from a buffer-like body \
    initializer.";

/// An outbound request.
///
/// In a workflow put it into a step: then it is sent once, and its answer is remembered.
#[derive(Debug)]
pub enum Fetch {
    /// A `GET`.
    Url(Url),
    /// Any request, also the one the Worker itself was sent.
    Request(Request),
}

impl Fetch {
    /// Sends it and returns the response as soon as its head is there. A status such as 500 is a response, not an error.
    ///
    /// # Errors
    ///
    /// [`Error::Fetch`] when there is no response.
    pub async fn send(self) -> Result<Response> {
        self.send_by(None).await
    }

    /// Sends it by `route`, redirections as well; by the network when there is none.
    pub(crate) async fn send_by(self, route: Option<&Route>) -> Result<Response> {
        host::required("`Fetch::send`");
        let request = match self {
            Self::Url(url) => Request::new(url.as_str(), Method::Get)?,
            Self::Request(request) => request,
        };
        let (mut method, mut url, headers, mut body, redirect) = request.into_parts()?;
        if redirect == RequestRedirect::Manual {
            return wasi::send(&method, &url, headers, body, route).await;
        }
        for _ in 0..=REDIRECTS_MAX {
            let again = body.copy().map_err(|_| Error::Fetch(ONE_TIME_BODY.to_owned()));
            let response = wasi::send(&method, &url, headers.clone(), body, route).await?;
            let Some(target) = location(&response, &url)? else { return Ok(response) };
            if redirect == RequestRedirect::Error {
                return Err(Error::Fetch(format!("`{url}` redirects to `{target}`")));
            }
            body = next_body(&mut method, response.status_code(), again, &headers)?;
            if target.origin() != url.origin() {
                headers.delete("authorization")?;
            }
            url = target;
        }
        Err(Error::Fetch(format!("Too many redirects: gave up at `{url}` after {REDIRECTS_MAX} redirects")))
    }
}

/// Returns where a redirection leads to; none for any other response.
fn location(response: &Response, from: &Url) -> Result<Option<Url>> {
    if !matches!(response.status_code(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get("location")? else { return Ok(None) };
    let target = from
        .join(&location)
        .map_err(|error| Error::Fetch(format!("`{from}` redirects to `{location}`, which is not a URL: {error}")))?;
    Ok(Some(target))
}

/// Returns the body for the next place, turning the request into a `GET` where HTTP has it so.
fn next_body(method: &mut Method, status: u16, body: Result<Body>, headers: &Headers) -> Result<Body> {
    let to_get = match status {
        303 => !matches!(method, Method::Get | Method::Head),
        301 | 302 => *method == Method::Post,
        _ => false,
    };
    // A stream is refused for all but 303, also where the body is not sent again: so does the platform.
    if !to_get {
        return body;
    }
    if status != 303 {
        body?;
    }
    *method = Method::Get;
    for name in ["content-length", "content-type", "content-encoding", "content-language", "content-location"] {
        headers.delete(name)?;
    }
    Ok(Body(Inner::Empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirection(status: u16, to: &str) -> Response {
        let response = Response::empty().unwrap().with_status(status);
        response.headers().set("location", to).unwrap();
        response
    }

    #[test]
    fn a_location_is_relative_to_where_it_was_given() {
        let from: Url = "http://h/a/b?q".parse().unwrap();
        let to = |status, to| location(&redirection(status, to), &from).map(|url| url.map(String::from));
        assert_eq!(to(302, "c").unwrap().as_deref(), Some("http://h/a/c"));
        assert_eq!(to(308, "http://other/").unwrap().as_deref(), Some("http://other/"));
        assert_eq!(to(200, "c").unwrap(), None);
        assert!(to(302, "http://").is_err());
    }

    #[test]
    fn a_post_becomes_a_get_except_for_307_and_308() {
        for (status, expected) in [(301, Method::Get), (303, Method::Get), (307, Method::Post), (308, Method::Post)] {
            let mut method = Method::Post;
            next_body(&mut method, status, Ok(Body::from("x")), &Headers::new()).unwrap();
            assert_eq!(method, expected, "{status}");
        }
    }
}
