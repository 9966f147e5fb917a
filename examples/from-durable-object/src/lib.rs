//! A Durable Object counts votes, and starts a workflow when there are enough.

use miniflow_sdk::serde_json::json;
use miniflow_sdk::*;
use serde::{Deserialize, Serialize};

/// Votes that decide.
const ENOUGH: u32 = 3;

/// `POST /NAME` votes, `GET /NAME` tells how it stands: each name is a poll, and each poll an object.
#[event(fetch, respond_with_errors)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let path = req.path();
    let name = path.trim_matches('/');
    if name.is_empty() || name.contains('/') {
        return Response::error("Not Found", 404);
    }
    env.durable_object("POLL")?.get_by_name(name)?.fetch_with_request(req).await
}

#[durable_object]
pub struct Poll {
    state: State,
    env: Env,
}

impl DurableObject for Poll {
    fn new(state: State, env: Env) -> Self {
        Self { state, env }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        let storage = self.state.storage();
        let mut votes = storage.get::<u32>("votes").await?.unwrap_or_default();
        if req.method() == Method::Post {
            // Nobody else of this poll comes in between: an object does one thing at a time.
            votes += 1;
            storage.put("votes", votes).await?;
        }
        let decisions = self.env.workflow("DECISIONS")?;
        // The id of the object is the id of the instance, so there is one at most.
        let id = self.state.id().to_string();
        if votes == ENOUGH && req.method() == Method::Post {
            decisions.create(CreateOptions::new().with_id(&id).with_params(Votes { votes })).await?;
        }
        let decision = match decisions.get(&id).await {
            Ok(instance) => Some(instance.status().await?.status),
            Err(_) => None,
        };
        Response::from_json(&json!({ "votes": votes, "decision": decision }))
    }
}

#[derive(Serialize, Deserialize)]
pub struct Votes {
    votes: u32,
}

#[workflow]
pub struct Decision {}

impl WorkflowEntrypoint for Decision {
    type Input = Votes;
    type Output = String;

    fn new(_ctx: Context, _env: Env) -> Self {
        Self {}
    }

    async fn run(&self, event: WorkflowEvent<Votes>, step: WorkflowStep) -> Result<String> {
        let votes = event.payload.votes;
        step.do_("announce", move |_| async move {
            console_log!("decided with {votes} votes");
            Ok(format!("decided with {votes} votes"))
        })
        .await
    }
}
