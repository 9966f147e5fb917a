//! The life of one order.

use futures::join;
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};

use crate::payment;

#[derive(Clone, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub item: String,
    pub cents: i64,
}

#[derive(Serialize, Deserialize)]
pub struct OrderParams {
    pub order: Order,
    pub payment_url: String,
}

#[derive(Serialize, Deserialize)]
pub struct Approval {
    pub by: String,
}

#[derive(Serialize)]
pub struct Outcome {
    outcome: &'static str,
    receipt: String,
    approved_by: Option<String>,
}

#[workflow]
pub struct OrderWorkflow {}

impl WorkflowEntrypoint for OrderWorkflow {
    type Input = OrderParams;
    type Output = Outcome;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<OrderParams>, step: WorkflowStep) -> Result<Outcome> {
        let OrderParams { order, payment_url } = &event.payload;

        // An error that no retry can mend fails the order at once.
        step.do_("validate", |_| async {
            if order.cents <= 0 {
                return Err(NonRetryableError::new("`cents` must be positive").with_name("InvalidOrder").into());
            }
            Ok(())
        })
        .await?;

        // The service is down now and then: five more tries, a second apart, each for ten seconds at most.
        let patient = StepConfig {
            retries: Some(RetryConfig { limit: 5, delay: "1 second".into(), backoff: Some(Backoff::Constant) }),
            timeout: Some("10 seconds".into()),
            ..StepConfig::default()
        };
        let receipt = step
            .do_with_config("charge", patient, |ctx| async move {
                console_log!("charging {} (attempt {})", order.id, ctx.attempt);
                payment::charge(payment_url, &order.id, order.cents, ctx.attempt).await
            })
            .await?;

        step.sleep("let the payment settle", "1 second").await?;

        // A person decides; nobody there is an answer too.
        let approval = WaitForEventOptions::new("approval").timeout("10 minutes");
        let approved_by = match step.wait_for_event::<Approval>("approval", approval).await {
            Ok(event) => Some(event.payload.by),
            Err(error) if error.name() == "WorkflowTimeoutError" => None,
            Err(error) => return Err(error),
        };

        // Both at once, each recorded on its own.
        let outcome = if approved_by.is_some() { "shipped" } else { "cancelled" };
        let (customer, warehouse) = join!(
            step.do_("tell the customer", |_| notify("customer", order, outcome)),
            step.do_("tell the warehouse", |_| notify("warehouse", order, outcome)),
        );
        customer?;
        warehouse?;
        Ok(Outcome { outcome, receipt, approved_by })
    }
}

async fn notify(whom: &str, order: &Order, outcome: &str) -> Result<()> {
    console_log!("to the {whom}: the {} of {} is {outcome}", order.item, order.id);
    Ok(())
}
