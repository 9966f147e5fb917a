//! Instances that are paused, restarted, deleted: by tests, or by themselves.

use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use miniflow_sdk::*;
use serde_json::{Value, json};

use super::{Run, class, wait};

class!(
    /// `n` (or 1) steps `busy-0`, `busy-1`, … at a time, each of which tells the sink, which may be slow to answer, and then waits
    /// `ms`; then a step `after`. Output: the counts of all.
    PauseTarget = async |run: Run| {
        let run = &run;
        let busy = (0..run.params.n.unwrap_or(1)).map(|i| async move {
            let ms = run.params.ms;
            run.note_after(&format!("busy-{i}"), ms).await
        });
        let busy: Result<Vec<_>> = join_all(busy).await.into_iter().collect();
        let after = run.note("after").await?;
        Ok(json!({ "busy": busy?, "after": after }))
    }
);

impl Run {
    /// A step that tells the sink and returns a value that no other run of it returns.
    async fn random(&self, name: &str) -> Result<String> {
        let body = |ctx: WorkflowStepContext| async move {
            self.params.tell(&self.id, &ctx).await?;
            // Keys of hashes are the same in every run of an instance; the moment is not.
            let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| Error::from(error.to_string()))?;
            Ok(format!("{:016x}", since.as_nanos()))
        };
        self.step.do_(name, body).await
    }
}

class!(
    /// Steps that return random values: `first`, `same`, `same`, a sleep `same` of `ms`, with `keep` a wait `same` for `go`, then
    /// `third`, a sleep `nap` of `ms`, and `last`. Output: the values, `{first, same: [..], event, third, last}`.
    RestartTarget = async |run: Run| {
        let first = run.random("first").await?;
        let same = [run.random("same").await?, run.random("same").await?];
        run.step.sleep("same", run.params.length()).await?;
        let event = if run.params.keep {
            run.step.wait_for_event::<Value>("same", WaitForEventOptions::new("go")).await?.payload
        } else {
            Value::Null
        };
        let third = run.random("third").await?;
        run.step.sleep("nap", run.params.length()).await?;
        let last = run.random("last").await?;
        Ok(json!({ "first": first, "same": same, "event": event, "third": third, "last": last }))
    }
);

/// Steers the instance itself, unless the sink answers with something else than 200 to `kind=steer`: code outside of steps
/// runs again in a replay, and everything does after a restart.
async fn steer(run: &Run) -> Result<bool> {
    if run.params.ask(&[("kind", "steer"), ("id", &run.id)]).await?.is_some_and(|status| status != 200) {
        return Ok(false);
    }
    let instance = run.env.workflow("SELF_STEERED")?.get(&run.id).await?;
    match run.params.name.as_deref() {
        Some("pause") => instance.pause().await?,
        Some("terminate") => instance.terminate().await?,
        Some("terminate-rollback") => {
            instance.terminate_with_options(TerminateOptions::new().rollback(true)).await?;
        }
        Some("restart") => instance.restart().await?,
        Some("delete") => instance.delete().await?,
        _ => return Err("`name` is none of pause, terminate, terminate-rollback, restart, delete".into()),
    }
    Ok(true)
}

class!(
    /// A step `before`, which can be undone (`kind=undo-before`), then what `name` says: `pause`, `terminate`, `terminate-rollback`,
    /// `restart` or `delete`, of the instance itself, in a step `steer` if `inside`; see [`steer`]. Then a wait of `ms` and a step
    /// `after`. Output: whether it was steered, as the last run saw it.
    SelfSteered = async |run: Run| {
        let run = &run;
        let undo = {
            let (params, id) = (std::rc::Rc::clone(&run.params), run.id.clone());
            Rollback::new(move |_: WorkflowRollbackContext<u32>| {
                let (params, id) = (std::rc::Rc::clone(&params), id.clone());
                async move { params.ask(&[("kind", "undo-before"), ("id", &id)]).await.map(drop) }
            })
        };
        let before = |ctx: WorkflowStepContext| async move {
            run.params.tell(&run.id, &ctx).await?;
            Ok(ctx.step.count)
        };
        run.step.do_with_rollback("before", before, undo).await?;
        let steered = if run.params.inside {
            run.step.do_with_config("steer", run.params.config(), |_| steer(run)).await?
        } else {
            steer(run).await?
        };
        wait(run.params.ms).await;
        run.note("after").await?;
        Ok(json!({ "steered": steered }))
    }
);
