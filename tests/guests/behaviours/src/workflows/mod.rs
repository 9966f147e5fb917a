//! One workflow class per behaviour. The binding of `OneStep` is `ONE_STEP`, and so on.
//!
//! Every class takes the same [`Params`], unless its input is the point. With a `sink` the bodies of the steps tell it each
//! time they run, `GET sink?kind=STEP&id=INSTANCE&k=ATTEMPT`, so that a test can count.

mod delays;
mod extremes;
mod failures;
mod inputs;
mod parallel;
mod rollbacks;
mod steering;
mod steps;
mod streams;
mod traps;
mod waits;

use std::rc::Rc;
use std::time::Duration;

use miniflow_sdk::*;
use serde::Deserialize;

/// What a test may ask of a class; each class says what it reads.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    sink: Option<String>,
    /// How many.
    n: Option<u32>,
    /// How long a body waits, or an instance sleeps.
    ms: u64,
    /// The same as a text.
    duration: Option<String>,
    bytes: usize,
    /// Of these at a time.
    chunk: usize,
    /// The attempts that fail: all of them unless given.
    fail: Option<u32>,
    /// The retries; 0 unless given, so that nothing waits by default.
    limit: u32,
    /// Between the attempts, in ms.
    delay: u64,
    backoff: Option<Backoff>,
    timeout: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    name: Option<String>,
    /// Whether the run handles the error.
    caught: bool,
    /// Whether the loser of a race is awaited later.
    keep: bool,
    /// Whether it is done in a step.
    inside: bool,
    /// What handlers do that undo steps.
    undo: rollbacks::Undo,
}

impl Params {
    fn config(&self) -> StepConfig {
        StepConfig {
            retries: Some(RetryConfig {
                limit: self.limit,
                delay: Duration::from_millis(self.delay).into(),
                backoff: self.backoff,
            }),
            timeout: self.timeout.as_deref().map(Into::into),
            sensitive: None,
        }
    }

    fn length(&self) -> WorkflowSleepDuration {
        self.duration.as_deref().map_or_else(|| Duration::from_millis(self.ms).into(), Into::into)
    }

    fn fails(&self, ctx: &WorkflowStepContext) -> bool {
        self.fail.is_none_or(|fail| ctx.attempt <= fail)
    }

    /// Tells the sink that the body of a step runs.
    async fn tell(&self, id: &str, ctx: &WorkflowStepContext) -> Result<()> {
        let attempt = ctx.attempt.to_string();
        self.ask(&[("kind", &ctx.step.name), ("id", id), ("k", &attempt)]).await?;
        Ok(())
    }

    /// Asks the sink, and returns the status of its answer; none without a sink.
    async fn ask(&self, query: &[(&str, &str)]) -> Result<Option<u16>> {
        let Some(sink) = &self.sink else { return Ok(None) };
        let mut url: Url = sink.parse()?;
        url.query_pairs_mut().extend_pairs(query);
        let mut answer = Fetch::Url(url).send().await?;
        // It is read to its end, so that the connection is free again.
        answer.bytes().await?;
        Ok(Some(answer.status_code()))
    }
}

/// What a class without state of its own needs to be told.
struct Run {
    env: Env,
    id: String,
    /// Shared with handlers, which outlive the run.
    params: Rc<Params>,
    step: WorkflowStep,
}

impl Run {
    /// A step that only tells the sink, and returns how many-th of its name it is.
    async fn note(&self, name: &str) -> Result<u32> {
        self.note_after(name, 0).await
    }

    /// The same after a wait of `ms` inside of the step.
    async fn note_after(&self, name: &str, ms: u64) -> Result<u32> {
        let body = |ctx: WorkflowStepContext| async move {
            self.params.tell(&self.id, &ctx).await?;
            wait(ms).await;
            Ok(ctx.step.count)
        };
        self.step.do_(name, body).await
    }
}

async fn wait(ms: u64) {
    if ms > 0 {
        Delay::from(Duration::from_millis(ms)).await;
    }
}

fn now() -> u64 {
    Date::now().as_millis()
}

/// Defines a class by an async closure of its [`Run`], whose output is JSON.
macro_rules! class {
    ($(#[$doc:meta])* $name:ident = $run:expr) => {
        $(#[$doc])*
        #[miniflow_sdk::workflow]
        pub struct $name {
            env: miniflow_sdk::Env,
        }

        impl miniflow_sdk::WorkflowEntrypoint for $name {
            type Input = $crate::workflows::Params;
            type Output = miniflow_sdk::serde_json::Value;

            fn new(_ctx: miniflow_sdk::Context, env: miniflow_sdk::Env) -> Self {
                Self { env }
            }

            async fn run(
                &self,
                event: miniflow_sdk::WorkflowEvent<Self::Input>,
                step: miniflow_sdk::WorkflowStep,
            ) -> miniflow_sdk::Result<Self::Output> {
                let (env, id, params) = (self.env.clone(), event.instance_id, event.payload.into());
                $run($crate::workflows::Run { env, id, params, step }).await
            }
        }
    };
}

use class;
