//! `miniflow workflows instances follow`: what happens to an instance, as it happens.

use http::{Method, StatusCode};

use super::instances::path;
use super::missing::unknown_instance;
use super::place::{API, Failed, Source, read};
use crate::cli::client::Opened;
use crate::config::{Problem, Problems};
use crate::report::{Followed, terminal};

/// Prints every event of an instance until it has ended.
///
/// # Errors
///
/// When it did not complete, or cannot be followed.
pub(super) async fn to_the_end(source: &Source, name: &str, id: &str, json: bool) -> Result<(), Problems> {
    let Some(port) = source.port() else {
        return Err(Problem::error("what is kept can be described, and followed only with a server").into());
    };
    let url = format!("{API}{}/subscribe", path(name, id));
    let mut answer = Opened::of(port, Method::GET, &url, bytes::Bytes::new()).await?;
    if answer.status() != StatusCode::OK {
        let status = answer.status();
        let mut whole = Vec::new();
        while let Some(bytes) = answer.next().await? {
            whole.extend_from_slice(&bytes);
        }
        return match read(status, &whole, &format!("the server on port {port}")) {
            Err(failed) => Err(unknown_instance(source, name, id, failed).await),
            Ok(_) => Err(Failed::from(Problems::from(Problem::error("there are no events"))).into_problems()),
        };
    }
    let mut followed = Followed::new(super::super::stdout_style());
    let mut lines = Lines::default();
    while let Some(bytes) = answer.next().await? {
        for line in lines.of(&bytes) {
            // Of a message the data has everything.
            let Some(event) = line.strip_prefix("data: ") else { continue };
            let text = followed.take(event);
            terminal::stdout(&if json { format!("{event}\n") } else { text });
        }
    }
    match followed.end() {
        Some("workflow_completed") => Ok(()),
        Some(end) => {
            let how = if end == "workflow_terminated" { "was terminated" } else { "errored" };
            Err(Problem::error(format!("instance \"{id}\" of workflow \"{name}\" {how}")).into())
        }
        None => Err(Problem::error(format!("the server on port {port} stopped before the end of \"{id}\""))
            .with_hint("when it runs again, the instance goes on")
            .into()),
    }
}

/// Makes lines of pieces.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// The lines that end in the next piece.
    fn of(&mut self, piece: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(piece);
        let Some(end) = self.0.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.0.split_off(end + 1);
        let whole = std::mem::replace(&mut self.0, rest);
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn lines_are_whole_wherever_they_are_cut() {
        let text = "id: 1\ndata: {\"ä\":1}\n\nid: 2\n";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let got: Vec<_> = text.as_bytes().chunks(size).flat_map(|piece| lines.of(piece)).collect();
            assert_eq!(got, ["id: 1", "data: {\"ä\":1}", "", "id: 2"], "{size}");
        }
    }
}
