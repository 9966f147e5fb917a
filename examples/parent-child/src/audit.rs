//! The parent.

use futures::future::join_all;
use miniflow_sdk::serde_json::{Map, Value};
use miniflow_sdk::*;

use crate::page::{self, Found, PageParams};

/// Audits pages. Its output says of each what was found.
#[workflow]
pub struct Audit {
    env: Env,
}

impl WorkflowEntrypoint for Audit {
    type Input = Vec<String>;
    type Output = Map<String, Value>;

    fn new(_ctx: Context, env: Env) -> Self {
        Self { env }
    }

    async fn run(&self, event: WorkflowEvent<Vec<String>>, step: WorkflowStep) -> Result<Self::Output> {
        let (parent, pages) = (event.instance_id.as_str(), &event.payload);
        // All at once: each branch starts a child and waits for it.
        let found = join_all(pages.iter().map(|page| self.audit(&step, parent, page))).await;
        let found = found.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(pages.iter().cloned().zip(found.into_iter().map(Value::from)).collect())
    }
}

impl Audit {
    async fn audit(&self, step: &WorkflowStep, parent: &str, page: &str) -> Result<String> {
        // Over when the child is there; how long that one runs is its own affair. The handle is recorded, and good after a restart too.
        let child = step.do_(format!("start {page}"), |_| self.start(parent, page)).await?;

        let patience = WaitForEventOptions::new(page::event_type(page)).timeout("1 hour");
        match step.wait_for_event::<Found>(format!("wait for {page}"), patience).await {
            Ok(event) => Ok(match event.payload {
                Found::Words(words) => format!("{words} words"),
                Found::Nothing(why) => format!("not read: {why}"),
            }),
            Err(error) if error.name() == "WorkflowTimeoutError" => {
                console_log!("{} is late", child.id());
                Ok("not read: it took too long".to_owned())
            }
            Err(error) => Err(error),
        }
    }

    async fn start(&self, parent: &str, page: &str) -> Result<WorkflowInstance> {
        let pages = self.env.workflow("PAGES")?;
        let id = page::id(parent, page);
        let params = PageParams { page: page.to_owned(), parent: parent.to_owned() };
        match pages.create(CreateOptions::new().with_id(&id).with_params(params)).await {
            // An earlier attempt came as far as that.
            Err(error) if error.code() == Some("instance.already_exists") => pages.get(id).await,
            created => created,
        }
    }
}
