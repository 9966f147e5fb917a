//! The child.

use miniflow_sdk::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct PageParams {
    pub page: String,
    /// The audit that is told.
    pub parent: String,
}

/// What a parent is told.
#[derive(Serialize, Deserialize)]
pub enum Found {
    Words(usize),
    Nothing(String),
}

/// The id of the child of `parent` for `page`.
pub fn id(parent: &str, page: &str) -> String {
    format!("{parent}-{page}")
}

/// The event by which a parent is told of `page`: one type for each, so that none takes another's.
pub fn event_type(page: &str) -> String {
    format!("read-{page}")
}

#[workflow]
pub struct Page {
    env: Env,
}

impl WorkflowEntrypoint for Page {
    type Input = PageParams;
    type Output = String;

    fn new(_ctx: Context, env: Env) -> Self {
        Self { env }
    }

    async fn run(&self, event: WorkflowEvent<PageParams>, step: WorkflowStep) -> Result<String> {
        let PageParams { page, parent } = &event.payload;
        let read = read(&step, page).await;
        // The parent learns of it either way: what went wrong here need not go wrong there.
        let found = match &read {
            Ok(words) => Found::Words(*words),
            Err(error) => Found::Nothing(error.to_string()),
        };
        step.do_("tell the parent", |_| self.tell(parent, page, &found)).await?;
        read.map(|words| format!("{words} words"))
    }
}

impl Page {
    async fn tell(&self, parent: &str, page: &str, found: &Found) -> Result<()> {
        let parent = self.env.workflow("AUDITS")?.get(parent).await?;
        if let Err(error) = parent.send_event(event_type(page), found).await {
            // It has not waited for so long. That is no failure of this page.
            console_log!("{page}: nobody waits for it: {error}");
        }
        Ok(())
    }
}

/// A stand-in for the network.
async fn read(step: &WorkflowStep, page: &str) -> Result<usize> {
    if page == "slow" {
        step.sleep("let the site rest", "1 day").await?;
    }
    step.do_("read", |_| async move {
        let text = match page {
            "start" => "Welcome to our little shop",
            "contact" => "Write to us, or simply come by",
            "slow" => "Here after a while",
            // Trying again does not make a page.
            _ => {
                return Err(NonRetryableError::new(format!("there is no page `{page}`"))
                    .with_name("NoSuchPage")
                    .into());
            }
        };
        Ok(text.split(' ').count())
    })
    .await
}
