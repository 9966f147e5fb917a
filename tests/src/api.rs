//! The REST APIs of a server, as their clients ask them.

use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::client::{Answer, Client, Payload};
use crate::server::Server;
use crate::wait::{PATIENCE, Patience};

/// One of the two APIs. Paths are below `workflows/`: `orders/instances`; a query alone, such as `?page=1`, is for the list.
#[derive(Clone)]
pub struct Api {
    client: Client,
    prefix: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Server {
    /// Returns Cloudflare's API, version 4, of an account.
    #[must_use]
    pub fn v4(&self) -> Api {
        Api::new(self.client(), "/client/v4/accounts/local/workflows")
    }

    /// Returns the local API.
    #[must_use]
    pub fn local_api(&self) -> Api {
        Api::new(self.client(), "/cdn-cgi/local/explorer/api/workflows")
    }
}

impl Api {
    fn new(client: Client, prefix: &'static str) -> Self {
        Self { client, prefix, headers: Vec::new() }
    }

    /// Sends this header along with each request.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let header = (name.parse().expect("a header's name"), value.parse().expect("a header's value"));
        self.headers.push(header);
        self
    }

    /// Asks for `path`.
    #[must_use]
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, ())
    }

    /// Sends a POST.
    #[must_use]
    #[track_caller]
    pub fn post(&self, path: &str, body: impl Into<Payload>) -> Answer {
        self.send(Method::POST, path, body)
    }

    /// Sends a PATCH of an instance's status, and returns the answer.
    #[must_use]
    #[track_caller]
    pub fn patch(&self, instance: &str, body: Value) -> Answer {
        self.send(Method::PATCH, &format!("{instance}/status"), body)
    }

    /// Sends any request.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn send(&self, method: Method, path: &str, body: impl Into<Payload>) -> Answer {
        let path = match path {
            "" => self.prefix.to_owned(),
            query if query.starts_with('?') => format!("{}{query}", self.prefix),
            path => format!("{}/{path}", self.prefix),
        };
        self.client.send_with(method, &path, body, &self.headers).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns what is answered to a GET of `path`.
    ///
    /// # Panics
    ///
    /// When it is refused.
    #[must_use]
    #[track_caller]
    pub fn result(&self, path: &str) -> Value {
        self.get(path).result()
    }

    /// Creates an instance of `workflow`, and returns its path.
    ///
    /// # Panics
    ///
    /// When that is refused.
    #[track_caller]
    pub fn create(&self, workflow: &str, id: &str, params: impl Into<Value>) -> String {
        let params = params.into();
        let body = serde_json::json!({ "instance_id": id, "params": params });
        assert_eq!(self.post(&format!("{workflow}/instances"), body).result()["id"], id);
        format!("{workflow}/instances/{id}")
    }

    /// Waits until the instance at `path` is `wanted`, and returns its details then.
    ///
    /// # Panics
    ///
    /// When it does not get there.
    #[track_caller]
    pub fn wait_for(&self, path: &str, wanted: &str) -> Value {
        let patience = Patience::default();
        loop {
            let details = self.result(path);
            if details["status"] == wanted {
                return details;
            }
            assert!(patience.wait(), "{path} is not `{wanted}` within {PATIENCE:?}: {details}");
        }
    }
}

impl Answer {
    /// Returns the result of a success.
    ///
    /// # Panics
    ///
    /// When it is a refusal, or no answer of an API.
    #[must_use]
    #[track_caller]
    pub fn result(self) -> Value {
        let mut json = self.clone().expect(200).json();
        assert_eq!((&json["success"], &json["errors"]), (&Value::Bool(true), &Value::Array(Vec::new())), "{json}");
        json["result"].take()
    }

    /// Asserts that this is a refusal with this status, code and message.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[track_caller]
    pub fn refused(self, status: u16, code: u32, message: &str) {
        let json = self.expect(status).json();
        let error = serde_json::json!([{ "code": code, "message": message }]);
        assert_eq!((&json["success"], &json["errors"]), (&Value::Bool(false), &error));
        assert_eq!((&json["result"], &json["messages"]), (&Value::Null, &serde_json::json!([])));
    }
}

impl Client {
    /// Sends a request with these headers.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it breaks off.
    pub fn send_with(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Payload>,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer, crate::client::RequestError> {
        let mut request = Request::new(Full::from(body.into().into_bytes()).boxed());
        *request.method_mut() = method;
        request.headers_mut().extend(headers.iter().cloned());
        self.request(path, request)
    }
}
