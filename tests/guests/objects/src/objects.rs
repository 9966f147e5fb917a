//! The classes.

use std::cell::Cell;

use miniflow_sdk::*;
use serde_json::{Value, json};

use crate::script;

/// Does what it is told: see `script.rs`. `/echo` gives the body back, `/steps` writes between the pieces of its answer.
#[durable_object]
pub struct Keeper {
    state: State,
    env: Env,
    /// Events since it was made.
    events: Cell<u32>,
}

impl DurableObject for Keeper {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, events: Cell::new(0) }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        self.events.set(self.events.get() + 1);
        match req.path().as_str() {
            "/echo" => Response::from_stream(req.stream()?),
            "/url" => Response::ok(format!("{} {} {:?}", req.method(), req.url()?, req.headers().get("x-test")?)),
            _ => {
                let operations: Vec<Value> = req.json().await?;
                let results = script::run(&self.state, &self.env, self.events.get(), &operations).await?;
                Response::from_json(&results)
            }
        }
    }

    async fn alarm(&self) -> Result<Response> {
        self.events.set(self.events.get() + 1);
        let storage = self.state.storage();
        let operations: Vec<Value> = storage.get("on alarm").await?.unwrap_or_default();
        console_log!("alarm of {}", self.state.id().to_string());
        script::run(&self.state, &self.env, self.events.get(), &operations).await?;
        Response::empty()
    }
}

/// Another class, which counts how often it was made, with SQL in its constructor. It has no alarm handler.
#[durable_object(fetch)]
pub struct Tabled {
    state: State,
}

impl DurableObject for Tabled {
    fn new(state: State, _env: Env) -> Self {
        let sql = state.storage().sql();
        sql.exec("CREATE TABLE IF NOT EXISTS made (at INTEGER); INSERT INTO made VALUES (1)", None)
            .expect("the constructor has a storage");
        Self { state }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        if req.path() == "/alarm" {
            self.state.storage().set_alarm(0).await?;
        }
        let made: Value = self.state.storage().sql().exec("SELECT count(*) AS n FROM made", None)?.one()?;
        Response::from_json(&json!({ "made": made["n"], "name": self.state.id().name() }))
    }
}

/// Cannot be made.
#[durable_object]
pub struct Unmade;

impl DurableObject for Unmade {
    fn new(_state: State, _env: Env) -> Self {
        panic!("asked to panic in a constructor")
    }

    async fn fetch(&self, _req: Request) -> Result<Response> {
        Response::ok("never")
    }
}
