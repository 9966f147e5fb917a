//! Workflow classes: the trait users implement, the registry `#[workflow]` fills, and the export the host calls.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, ready, select};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::rollback::Asked;
use super::{WorkflowEvent, WorkflowStep};
use crate::bindings::miniflow::worker::steps;
use crate::bindings::workflows_world::exports::miniflow::worker::workflows as wit;
use crate::registry::{Registered, Registry};
use crate::{Context, Env, Error, Result, start};

/// A workflow class, to be implemented for a struct marked with `#[workflow]`.
///
/// ```
/// use miniflow_sdk::*;
///
/// #[workflow]
/// pub struct Greeter {
///     env: Env,
/// }
///
/// impl WorkflowEntrypoint for Greeter {
///     type Input = String;
///     type Output = String;
///
///     fn new(_ctx: Context, env: Env) -> Self {
///         Self { env }
///     }
///
///     async fn run(&self, event: WorkflowEvent<String>, step: WorkflowStep) -> Result<String> {
///         let greeting = step.do_("greeting", |_| async { Ok(self.env.var("GREETING")?.to_string()) }).await?;
///         step.sleep("think", "2 seconds").await?;
///         Ok(format!("{greeting}, {}!", event.payload))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is marked with `#[workflow]` but does not implement `WorkflowEntrypoint`",
    label = "a workflow class needs `impl WorkflowEntrypoint for {Self}`"
)]
pub trait WorkflowEntrypoint: Sized + 'static {
    /// The params of an instance: `()` for none.
    type Input: DeserializeOwned + 'static;
    /// What a finished instance's status shows as its output: `()` for nothing.
    type Output: Serialize + 'static;

    /// Makes the object for one run.
    fn new(ctx: Context, env: Env) -> Self;

    /// Runs an instance. It starts from the top each time the instance goes on; steps that are done return at once.
    ///
    /// # Errors
    ///
    /// An error fails the instance for good, with the error's name and text.
    fn run(&self, event: WorkflowEvent<Self::Input>, step: WorkflowStep) -> impl Future<Output = Result<Self::Output>>;
}

type Outcome = Result<Vec<u8>>;

/// An entry of the registry. The macro submits it; it is not for direct use.
#[doc(hidden)]
#[derive(Debug)]
pub struct Class {
    name: &'static str,
    file: &'static str,
    line: u32,
    run: fn(&'static str, wit::WorkflowEvent, WorkflowStep) -> LocalBoxFuture<'static, Outcome>,
}

impl Registered for Class {
    fn registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<Class> = Registry::new();
        &REGISTRY
    }
}

impl Class {
    /// Makes the entry for `W`.
    #[must_use]
    pub const fn of<W: WorkflowEntrypoint>(name: &'static str, file: &'static str, line: u32) -> Self {
        Self { name, file, line, run: run_class::<W> }
    }

    /// Returns all classes of this component in the order of their names: the registry has none of its own.
    fn all() -> Vec<&'static Self> {
        let mut classes = Self::registry().all();
        classes.sort_by_key(|class| (class.name, class.file, class.line));
        classes
    }
}

/// Runs one instance. The future owns all it needs: it can be dropped in the middle while what it registered, such as
/// rollback handlers, lives on. So the object is in an `Rc`.
fn run_class<W: WorkflowEntrypoint>(
    name: &'static str,
    event: wit::WorkflowEvent,
    step: WorkflowStep,
) -> LocalBoxFuture<'static, Outcome> {
    async move {
        let event = WorkflowEvent::decode(event)
            .map_err(|error| format!("the payload does not fit the input of workflow class `{name}`: {error}"))?;
        let object = Rc::new(W::new(Context::new(), Env::new()));
        let output = object.run(event, step).await?;
        serde_json::to_vec(&output)
            .map_err(|error| format!("the output of workflow class `{name}` cannot be written as JSON: {error}").into())
    }
    .boxed_local()
}

/// What the component exports as `workflows`. The macro names it; it is not for direct use.
#[doc(hidden)]
#[derive(Debug)]
pub struct WorkflowsExport;

impl wit::Guest for WorkflowsExport {
    fn describe() -> Vec<wit::Class> {
        let describe = |class: &'static Class| wit::Class {
            name: class.name.to_owned(),
            source: Some(format!("{}:{}", class.file, class.line)),
        };
        Class::all().into_iter().map(describe).collect()
    }

    async fn run(class: String, event: wit::WorkflowEvent) {
        start::run_once();
        let asked = Rc::<Asked>::default();
        let run = match Class::all().into_iter().find(|known| known.name == class) {
            Some(known) => (known.run)(known.name, event, WorkflowStep::new(Rc::clone(&asked))),
            None => ready(Err(unknown(&class))).boxed_local(),
        };
        let undoes = match unless(run, steps::rollback_requested()).await {
            Some(outcome) => steps::settle(outcome.map_err(|error| error.to_recorded())).await,
            None => true,
        };
        if undoes {
            asked.undo_all().await;
        }
    }
}

/// Runs to the end, unless `stop` comes before; then there is no outcome. Both are gone when this returns: the steps that `run`
/// had open are given up before anything is undone. `stop` is never looked at once there is an outcome.
async fn unless(run: LocalBoxFuture<'static, Outcome>, stop: impl Future<Output = ()>) -> Option<Outcome> {
    match select(run, pin!(stop)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

fn unknown(class: &str) -> Error {
    let names: Vec<_> = Class::all().iter().map(|class| format!("`{}`", class.name)).collect();
    Error::named("WorkflowInternalError", format!("no workflow class `{class}`: there is {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Doubler;

    impl WorkflowEntrypoint for Doubler {
        type Input = u32;
        type Output = u32;

        fn new(_ctx: Context, _env: Env) -> Self {
            Self
        }

        async fn run(&self, event: WorkflowEvent<u32>, _step: WorkflowStep) -> Result<u32> {
            if event.payload == 0 { Err("zero".into()) } else { Ok(event.payload * 2) }
        }
    }

    fn run(payload: &str) -> Outcome {
        let event = wit::WorkflowEvent {
            payload: payload.into(),
            timestamp: 0,
            instance_id: "i".into(),
            workflow_name: "w".into(),
            schedule: None,
        };
        run_class::<Doubler>("Doubler", event, WorkflowStep::new(Rc::default()))
            .now_or_never()
            .expect("waits for nothing")
    }

    // rules: S24, C2.10-1
    #[test]
    fn a_run_gives_its_output_as_json() {
        assert_eq!(run("21").unwrap(), b"42");
    }

    #[test]
    fn a_run_that_fails_gives_its_error() {
        assert_eq!(run("0").unwrap_err().to_string(), "zero");
    }

    // rules: S41
    #[test]
    fn a_payload_of_another_shape_fails_with_the_name_of_the_class() {
        let error = run("{\"n\":1}").unwrap_err().to_string();
        assert!(error.starts_with("the payload does not fit the input of workflow class `Doubler`:"), "{error}");
    }

    #[test]
    fn a_run_that_has_ended_is_not_stopped() {
        let run = || ready(Ok(vec![1])).boxed_local();
        assert_eq!(unless(run(), ready(())).now_or_never().unwrap().unwrap().unwrap(), [1]);
        let looked = unless(run(), async { panic!("nobody looks at it") }).now_or_never();
        assert!(looked.unwrap().is_some());
    }

    #[test]
    fn a_run_that_is_stopped_is_dropped() {
        let held = Rc::new(());
        let holds = Rc::clone(&held);
        let run = async move {
            futures::future::pending::<()>().await;
            drop(holds);
            Ok(vec![])
        };
        assert!(unless(run.boxed_local(), ready(())).now_or_never().unwrap().is_none());
        assert_eq!(Rc::strong_count(&held), 1);
    }
}
