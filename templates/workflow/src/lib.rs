//! An order is charged, waits for somebody to approve it, and is shipped. Whatever is stopped in between, no step happens twice.

use miniflow_sdk::serde_json::json;
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};

/// `POST /orders/ID` places an order, `POST /orders/ID/approve` approves it, `GET /orders/ID` tells how it stands.
#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let orders = env.workflow("ORDERS")?;
    let path = req.path();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (req.method(), &parts[..]) {
        (Method::Post, ["orders", id]) => {
            let details = Details {
                item: "lamp".to_owned(),
            };
            let order = orders
                .create(CreateOptions::new().with_id(*id).with_params(details))
                .await?;
            Response::from_json(&json!({ "id": order.id() }))
        }
        (Method::Post, ["orders", id, "approve"]) => {
            orders
                .get(*id)
                .await?
                .send_event(
                    "approval",
                    Approval {
                        by: "Ada".to_owned(),
                    },
                )
                .await?;
            Response::from_json(&json!({ "ok": true }))
        }
        (Method::Get, ["orders", id]) => {
            Response::from_json(&orders.get(*id).await?.status().await?)
        }
        _ => Response::error("Not Found", 404),
    }
}

/// What an instance is given.
#[derive(Serialize, Deserialize)]
pub struct Details {
    item: String,
}

#[derive(Serialize, Deserialize)]
struct Approval {
    by: String,
}

#[workflow]
pub struct Order {}

impl WorkflowEntrypoint for Order {
    type Input = Details;
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<Details>, step: WorkflowStep) -> Result<String> {
        let item = &event.payload.item;
        // Its result is recorded: when the code is run again, after a restart, it gets it from there. A failure is tried again.
        let retries = StepConfig::new()
            .retries(RetryConfig::new(5, "1 second").backoff(Backoff::Exponential));
        let receipt = step
            .do_with_config("charge", retries, |_| async {
                console_log!("charging for the {item}");
                Ok(format!("receipt of {}", event.instance_id))
            })
            .await?;

        step.sleep("let the payment settle", "1 second").await?;

        // Waits as long as it takes, also while nothing runs; after a day there is an error.
        let options = WaitForEventOptions::new("approval").timeout("1 day");
        let approval = step.wait_for_event::<Approval>("approval", options).await?;

        step.do_("ship", |_| async {
            Ok(format!(
                "{item}, {receipt}, approved by {}",
                approval.payload.by
            ))
        })
        .await
    }
}
