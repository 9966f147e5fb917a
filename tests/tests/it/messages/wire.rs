//! A client and a server that write and read HTTP/1.1 byte by byte.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use miniflow_tests::Server;

/// A body that has not ended after this time never ends.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A message as it was on the wire.
#[derive(Debug)]
pub(super) struct Message {
    /// The request line or the status line.
    pub(super) start: String,
    headers: Vec<(String, String)>,
    /// The content, or how it broke off.
    pub(super) body: Result<Vec<u8>, String>,
}

impl Message {
    pub(super) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// The values of `name`, joined.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(super) fn text(&self) -> String {
        match &self.body {
            Ok(body) => String::from_utf8_lossy(body).into_owned(),
            Err(why) => format!("({why})"),
        }
    }

    /// How the body ends: `length N`, `chunked`, or neither.
    pub(super) fn framing(&self) -> String {
        match (self.header("content-length"), self.header("transfer-encoding")) {
            (Some(length), None) => format!("length {length}"),
            (None, Some(coding)) => coding,
            (None, None) => "none".to_owned(),
            (Some(length), Some(coding)) => format!("both: length {length}, {coding}"),
        }
    }
}

/// A connection to a server.
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(SILENCE_MAX)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request without a body, with `more` header lines, and reads the answer.
    pub(super) fn ask_with(&mut self, method: &str, target: &str, more: &str) -> Message {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n");
        self.send(method, request.as_bytes())
    }

    pub(super) fn ask(&mut self, method: &str, target: &str) -> Message {
        self.ask_with(method, target, "")
    }

    /// Sends the bytes of a request with `method`, and reads the answer.
    pub(super) fn send(&mut self, method: &str, request: &[u8]) -> Message {
        self.0.get_mut().write_all(request).unwrap();
        read_response(&mut self.0, method == "HEAD")
    }
}

fn read_response(stream: &mut impl BufRead, to_head: bool) -> Message {
    let mut message = read_head(stream);
    let status = message.status();
    if to_head || status < 200 || matches!(status, 204 | 304) {
        return message;
    }
    if message.header("content-length").is_none() && message.header("transfer-encoding").is_none() {
        let mut body = Vec::new();
        message.body = stream.read_to_end(&mut body).map(|_| body).map_err(|error| error.to_string());
        return message;
    }
    message.body = read_body(stream, &message);
    message
}

/// Reads a request.
pub(super) fn read_request(stream: &mut impl BufRead) -> Message {
    let mut message = read_head(stream);
    message.body = read_body(stream, &message);
    message
}

fn read_line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    // A connection that ends is an empty line.
    let _ = stream.read_line(&mut line);
    line.trim_end_matches(['\r', '\n']).to_owned()
}

fn read_head(stream: &mut impl BufRead) -> Message {
    let start = read_line(stream);
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream);
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Message { start, headers, body: Ok(Vec::new()) }
}

fn read_body(stream: &mut impl BufRead, message: &Message) -> Result<Vec<u8>, String> {
    if message.header("transfer-encoding").is_some() {
        let mut body = Vec::new();
        loop {
            let size = read_line(stream);
            let size = usize::from_str_radix(&size, 16).map_err(|_| "broke off before a chunk".to_owned())?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).map_err(|_| "broke off in a chunk".to_owned())?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    let length = message.header("content-length").map_or(Ok(0), |length| length.parse::<usize>());
    let mut body = vec![0; length.map_err(|error| error.to_string())?];
    stream.read_exact(&mut body).map_err(|_| format!("broke off before {} bytes", body.len()))?;
    Ok(body)
}
