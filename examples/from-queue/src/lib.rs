//! The consumer of a queue starts a workflow for each message.

use miniflow_sdk::serde_json::json;
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};

/// What is in a message.
#[derive(Serialize, Deserialize)]
pub struct Order {
    id: String,
}

#[derive(Deserialize)]
struct Query {
    /// Seconds until the order is looked at.
    #[serde(rename = "in")]
    wait: Option<u32>,
}

/// `POST /orders/ID` orders, `GET /orders/ID` tells how it stands.
#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let path = req.path();
    let Some(id) = path.strip_prefix("/orders/").filter(|id| !id.is_empty()) else {
        return Response::error("Not Found", 404);
    };
    if req.method() == Method::Post {
        let query: Query = req.query()?;
        let order = MessageBuilder::message(Order { id: id.to_owned() });
        let order = order.with_delay_seconds(query.wait.unwrap_or_default()).build();
        // When this returns the message is kept, whatever becomes of the server.
        env.queue("ORDERS")?.send(order).await?;
        return Response::from_json(&json!({ "queued": id }));
    }
    match env.workflow("FULFILMENT")?.get(id).await {
        Ok(instance) => Response::from_json(&instance.status().await?),
        Err(_) => Response::error(format!("no order `{id}` yet"), 404),
    }
}

/// Each message by itself: one that fails is delivered again, the others are done.
#[event(queue)]
async fn queue(batch: MessageBatch<Order>, env: Env, _ctx: Context) -> Result<()> {
    let fulfilment = env.workflow("FULFILMENT")?;
    for message in batch.messages()? {
        let id = &message.body().id;
        match fulfilment.create(CreateOptions::new().with_id(id).with_params(message.body())).await {
            Ok(_) => message.ack(),
            // It was delivered before, or ordered twice.
            Err(error) if error.code() == Some("instance.already_exists") => {
                console_log!("{id} is ordered already");
                message.ack();
            }
            Err(error) => {
                console_error!("{id}, attempt {}: {error}", message.attempts());
                message.retry_with_options(&QueueRetryOptionsBuilder::new().with_delay_seconds(10).build());
            }
        }
    }
    Ok(())
}

#[workflow]
pub struct Fulfilment {}

impl WorkflowEntrypoint for Fulfilment {
    type Input = Order;
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<Order>, step: WorkflowStep) -> Result<String> {
        let id = &event.payload.id;
        step.do_("pack", |_| async {
            console_log!("packing {id}");
            Ok(())
        })
        .await?;
        step.do_("send", |_| async { Ok(format!("{id} is on its way")) }).await
    }
}
