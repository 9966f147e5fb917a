//! [`Fetcher`]: a service binding, through which another Worker is asked.

use crate::http_api::Route;
use crate::{Error, Fetch, Request, RequestInit, Response, Result};

/// Another Worker that the configuration binds; see [`Env::service`](crate::Env::service).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetcher {
    binding: String,
}

impl Fetcher {
    pub(crate) fn bound_as(binding: &str) -> Self {
        Self { binding: binding.to_owned() }
    }

    /// Asks the Worker for `url`; a `GET` unless `init` says otherwise. Nothing goes over the network: only the Worker makes something of the
    /// host in the URL.
    ///
    /// # Errors
    ///
    /// When `url` is not an absolute URL, the Worker is not served, or it failed.
    pub async fn fetch(&self, url: impl Into<String>, init: Option<RequestInit>) -> Result<Response> {
        let request = Request::new_with_init(&url.into(), init.unwrap_or_default())?;
        self.fetch_request(request).await
    }

    /// Passes a request to the Worker.
    ///
    /// # Errors
    ///
    /// When the Worker is not served, or it failed.
    pub async fn fetch_request<T, E>(&self, request: T) -> Result<Response>
    where
        T: TryInto<Request, Error = E>,
        Error: From<E>,
    {
        let request = request.try_into()?;
        Fetch::Request(request).send_by(Some(&Route::service(&self.binding))).await
    }
}
