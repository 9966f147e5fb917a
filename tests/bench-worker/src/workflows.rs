//! The workflows that are measured. Their outputs carry `end`, the time at which `run` was about to return.

use std::time::Duration;

use futures::FutureExt;
use futures::future::{LocalBoxFuture, try_join_all};
use miniflow_sdk::*;
use serde::Deserialize;
use serde_json::{Value, json};

/// A length of time in params: a number of milliseconds, or a text.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Length {
    Ms(u64),
    Text(String),
}

impl From<Length> for WorkflowSleepDuration {
    fn from(length: Length) -> Self {
        match length {
            Length::Ms(ms) => Duration::from_millis(ms).into(),
            Length::Text(text) => text.into(),
        }
    }
}

/// Tells the driver that a step's body ran, by a `GET` of the `sink` in the params.
async fn tell(sink: Option<&str>, kind: &str, id: &str, k: Option<&str>) -> Result<()> {
    let Some(sink) = sink else { return Ok(()) };
    let mut url: Url = sink.parse()?;
    url.query_pairs_mut().append_pair("kind", kind).append_pair("id", id);
    if let Some(k) = k {
        url.query_pairs_mut().append_pair("k", k);
    }
    // The answer is read to its end, so that the connection is free again.
    Fetch::Url(url).send().await?.bytes().await?;
    Ok(())
}

async fn wait(ms: u64) {
    if ms > 0 {
        Delay::from(Duration::from_millis(ms)).await;
    }
}

fn now() -> u64 {
    Date::now().as_millis()
}

#[derive(Deserialize)]
pub struct BenchParams {
    #[serde(default = "one")]
    steps: u64,
    #[serde(default)]
    ms: u64,
    sink: Option<String>,
}

fn one() -> u64 {
    1
}

async fn bench(event: WorkflowEvent<BenchParams>, step: WorkflowStep) -> Result<Value> {
    let (params, id) = (&event.payload, event.instance_id.as_str());
    let mut sum = 0;
    for k in 1..=params.steps {
        let body = move |_| async move {
            tell(params.sink.as_deref(), "step", id, Some(&k.to_string())).await?;
            wait(params.ms).await;
            Ok(k)
        };
        sum += step.do_(format!("step-{k}"), body).await?;
    }
    Ok(json!({ "end": now(), "sum": sum, "steps": params.steps }))
}

/// Defines a class without state of its own: its name, its params, and what it runs.
macro_rules! class {
    ($(#[$doc:meta])* $name:ident($params:ty) = $run:expr) => {
        $(#[$doc])*
        #[workflow]
        pub struct $name;

        impl WorkflowEntrypoint for $name {
            type Input = $params;
            type Output = Value;

            fn new(_ctx: Context, _env: Env) -> Self {
                Self
            }

            async fn run(&self, event: WorkflowEvent<$params>, step: WorkflowStep) -> Result<Value> {
                $run(event, step).await
            }
        }
    };
}

class!(
    /// `steps` steps, each of which waits `ms`.
    Bench(BenchParams) = bench
);

class!(
    /// The same; the configuration lets two instances run at a time.
    Serial(BenchParams) = bench
);

class!(
    /// `steps` steps, then a wait for `go`: what follows the event is a replay. Beyond the contract, for our own figures.
    Replay(BenchParams) = async |event: WorkflowEvent<BenchParams>, step: WorkflowStep| {
        let output = bench(event, step.clone()).await?;
        step.wait_for_event::<Value>("wait", WaitForEventOptions { type_: go(), timeout: None }).await?;
        Ok(json!({ "end": now(), "sum": output["sum"], "steps": output["steps"] }))
    }
);

#[derive(Deserialize)]
pub struct SleepParams {
    #[serde(default = "one_second")]
    ms: u64,
    sink: Option<String>,
}

fn one_second() -> u64 {
    1000
}

class!(
    /// Sleeps between two steps and says by how much too long.
    Sleep(SleepParams) = async |event: WorkflowEvent<SleepParams>, step: WorkflowStep| {
        let (SleepParams { ms, sink }, id) = (&event.payload, event.instance_id.as_str());
        let time = |kind| async move {
            tell(sink.as_deref(), kind, id, None).await?;
            Ok(now())
        };
        let t0 = step.do_("before", |_| time("before")).await?;
        step.sleep("nap", Duration::from_millis(*ms)).await?;
        let t1 = step.do_("after", |_| time("after")).await?;
        let over = i128::from(t1) - i128::from(t0) - i128::from(*ms);
        Ok(json!({ "t0": t0, "t1": t1, "over": i64::try_from(over).unwrap_or(i64::MAX), "end": now() }))
    }
);

#[derive(Deserialize)]
pub struct EventParams {
    #[serde(rename = "type", default = "go")]
    event_type: String,
    #[serde(default = "one_hour")]
    timeout: Length,
    sink: Option<String>,
}

fn go() -> String {
    "go".to_owned()
}

fn one_hour() -> Length {
    Length::Text("1 hour".to_owned())
}

class!(
    /// Waits for an event after a step.
    Event(EventParams) = async |event: WorkflowEvent<EventParams>, step: WorkflowStep| {
        let (params, id) = (&event.payload, event.instance_id.as_str());
        step.do_("before", |_| tell(params.sink.as_deref(), "before", id, None)).await?;
        let options = WaitForEventOptions::new(params.event_type.clone()).timeout(params.timeout.clone());
        let got = step.wait_for_event::<Value>("wait", options).await?;
        Ok(json!({ "got": got.payload, "type": got.type_, "end": now() }))
    }
);

#[derive(Deserialize)]
pub struct FlakyParams {
    #[serde(default = "one_failure")]
    fail: u32,
    #[serde(default = "three")]
    limit: u32,
    #[serde(default = "a_tenth")]
    delay: Length,
    #[serde(default = "constant")]
    backoff: Backoff,
    #[serde(default = "one_minute")]
    timeout: Length,
    hang: Option<u64>,
    #[serde(default)]
    fatal: Value,
}

fn one_failure() -> u32 {
    1
}

fn three() -> u32 {
    3
}

fn a_tenth() -> Length {
    Length::Ms(100)
}

fn constant() -> Backoff {
    Backoff::Constant
}

fn one_minute() -> Length {
    Length::Text("1 minute".to_owned())
}

class!(
    /// One step that fails `fail` times, hangs, or fails for good.
    Flaky(FlakyParams) = async |event: WorkflowEvent<FlakyParams>, step: WorkflowStep| {
        let FlakyParams { fail, limit, delay, backoff, timeout, hang, fatal } = event.payload;
        let fatal = !matches!(fatal, Value::Null | Value::Bool(false));
        let config = StepConfig {
            retries: Some(RetryConfig { limit, delay: delay.into(), backoff: Some(backoff) }),
            timeout: Some(timeout.into()),
            ..StepConfig::default()
        };
        let body = |ctx: WorkflowStepContext| async move {
            wait(hang.unwrap_or(0)).await;
            if fatal {
                return Err(NonRetryableError::new("fatal").into());
            }
            if ctx.attempt <= fail {
                return Err(format!("attempt {} fails", ctx.attempt).into());
            }
            Ok(ctx.attempt)
        };
        let attempt = step.do_with_config("flaky", config, body).await?;
        Ok(json!({ "attempt": attempt, "end": now() }))
    }
);

#[derive(Deserialize)]
pub struct ParallelParams {
    #[serde(default = "five")]
    width: u32,
    #[serde(default = "fifty")]
    ms: u64,
}

fn five() -> u32 {
    5
}

fn fifty() -> u64 {
    50
}

class!(
    /// `width` steps at a time.
    Parallel(ParallelParams) = async |event: WorkflowEvent<ParallelParams>, step: WorkflowStep| {
        let ParallelParams { width, ms } = event.payload;
        let (start, step) = (now(), &step);
        let branch = |i: u32| async move {
            let body = |_| async move {
                wait(ms).await;
                Ok(i)
            };
            step.do_(format!("p-{i}"), body).await
        };
        let out = try_join_all((0..width).map(branch)).await?;
        let end = now();
        Ok(json!({ "out": out, "took": end.saturating_sub(start), "end": end }))
    }
);

#[derive(Deserialize)]
pub struct SagaParams {
    sink: Option<String>,
    #[serde(default)]
    wait: Value,
}

/// Makes the handler of the step `name`, which tells the driver.
fn undo(
    sink: Option<&str>,
    id: &str,
    name: &'static str,
) -> Rollback<impl Fn(WorkflowRollbackContext<u64>) -> LocalBoxFuture<'static, Result<()>> + 'static> {
    let (sink, id) = (sink.map(str::to_owned), id.to_owned());
    Rollback::new(move |_| {
        let (sink, id) = (sink.clone(), id.clone());
        async move { tell(sink.as_deref(), "rollback", &id, Some(name)).await }.boxed_local()
    })
}

class!(
    /// Three steps that can be undone, a wait for `go` if told, and a failure.
    Saga(SagaParams) = async |event: WorkflowEvent<SagaParams>, step: WorkflowStep| {
        let (SagaParams { sink, wait }, id) = (&event.payload, event.instance_id.as_str());
        for name in ["a", "b", "c"] {
            let body = |_| async { Ok(now()) };
            step.do_with_rollback(name, body, undo(sink.as_deref(), id, name)).await?;
        }
        if !matches!(wait, Value::Null | Value::Bool(false)) {
            step.wait_for_event::<Value>("hold", WaitForEventOptions::new("go")).await?;
        }
        Err(NonRetryableError::new("the saga fails").into())
    }
);

class!(
    /// Started by a schedule; tells the driver's fixed address.
    Tick(()) = async |event: WorkflowEvent<()>, step: WorkflowStep| {
        let sink = Some("http://127.0.0.1:8799/");
        step.do_("tick", |_| tell(sink, "tick", &event.instance_id, None)).await?;
        Ok(json!({ "end": now() }))
    }
);
