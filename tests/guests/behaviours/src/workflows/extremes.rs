//! Numbers that are out of every range.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use miniflow_sdk::*;
use serde_json::{Value, json};

use super::{Run, class};

/// What came of a call.
fn said<T>(result: Result<T>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
}

async fn nothing(_: WorkflowStepContext) -> Result<()> {
    Ok(())
}

fn retries(limit: u32, delay: Duration) -> StepConfig {
    StepConfig { retries: Some(RetryConfig { limit, delay: delay.into(), backoff: None }), ..StepConfig::default() }
}

class!(
    /// Passes the largest numbers to everything a run can ask for. Output: what came of each.
    Extremes = async |run: Run| {
        let step = &run.step;
        let forever = Duration::MAX;
        let wait = WaitForEventOptions::new("go").timeout(forever);
        let patient = StepConfig { timeout: Some(forever.into()), ..StepConfig::default() };
        let huge = "x".repeat(1 << 20);
        let (workflow, kept) = (run.env.workflow("ONE_STEP")?, |success| RetentionOptions {
            success_retention: Some(success),
            error_retention: None,
        });
        let typed = WaitForEventOptions::new(huge.clone());
        let strange = StepConfig { timeout: Some("NaN seconds".into()), ..StepConfig::default() };
        let create = async |options: CreateOptions<()>| said(workflow.create(options).await);
        let texts = json!({
            "a length below 0": said(step.sleep("below", "-1 days").await),
            "a length that is no number": said(step.sleep("nan", "NaN days").await),
            "a huge length": said(step.sleep("huge", huge.clone()).await),
            "a huge number": said(step.sleep("digits", format!("{} days", "9".repeat(1 << 20))).await),
            "a huge name": said(step.do_(&huge, nothing).await),
            "a huge name of a sleep": said(step.sleep(&huge, "1 second").await),
            "a huge type": said(step.wait_for_event::<Value>("type", typed).await),
            "a time-out that is no number": said(step.do_with_config("strange", strange, nothing).await),
            "a huge id": create(CreateOptions::new().with_id(huge.clone())).await,
            "a huge id to get": said(workflow.get(huge.clone()).await),
            "the longest retention": create(CreateOptions::new().with_retention(kept(forever.into()))).await,
            "a retention that is no number": create(CreateOptions::new().with_retention(kept("NaN days".into()))).await,
            "a huge retention": create(CreateOptions::new().with_retention(kept(huge.clone().into()))).await,
        });
        let mut output = json!({
            "texts": texts,
            "sleep": said(step.sleep("sleep", forever).await),
            "sleep of a text": said(step.sleep("text", "99999999999 years").await),
            "sleep until": said(step.sleep_until("until", Date::from(u64::MAX)).await),
            "wait": said(step.wait_for_event::<Value>("wait", wait).await),
            "retries": said(step.do_with_config("retries", retries(u32::MAX, Duration::ZERO), nothing).await),
            "delay": said(step.do_with_config("delay", retries(1, forever), nothing).await),
            "timeout": said(step.do_with_config("timeout", patient, nothing).await),
        });
        let (never, quick) = (pin!(Delay::from(forever)), pin!(step.do_("quick", nothing)));
        output["delay beside a step"] = match select(never, quick).await {
            Either::Left(_) => json!("it has come to its end"),
            Either::Right((done, _)) => json!(said(done)),
        };
        Ok(output)
    }
);
