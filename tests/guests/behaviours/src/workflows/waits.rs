//! Sleeping and waiting for events.

use miniflow_sdk::*;
use serde_json::{Value, json};

use super::{Run, class, now};

class!(
    /// Sleeps `ms` or `duration` between the steps `before` and `after`. Output: the time of each.
    Sleeper = async |run: Run| {
        let run = &run;
        let time = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            Ok(now())
        };
        let before = run.step.do_("before", time).await?;
        run.step.sleep("nap", run.params.length()).await?;
        let after = run.step.do_("after", time).await?;
        Ok(json!({ "before": before, "after": after }))
    }
);

class!(
    /// Sleeps until `ms` after the step `before`. Output: that time and the one of the step `after`.
    SleepUntil = async |run: Run| {
        let before = run.step.do_("before", |_| async { Ok(now()) }).await?;
        let until = before + run.params.ms;
        run.step.sleep_until("until", until).await?;
        let after = run.step.do_("after", |_| async { Ok(now()) }).await?;
        Ok(json!({ "until": until, "after": after }))
    }
);

class!(
    /// Sleeps until the beginning of 1970. Output, when `caught`: the error.
    SleepUntilPast = async |run: Run| {
        let slept = run.step.sleep_until("past", Date::from(0)).await;
        outcome(slept.map(|()| json!("slept")), run.params.caught)
    }
);

class!(
    /// Waits in `wait` for an event of `type` (or `go`), for at most `timeout`, after a step `before`. Output: the event, or,
    /// when `caught`, the error.
    EventWaiter = async |run: Run| {
        run.note("before").await?;
        let mut options = WaitForEventOptions::new(run.params.event_type.as_deref().unwrap_or("go"));
        options.timeout = run.params.timeout.as_deref().map(Into::into);
        let event = run.step.wait_for_event::<Value>("wait", options).await;
        let event = event.map(|event| {
            let sent = event.timestamp.as_millis();
            json!({ "payload": event.payload, "type": event.type_, "timestamp": sent })
        });
        outcome(event, run.params.caught)
    }
);

class!(
    /// Waits for `n` events of type `go`, one after the other. Output: their payloads.
    ManyEvents = async |run: Run| {
        let mut payloads = Vec::new();
        for k in 1..=run.params.n.unwrap_or(2) {
            let event = run.step.wait_for_event::<Value>(format!("wait-{k}"), WaitForEventOptions::new("go")).await?;
            payloads.push(event.payload);
        }
        Ok(json!({ "payloads": payloads }))
    }
);

/// Passes an error on, or makes it the output.
pub fn outcome(result: Result<Value>, caught: bool) -> Result<Value> {
    match result {
        Err(error) if caught => Ok(json!({ "name": error.name(), "message": error.to_string() })),
        other => other,
    }
}
