//! `/cdn-cgi/local/miniflow/time`: what the session's clock says, and moving it.
//!
//! `GET` shows it; `POST` takes one of `{"advance": MS}`, `{"next": true}`, `{"set": MS}`, `{"mode": "real|xN|skip|manual"}`, `{"reset": true}`,
//! and answers when everything that came due has happened.

use std::time::Duration;

use http::StatusCode;
use miniflow_runtime::clock::{Due, TimeMode};
use miniflow_runtime::mover::{MoveError, Moved, Mover};
use miniflow_runtime::{Clock as _, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{failed, moment};
use crate::api::instant;

/// What is wanted of the clock.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Wanted {
    Advance(u64),
    Next(bool),
    Set(u64),
    Mode(String),
    Reset(bool),
}

/// What the clock says.
pub(super) async fn show(mover: &Mover) -> Value {
    let clock = mover.clock();
    let now = clock.now();
    json!({
        "now": moment(now),
        "mode": clock.mode().to_string(),
        "offsetMs": ms(clock.offset()),
        "next": mover.peek().await.map(moment),
    })
}

/// Does what `body` says.
pub(super) async fn change(mover: &Mover, body: &[u8]) -> (StatusCode, Value) {
    let wanted = match serde_json::from_slice(body) {
        Ok(wanted) => wanted,
        Err(error) => return refused(&error.to_string()),
    };
    let moved = match wanted {
        Wanted::Next(false) | Wanted::Reset(false) => return refused("`false` does nothing"),
        Wanted::Advance(ms) => mover.advance(Duration::from_millis(ms)).await,
        Wanted::Next(true) => mover.next().await,
        Wanted::Set(ms) => mover.set(Timestamp(ms)).await,
        Wanted::Mode(word) => match word.parse::<TimeMode>() {
            Ok(mode) => {
                mover.set_mode(mode);
                return (StatusCode::OK, show(mover).await);
            }
            Err(error) => return (StatusCode::BAD_REQUEST, json!({ "error": error.to_string() })),
        },
        Wanted::Reset(true) => return reset(mover).await,
    };
    let now = show(mover).await;
    match moved {
        Ok(moved) => (StatusCode::OK, with_moved(now, &moved)),
        Err(error) => {
            let hint = hint(&error, mover.clock().now());
            let mut answer = match &error {
                MoveError::AtWork { moved, .. } => with_moved(now, moved),
                _ => now,
            };
            answer["error"] = json!(error.to_string());
            answer["hint"] = json!(hint);
            (StatusCode::CONFLICT, answer)
        }
    }
}

fn refused(why: &str) -> (StatusCode, Value) {
    let hint =
        "send one of {\"advance\": MS}, {\"next\": true}, {\"set\": MS}, {\"mode\": \"skip\"}, {\"reset\": true}";
    failed(StatusCode::BAD_REQUEST, &format!("the body says nothing that can be done: {why}"), hint)
}

/// Sets the clock back to the machine's: what is recorded must not lie in the future, so nothing may be.
async fn reset(mover: &Mover) -> (StatusCode, Value) {
    match mover.reset().await {
        Ok(()) => (StatusCode::OK, show(mover).await),
        Err(error) => {
            let hint = "delete them, or stop the server and remove its state";
            failed(StatusCode::CONFLICT, &error.to_string(), hint)
        }
    }
}

fn hint(error: &MoveError, now: Timestamp) -> String {
    match error {
        MoveError::Past { .. } => format!("the clock says {}", instant::format(now)),
        MoveError::TooFar => "a shorter time".to_owned(),
        MoveError::NothingToCome => {
            "start an instance that sleeps, or say how far: `miniflow time advance 1h`".to_owned()
        }
        MoveError::AtWork { .. } => "wait for it, or see what it is doing; then move on".to_owned(),
        MoveError::InstancesKept { .. } | MoveError::Ended => String::new(),
    }
}

fn with_moved(mut now: Value, moved: &Moved) -> Value {
    let due = |due: &Due| json!({ "at": moment(due.at), "what": due.what });
    now["moved"] = json!({
        "from": moment(moved.from),
        "to": moment(moved.to),
        "due": moved.due.iter().map(due).collect::<Vec<_>>(),
    });
    now
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
