//! A cron handler starts workflows: which, and with what, is for it to decide.

use miniflow_sdk::serde_json::json;
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};

const QUARTER_MS: u64 = 15 * 60_000;
const DAY_MS: u64 = 24 * 3_600_000;

#[derive(Serialize, Deserialize)]
pub struct Task {
    older_than_minutes: u32,
}

#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, _ctx: ScheduleContext) -> Result<()> {
    let (kind, task) = match event.cron().as_str() {
        "0 0 * * *" => ("large", Task { older_than_minutes: 30 * 24 * 60 }),
        _ => ("small", Task { older_than_minutes: 60 }),
    };
    // The moment is part of the id: should the handler be called twice for it, there is one instance.
    let id = format!("{kind}-{}", event.schedule());
    match env.workflow("CLEAN_UP")?.create(CreateOptions::new().with_id(&id).with_params(task)).await {
        Err(error) if error.code() == Some("instance.already_exists") => {
            console_log!("{id} was started before");
            Ok(())
        }
        created => created.map(drop),
    }
}

#[derive(Deserialize)]
struct Query {
    /// The moment, in milliseconds since 1970; else the last one.
    at: Option<u64>,
}

/// `GET /small` and `GET /large` tell how the last instance of that kind does.
#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let now_ms = Date::now().as_millis();
    let (kind, last_ms) = match req.path().as_str() {
        "/small" => ("small", now_ms - now_ms % QUARTER_MS),
        "/large" => ("large", now_ms - now_ms % DAY_MS),
        _ => return Response::error("Not Found", 404),
    };
    let query: Query = req.query()?;
    let id = format!("{kind}-{}", query.at.unwrap_or(last_ms));
    let Ok(instance) = env.workflow("CLEAN_UP")?.get(&id).await else {
        return Response::error(format!("nothing yet: `{id}` was before this server"), 404);
    };
    let status = instance.status().await?;
    Response::from_json(&json!({ "id": id, "status": status.status, "output": status.output }))
}

#[workflow]
pub struct CleanUp {}

impl WorkflowEntrypoint for CleanUp {
    type Input = Task;
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<Task>, step: WorkflowStep) -> Result<String> {
        let Task { older_than_minutes } = event.payload;
        step.do_("remove", move |_| async move {
            let done = format!("removed what is older than {older_than_minutes} minutes");
            console_log!("{done}");
            Ok(done)
        })
        .await
    }
}
