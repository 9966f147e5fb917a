//! A client of one connection: as little as measuring needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A connection that is kept.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Client {
    pub(crate) fn connect(host: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self { stream: BufReader::new(stream), host: host.to_owned() })
    }

    /// Sends a request and reads its answer.
    pub(crate) fn request(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", self.host, body.len());
        let mut message = head.into_bytes();
        message.extend_from_slice(body.as_bytes());
        self.stream.get_mut().write_all(&message)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut length = None;
        let mut chunked = false;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
            chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
        }
        let mut body = Vec::new();
        if let Some(length) = length {
            body.resize(length, 0);
            self.stream.read_exact(&mut body)?;
        }
        while chunked {
            line.clear();
            self.stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap_or(0);
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..])?;
            line.clear();
            self.stream.read_line(&mut line)?;
            chunked = size > 0;
        }
        Ok((status, body))
    }

    /// A request whose answer is JSON and well.
    pub(crate) fn json(&mut self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) = self.request(method, path, body).expect("the server answers");
        assert_eq!(status, 200, "{method} {path}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).expect("the answer is JSON")
    }

    /// Starts instances of `wf` by batches of 100; their ids.
    pub(crate) fn create(&mut self, wf: &str, prefix: &str, count: usize, params: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for batch in 0..count.div_ceil(100) {
            let n = (count - batch * 100).min(100);
            // A batch of one would be named without a number.
            let path = format!("/create?wf={wf}&n={n}&prefix={prefix}x{batch}");
            let answer = self.json("POST", &path, params);
            let made = answer["ids"].as_array().expect("a list of ids");
            ids.extend(made.iter().filter_map(|id| id.as_str().map(str::to_owned)));
        }
        ids
    }

    /// The outputs of these instances, as soon as all are complete.
    pub(crate) fn outputs(&mut self, wf: &str, ids: &[String]) -> Vec<Value> {
        // Two of them tell when it is time to look at all.
        for id in [ids.last(), ids.first()].into_iter().flatten() {
            self.complete(wf, id, Duration::from_millis(20));
        }
        loop {
            let mut outputs = Vec::new();
            for batch in ids.chunks(100) {
                let body = serde_json::to_string(batch).expect("ids are texts");
                let statuses = self.json("POST", &format!("/statuses?wf={wf}"), &body);
                outputs.extend(
                    statuses
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter(|s| s["status"] == "complete")
                        .map(|s| s["output"].clone()),
                );
            }
            if outputs.len() == ids.len() {
                return outputs;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Polls until the instance is complete; its output.
    pub(crate) fn complete(&mut self, wf: &str, id: &str, every: Duration) -> Value {
        loop {
            let status = self.json("GET", &format!("/status?wf={wf}&id={id}"), "");
            match status["status"].as_str() {
                Some("complete") => return status["output"].clone(),
                Some("errored") => panic!("{id}: {status}"),
                _ => std::thread::sleep(every),
            }
        }
    }
}
