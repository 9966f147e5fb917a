//! What compilers and build commands print, where that does not go to the terminal as it is.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use super::Progress;

/// Gives the lines of `source`, if there is one, to `progress`, until it ends.
pub(super) async fn pass(source: Option<impl AsyncRead + Unpin>, progress: &dyn Progress) {
    let Some(source) = source else { return };
    let mut lines = BufReader::new(source).split(b'\n');
    // What cannot be read ends it: the exit status says how it went.
    while let Ok(Some(line)) = lines.next_segment().await {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if !text.is_empty() {
            progress.line(text);
        }
    }
}
