//! Asks a server that runs: what every command does that is about a session in progress.
//!
//! One connection for each request, on this machine only. Whatever goes wrong is a [`Problem`] that names the port. Waits as long as the
//! server takes: moving time may.

use bytes::Bytes;
use clap::Args;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::config::{Problem, Problems};

/// Where a server listens that is asked: `127.0.0.1`, else `::1`.
const ADDRESSES: [&str; 2] = ["127.0.0.1", "::1"];

/// The server that a command is about, to be flattened into its arguments.
#[derive(Debug, Clone, Copy, Args)]
pub struct ServerArgs {
    /// The port of the server
    #[arg(long, env = "MINIFLOW_PORT", hide_env_values = true, default_value_t = 8787, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    /// The body as JSON; a text when it is something else, null when it is empty.
    pub body: Value,
}

impl Answer {
    /// Returns the body of a success.
    ///
    /// # Errors
    ///
    /// When the server refused, with its own words.
    pub fn success(self) -> Result<Value, Problems> {
        if self.status.is_success() { Ok(self.body) } else { Err(self.refusal().into()) }
    }

    /// Returns what the server says is wrong: `{"error": …, "hint": …}`, `{"errors": [{"message": …}]}`, or a text.
    pub fn refusal(&self) -> Problem {
        let text = |value: &Value| value.as_str().map(|text| text.trim_end().to_owned());
        let message = text(&self.body["error"])
            .or_else(|| text(&self.body["errors"][0]["message"]))
            .or_else(|| text(&self.body))
            .unwrap_or_else(|| format!("the server answered {}", self.status));
        let problem = Problem::error(message);
        match text(&self.body["hint"]) {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        }
    }
}

/// Asks for `path`, and returns the JSON of a success.
///
/// # Errors
///
/// When no server is there, or it refuses.
pub async fn get(port: u16, path: &str) -> Result<Value, Problems> {
    call(port, Method::GET, path, None).await?.success()
}

/// Sends `body` to `path`, and returns the JSON of a success.
///
/// # Errors
///
/// When no server is there, or it refuses.
pub async fn post_json(port: u16, path: &str, body: &Value) -> Result<Value, Problems> {
    call(port, Method::POST, path, Some(body)).await?.success()
}

/// Asks the server on `port`. `path`: with its query, percent-encoded.
///
/// # Errors
///
/// When no server is there, or what is there does not speak HTTP. Any answer is one.
pub async fn call(port: u16, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Problems> {
    let stream = connect(port).await?;
    let broken = |error: &dyn std::error::Error| {
        Problems::from(
            Problem::error(format!("the server on port {port} did not answer: {error}"))
                .with_hint("is it a `miniflow dev`, and does it still run?"),
        )
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    // Ends with the sender.
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, format!("localhost:{port}"))
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default()))
        .map_err(|error| Problem::error(format!("`{path}` cannot be asked for: {error}")))?;
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(|error| broken(&error))?.to_bytes();
    drop(sender);
    connection.abort();
    Ok(Answer { status, body: read(&bytes) })
}

fn read(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

async fn connect(port: u16) -> Result<TcpStream, Problems> {
    let mut refused = None;
    for address in ADDRESSES {
        match TcpStream::connect((address, port)).await {
            Ok(stream) => return Ok(stream),
            // The first says more: not every machine has the second.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let why = match refused {
        Some(error) if error.kind() != std::io::ErrorKind::ConnectionRefused => format!(": {error}"),
        _ => String::new(),
    };
    Err(Problem::error(format!("no server answers on port {port} of this machine{why}"))
        .with_hint("start one with `miniflow dev`, or name the port of one that runs with `--port`")
        .into())
}

#[cfg(test)]
mod tests;
