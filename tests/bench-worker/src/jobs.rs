//! What creates instances without a request for each: messages of the queue `jobs`, and the cron trigger.

use futures::future::join_all;
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Messages of one `send_batch`.
const BATCH_MAX: usize = 100;

/// A message of the queue `jobs`.
#[derive(Serialize, Deserialize)]
struct Job {
    /// Id of the instance.
    id: String,
    #[serde(flatten)]
    params: Map<String, Value>,
}

/// Sends `n` messages with the ids `PREFIX-0` and so on. Returns how many were sent.
pub async fn enqueue(queue: &Queue, n: usize, prefix: &str, params: &Value) -> Result<usize> {
    let params = match params {
        Value::Null => Map::new(),
        Value::Object(params) => params.clone(),
        _ => return Err("the params of a job must be an object".into()),
    };
    for first in (0..n).step_by(BATCH_MAX) {
        let job = |i| Job { id: format!("{prefix}-{i}"), params: params.clone() };
        queue.send_batch((first..n.min(first + BATCH_MAX)).map(job)).await?;
    }
    Ok(n)
}

#[event(queue)]
async fn queue(batch: MessageBatch<Job>, env: Env, _ctx: Context) -> Result<()> {
    let workflow = env.workflow("BENCH")?;
    let handled = batch.messages()?.into_iter().map(|message| handle(&workflow, message));
    join_all(handled).await;
    Ok(())
}

async fn handle(workflow: &Workflow, message: Message<Job>) {
    let Job { id, params } = message.body();
    match create(workflow, id, params).await {
        Ok(()) => message.ack(),
        Err(error) => {
            console_error!("job `{id}`: {error}");
            message.retry();
        }
    }
}

#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, _ctx: ScheduleContext) -> Result<()> {
    create(&env.workflow("BENCH")?, &format!("cron-{}", event.schedule()), &json!({ "steps": 1 })).await
}

/// Creates an instance of `workflow`, unless an earlier delivery has done so.
async fn create(workflow: &Workflow, id: &str, params: &impl Serialize) -> Result<()> {
    match workflow.create(CreateOptions::new().with_id(id).with_params(params)).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some("instance.already_exists") => Ok(()),
        Err(error) => Err(error),
    }
}
