//! Workflows that do not go the same way twice.

use miniflow_sdk::futures::stream;
use miniflow_sdk::serde_json::{Value, json};
use miniflow_sdk::*;

use crate::{Event, class};

class! {
    /// Eight steps in an order that is drawn outside of steps, then an event `go`.
    Shuffled = shuffled
}

async fn shuffled(_env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    let mut names: Vec<_> = (0..8).map(|number| (draw(), format!("step {number}"))).collect();
    names.sort_unstable();
    for (_, name) in names {
        step.do_(name, |_| async { Ok(()) }).await?;
    }
    step.wait_for_event::<Value>("go", WaitForEventOptions::new("go").timeout("1 day")).await.map(|event| event.payload)
}

#[inline(never)]
fn draw() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

class! {
    /// Reads the clock and the environment between its steps, three times from one place; in the step `inside` as well.
    ReadsAround = reads_around
}

async fn reads_around(_env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    let mut read = Vec::new();
    for number in 0..3 {
        step.do_(format!("step {number}"), |_| async { Ok(()) }).await?;
        read.push(read_clock());
    }
    let inside = step.do_("inside", |_| async { Ok(read_clock()) }).await?;
    let home = std::env::var("HOME").ok();
    Ok(json!({ "read": read.len(), "inside": inside > 0, "home": home }))
}

#[inline(never)]
fn read_clock() -> u64 {
    Date::now().as_millis()
}

class! {
    /// The step `pages` has a stream as its output, which is read after a step that is called as the variable `BANK`.
    Streams = streams
}

async fn streams(env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    let pages = |_| async { Ok(stream::iter(["one ", "two"].map(|page| Ok::<_, Error>(page.as_bytes().to_vec())))) };
    let pages = step.do_stream("pages", pages).await?;
    step.do_(env.var("BANK")?.to_string(), |_| async { Ok(()) }).await?;
    let text = pages.text().await?;
    step.do_(text, |_| async { Ok(json!("read")) }).await
}

class! {
    /// Panics after its first step.
    GivesUp = gives_up
}

async fn gives_up(_env: &Env, _event: &Event, step: &WorkflowStep) -> Result<Value> {
    step.do_("step 0", |_| async { Ok(()) }).await?;
    give_up()
}

#[inline(never)]
fn give_up() -> ! {
    panic!("asked to give up")
}
