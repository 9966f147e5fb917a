//! Asks a server that runs: what every command does that is about a session in progress.
//!
//! One connection for each request, on this machine only. Whatever goes wrong is a [`Problem`] that names the port. Waits as long as the
//! server takes: moving time may.

use bytes::Bytes;
use clap::Args;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::config::{Problem, Problems};

/// Where a server listens that is asked: `127.0.0.1`, else `::1`.
const ADDRESSES: [&str; 2] = ["127.0.0.1", "::1"];

/// The server that a command is about, to be flattened into its arguments.
#[derive(Debug, Clone, Copy, Args)]
pub struct ServerArgs {
    /// Port of the running server
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
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let (status, bytes) = exchange(port, method, path, body).await?;
    Ok(Answer { status, body: read(&bytes) })
}

/// Sends the bytes of `body`, and returns those of the answer.
///
/// # Errors
///
/// As [`call`].
pub async fn exchange(port: u16, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Problems> {
    let mut answer = Opened::of(port, method, path, body).await?;
    let mut whole = Vec::new();
    while let Some(bytes) = answer.next().await? {
        whole.extend_from_slice(&bytes);
    }
    Ok((answer.status(), whole.into()))
}

/// Whether something listens on `port`.
pub async fn is_there(port: u16) -> bool {
    connect(port).await.is_ok()
}

/// An answer that is still coming.
pub struct Opened {
    port: u16,
    response: Response<Incoming>,
    // The connection ends with its task, and is wanted as long as the answer comes.
    _connection: JoinSet<()>,
    _sender: http1::SendRequest<Full<Bytes>>,
}

impl Opened {
    /// Asks as [`call`] does, and waits for the head of the answer.
    ///
    /// # Errors
    ///
    /// As [`call`].
    pub async fn of(port: u16, method: Method, path: &str, body: Bytes) -> Result<Self, Problems> {
        let stream = connect(port).await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| broken(port, &error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // What goes wrong with it is told by the answer.
            let _ = connection.await;
        });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, format!("localhost:{port}"))
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Problem::error(format!("`{path}` cannot be asked for: {error}")))?;
        let response = sender.send_request(request).await.map_err(|error| broken(port, &error))?;
        Ok(Self { port, response, _connection: tasks, _sender: sender })
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The next bytes of its body; none after the last. May be dropped while it waits.
    ///
    /// # Errors
    ///
    /// When the answer breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problems> {
        while let Some(frame) = self.response.frame().await {
            let frame = frame.map_err(|error| broken(self.port, &error))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

fn broken(port: u16, error: &dyn std::error::Error) -> Problems {
    Problem::error(format!("the server on port {port} did not answer: {error}"))
        .with_hint("is it a `miniflow dev`, and does it still run?")
        .into()
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
