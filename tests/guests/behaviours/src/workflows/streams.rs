//! Steps whose output is a stream.

use futures::{StreamExt, stream};
use miniflow_sdk::*;
use serde_json::json;

use super::{Run, class, wait};

/// The byte at a place of the stream: wrong order or a lost chunk shows.
fn byte_at(place: usize) -> u8 {
    (place % 251) as u8
}

class!(
    /// A step `stream` of `bytes` bytes in chunks of `chunk` (or 4096), `ms` apart, that fails in the middle while its attempt is at most
    /// `fail` (0 unless given), and never ends with `keep`; with `limit`, `delay` and `timeout`. Then a sleep of `duration`, if given, after
    /// which it is read. Output: `{length, chunks, intact}`, or, when `caught`, the error.
    StreamOutput = async |run: Run| {
        let run = &run;
        let chunk = if run.params.chunk == 0 { 4096 } else { run.params.chunk };
        let body = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            let (bytes, endless, ms) = (run.params.bytes, run.params.keep, run.params.ms);
            let breaks = ctx.attempt <= run.params.fail.unwrap_or(0);
            Ok(stream::unfold(0, move |start| async move {
                if start > 0 {
                    wait(ms).await;
                }
                if breaks && start >= bytes / 2 {
                    return Some((Err(Error::from(format!("attempt {} breaks off", ctx.attempt))), usize::MAX));
                }
                let end = if endless { start.saturating_add(chunk) } else { bytes.min(start.saturating_add(chunk)) };
                let piece: Vec<u8> = (start..end).map(byte_at).collect();
                (!piece.is_empty()).then_some((Ok(piece), end))
            }))
        };
        let streamed = run.step.do_stream_with_config("stream", run.params.config(), body).await;
        if run.params.duration.is_some() {
            run.step.sleep("nap", run.params.length()).await?;
        }
        let read = async {
            let mut stream = streamed?;
            let (mut length, mut chunks, mut intact) = (0, 0, true);
            while let Some(piece) = stream.next().await {
                let piece = piece?;
                intact &= piece.iter().enumerate().all(|(i, byte)| *byte == byte_at(length + i));
                length += piece.len();
                chunks += 1;
            }
            Ok(json!({ "length": length, "chunks": chunks, "intact": intact }))
        };
        super::waits::outcome(read.await, run.params.caught)
    }
);

class!(
    /// A step `text` whose output is a stream of three texts. Output: the whole, read by `text`.
    StreamText = async |run: Run| {
        let body = |_| async { Ok(stream::iter(["one ", "two ", "three"].map(Ok::<_, Error>))) };
        Ok(json!(run.step.do_stream("text", body).await?.text().await?))
    }
);

class!(
    /// A step `secret` whose output is a stream that must not be shown. Output: its length.
    SensitiveStream = async |run: Run| {
        let config = StepConfig { sensitive: Some(StepSensitivity::Output), ..run.params.config() };
        let body = |_| async { Ok(stream::iter([Ok::<_, Error>("open sesame")])) };
        let secret = run.step.do_stream_with_config("secret", config, body).await?.text().await?;
        Ok(json!({ "length": secret.len() }))
    }
);
