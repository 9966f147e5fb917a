//! Messages go into a queue, and the queue's consumer does what they ask for, as often as it takes.

use miniflow_sdk::serde_json::json;
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};

/// What is in a message.
#[derive(Serialize, Deserialize)]
pub struct Job {
    id: String,
}

/// `POST /jobs/ID` asks for a job, `GET /jobs/ID` tells what has become of it.
#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let path = req.path();
    let Some(id) = path.strip_prefix("/jobs/").filter(|id| !id.is_empty()) else {
        return Response::error("Not Found", 404);
    };
    if req.method() == Method::Post {
        // When this returns the message is kept, whatever becomes of the server.
        env.queue("MESSAGES")?
            .send(Job { id: id.to_owned() })
            .await?;
        return Response::from_json(&json!({ "queued": id }));
    }
    match env.kv("DONE")?.get(id).text().await? {
        Some(result) => Response::ok(result),
        None => Response::error("not done yet", 404),
    }
}

/// Each message by itself: one that fails is delivered again, the others are done.
#[event(queue)]
async fn queue(batch: MessageBatch<Job>, env: Env, _ctx: Context) -> Result<()> {
    let done = env.kv("DONE")?;
    for message in batch.messages()? {
        let id = &message.body().id;
        // A message may be delivered twice: what is done here must be right to do again.
        match done.put(id, format!("{id} is done"))?.execute().await {
            Ok(()) => message.ack(),
            Err(error) => {
                console_error!("{id}, attempt {}: {error}", message.attempts());
                message.retry();
            }
        }
    }
    Ok(())
}
