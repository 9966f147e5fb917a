//! Starts a workflow from an HTTP request, and shows how it is doing.

use miniflow_sdk::serde_json::json;
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    if req.path() != "/" {
        return Response::error("Not Found", 404);
    }
    #[derive(Deserialize)]
    struct Query {
        #[serde(rename = "instanceId")]
        instance_id: Option<String>,
    }
    let query: Query = req.query()?;
    let workflow = env.workflow("MY_WORKFLOW")?;

    // GET /?instanceId=… asks for the status of an instance.
    if let Some(id) = query.instance_id {
        let instance = workflow.get(id).await?;
        return Response::from_json(&json!({ "status": instance.status().await? }));
    }

    // Anything else starts a new one.
    let instance = workflow.create(CreateOptions::new().with_id(Uuid::new_v4().to_string())).await?;
    Response::from_json(&json!({ "id": instance.id(), "details": instance.status().await? }))
}

#[workflow]
pub struct MyWorkflow {}

#[derive(Serialize, Deserialize)]
struct Quote {
    cents: u64,
    valid_from: Date,
}

impl WorkflowEntrypoint for MyWorkflow {
    type Input = ();
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<()>, step: WorkflowStep) -> Result<String> {
        // A step runs once. Its result is recorded, and a later run of the same instance gets it from there.
        let quote = step.do_("make a quote", |_| async { Ok(Quote { cents: 4200, valid_from: Date::now() }) }).await?;

        step.sleep("let it sink in", "1 second").await?;

        let id = &event.instance_id;
        step.do_("confirm", |_| async { Ok(format!("{id}: {} cents since {}", quote.cents, quote.valid_from)) }).await
    }
}
