//! Steps at the same time, and futures of steps that are not awaited to the end.

use std::pin::pin;

use futures::FutureExt;
use futures::future::{Either, join_all, select};
use miniflow_sdk::*;
use serde_json::json;

use super::{Run, class, now, wait};

class!(
    /// `n` steps `branch-0`, `branch-1`, … at a time, each of which waits `ms`. Output: their values, and how long it took.
    Parallel = async |run: Run| {
        let (run, start) = (&run, now());
        let branch = |i: u32| async move {
            let body = |ctx: WorkflowStepContext| async move {
                run.params.tell(&run.id, &ctx).await?;
                wait(run.params.ms).await;
                Ok(i)
            };
            run.step.do_(format!("branch-{i}"), body).await
        };
        let out: Result<Vec<_>> = join_all((0..run.params.n.unwrap_or(3)).map(branch)).await.into_iter().collect();
        Ok(json!({ "out": out?, "took": now().saturating_sub(start) }))
    }
);

class!(
    /// Two branches, each of which sleeps `ms` between two steps.
    ParallelSleeps = async |run: Run| {
        let run = &run;
        let branch = |name: &'static str| async move {
            run.note(&format!("{name}-before")).await?;
            run.step.sleep(format!("{name}-nap"), run.params.length()).await?;
            run.note(&format!("{name}-after")).await
        };
        let (a, b) = futures::join!(branch("a"), branch("b"));
        Ok(json!({ "a": a?, "b": b? }))
    }
);

class!(
    /// Sleeps `ms`, and beside that looks, outside of any step, for an instance that is not there; then comes the step `looked`.
    LooksBesideSleep = async |run: Run| {
        let run = &run;
        let look = async {
            let found = run.env.workflow("ONE_STEP")?.get("nobody").await;
            run.note("looked").await?;
            Ok::<_, Error>(found.is_ok())
        };
        let (slept, found) = futures::join!(run.step.sleep("nap", run.params.length()), look);
        slept?;
        Ok(json!(found?))
    }
);

class!(
    /// Races the steps `slow`, asked for first, which waits `ms` (or 200), and `fast`. The step `remember` records the winner;
    /// then comes a sleep. The slow step is dropped, or, with `keep`, awaited before another sleep. Output: the winner that the last
    /// run saw and the one remembered, which must be the same.
    RaceWinner = async |run: Run| {
        // In a box, so that it can be dropped before the end of the run.
        let mut slow = Box::pin(run.note_after("slow", if run.params.ms == 0 { 200 } else { run.params.ms }));
        let winner = {
            let fast = pin!(run.note("fast"));
            match select(slow.as_mut(), fast).await {
                Either::Left((result, _)) => result.map(|_| "slow")?,
                Either::Right((result, _)) => result.map(|_| "fast")?,
            }
        };
        let remembered = run.step.do_("remember", |_| async { Ok(winner.to_owned()) }).await?;
        if run.params.keep && winner == "fast" {
            run.step.sleep("nap", "1 second").await?;
            slow.await?;
            // Long enough to hibernate: what follows is a replay, in which the slow step is asked for first and recorded last.
            run.step.sleep("rest", "3 seconds").await?;
        } else {
            drop(slow);
            run.step.sleep("nap", "1 second").await?;
        }
        Ok(json!({ "winner": winner, "remembered": remembered }))
    }
);

class!(
    /// Makes the future of a step `never` and does not poll it: nobody hears of that step. Output: the value of a step `other`.
    UnawaitedStep = async |run: Run| {
        let never = run.note("never");
        let other = run.note("other").await?;
        drop(never);
        Ok(json!({ "other": other }))
    }
);

class!(
    /// Starts a step `dropped` whose body waits, gives it up in the middle, then asks for that name again. Output: how
    /// many-th that was.
    DropsStep = async |run: Run| {
        {
            let mut first = pin!(run.note_after("dropped", 60_000));
            let pause = pin!(wait(run.params.ms.max(20)));
            if let Either::Left((value, _)) = select(first.as_mut(), pause).await {
                value?;
            }
        }
        let again = run.note("dropped").await?;
        // The step was also polled once and dropped before it could begin.
        let _ = run.note("glimpsed").now_or_never();
        run.step.sleep("nap", "1 second").await?;
        let last = run.note("last").await?;
        Ok(json!({ "again": again, "last": last }))
    }
);

class!(
    /// Starts `n` instances of `EventWaiter`, `ID-0` and so on, with a timeout of an hour, a hundred in a step. Output: how many.
    FanOut = async |run: Run| {
        let run = &run;
        let mut started = 0;
        let n = run.params.n.unwrap_or(0);
        while started < n {
            let end = n.min(started + 100);
            let body = |_| async move {
                let params = serde_json::json!({ "type": "go", "timeout": "1 hour" });
                let child = |i| CreateOptions::new().with_id(format!("{}-{i}", run.id)).with_params(params.clone());
                let children = run.env.workflow("EVENT_WAITER")?.create_batch((started..end).map(child)).await?;
                Ok(children.len())
            };
            started += u32::try_from(run.step.do_("start", body).await?).unwrap_or(0);
        }
        Ok(json!({ "started": started }))
    }
);
