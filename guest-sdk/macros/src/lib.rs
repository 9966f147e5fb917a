//! The macros of `miniflow-sdk`, which re-exports them; see there.
//!
//! Each leaves the user's item as it is and adds code beside it: a check whose errors point at the user's code, which
//! native builds see too, and, for WebAssembly only, the exports of the component.

mod durable_object;
mod event;
mod workflow;

use proc_macro::TokenStream;

/// Marks the function that handles a kind of event.
///
/// - `#[event(fetch)]`: `async fn(Request, Env, Context) -> Result<Response>` answers HTTP requests. An error is logged and
///   becomes a 500 without its text; `#[event(fetch, respond_with_errors)]` shows the text to the client.
/// - `#[event(scheduled)]`: `async fn(ScheduledEvent, Env, ScheduleContext)`, with a `Result<()>` if it likes, runs when a cron trigger fires.
/// - `#[event(queue)]`: `async fn(MessageBatch<T>, Env, Context) -> Result<()>` handles the messages of the queues that the configuration has the
///   Worker consume. After an error those of which nothing was said are delivered again.
/// - `#[event(start)]`: `fn()` runs once before the first event that an instance of the Worker handles.
///
/// Each kind of handler may be defined once in a Worker.
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    event::expand(arguments.into(), item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Marks the struct of a workflow class, which must implement `WorkflowEntrypoint`.
///
/// The struct's name is the `class_name` of the configuration.
#[proc_macro_attribute]
pub fn workflow(arguments: TokenStream, item: TokenStream) -> TokenStream {
    workflow::expand(&arguments.into(), item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Marks the struct of a Durable Object class, which must implement `DurableObject`.
///
/// The struct's name is the `class_name` of the configuration. The list of handlers that the `worker` crate takes, such as
/// `#[durable_object(fetch, alarm)]`, is accepted; a class has the handlers that it implements.
#[proc_macro_attribute]
pub fn durable_object(arguments: TokenStream, item: TokenStream) -> TokenStream {
    durable_object::expand(arguments.into(), item.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}
