//! The crash matrix in a test: a workflow is killed everywhere, and what comes of it is asserted on.

use std::fmt;
use std::sync::Arc;

use miniflow::report::{self, Style};
use miniflow::session::Connected;
use miniflow::verify::matrix::{self, Finding, Options, Report};
use miniflow::verify::scenario::{self, Stub};
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::process::process;
use crate::worker::Worker;

/// What a workflow is given when it is killed everywhere: the same each time.
#[derive(Debug)]
pub struct Scenario {
    binding: String,
    given: scenario::Scenario,
    /// What is no JSON.
    wrong: Option<String>,
    seed: u64,
    doubles: usize,
    strict_determinism: bool,
}

impl Scenario {
    /// Of the workflow that the Worker's configuration binds to this name; or of the one that is called so. Nothing is given to it.
    #[must_use]
    pub fn of(binding: &str) -> Self {
        let given = scenario::Scenario::default();
        Self { binding: binding.to_owned(), given, wrong: None, seed: 1, doubles: 20, strict_determinism: false }
    }

    /// The params of its instance.
    #[must_use]
    pub fn params(mut self, params: impl Serialize) -> Self {
        self.given.params = self.json(params);
        self
    }

    /// Is sent when an event of this type is waited for; those of one type in their order. A wait for which there is none times out.
    #[must_use]
    pub fn event(mut self, event_type: &str, payload: impl Serialize) -> Self {
        let payload = self.json(payload);
        self.given.events.entry(event_type.to_owned()).or_default().extend(payload);
        self
    }

    /// The answer to requests to URLs like `url`, in which `*` stands for any text. The first that fits counts; a request that none fits gets
    /// status 200 and `{}`.
    #[must_use]
    pub fn answer(self, method: &str, url: &str, status: u16, body: impl Serialize) -> Self {
        let mut this = self;
        let stub = Stub {
            method: Some(method.to_owned()),
            url: Some(url.to_owned()),
            status: Some(status),
            json: this.json(body),
            ..Stub::default()
        };
        this.stub(stub)
    }

    /// As [`Self::answer`], with all that can be said.
    #[must_use]
    pub fn stub(mut self, stub: Stub) -> Self {
        self.given.stubs.push(stub);
        self
    }

    /// How many runs are killed twice: 20 otherwise. Where is drawn from `seed`.
    #[must_use]
    pub fn double_kills(self, doubles: usize, seed: u64) -> Self {
        Self { doubles, seed, ..self }
    }

    /// Makes it an error of the run when it reads the clock, a random number or the environment of the process outside of a step.
    #[must_use]
    pub fn strict_determinism(self) -> Self {
        Self { strict_determinism: true, ..self }
    }

    fn json(&mut self, value: impl Serialize) -> Option<Value> {
        serde_json::to_value(value).map_err(|error| self.wrong = Some(format!("the value is not JSON: {error}"))).ok()
    }
}

/// What was found of a workflow. Shown, it is the report of `miniflow test --crash-matrix`.
#[derive(Clone, Debug)]
pub struct CrashReport(Report);

impl CrashReport {
    /// No kill has done harm.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.0.findings.is_empty()
    }

    /// What kills have done: one for each step and kind of harm.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }

    /// The steps that are not safe to repeat, such as ``do `charge` ``.
    #[must_use]
    pub fn unsafe_steps(&self) -> Vec<&str> {
        self.0.findings.iter().filter_map(|finding| finding.step.as_deref()).collect()
    }

    /// All of it.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.0
    }

    /// Returns if no kill has done harm.
    ///
    /// # Panics
    ///
    /// When one has: with the report.
    #[track_caller]
    pub fn assert_safe(&self) {
        assert!(self.is_safe(), "\n{self}");
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&report::matrix(std::slice::from_ref(&self.0), true, Style::Plain))
    }
}

/// Runs a workflow of `worker` undisturbed, then kills it just before and just after everything that is recorded of it, and compares what comes
/// of it. Each run has a state and a clock of its own; nothing is sent to the network.
///
/// ```no_run
/// # use miniflow_test::{Scenario, Worker, crash_matrix};
/// # use serde_json::json;
/// # async fn test() -> Result<(), miniflow_test::Error> {
/// let scenario = Scenario::of("ORDERS").params(json!({ "id": 1 })).event("approval", json!({ "by": "Ada" }));
/// crash_matrix(&Worker::here(), scenario).await?.assert_safe();
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// When the Worker cannot be run, has no such workflow, or it does not come to an end undisturbed.
pub async fn crash_matrix(worker: &Worker, scenario: Scenario) -> Result<CrashReport, Error> {
    if let Some(wrong) = scenario.wrong {
        return Err(Error::Data(wrong));
    }
    let Scenario { binding, given, seed, doubles, strict_determinism, .. } = scenario;
    let options = Options { scenario: Arc::new(given), seed, doubles, strict_determinism };
    let (process, worker) = (process()?, worker.clone());
    let killed = async move {
        let connected = Arc::new(worker.connected(process).await?);
        let name = name_of(&connected, &binding);
        let report = matrix::crash_matrix(&connected, &name, &options).await;
        report.map(CrashReport).map_err(|error| Error::Data(error.to_string()))
    };
    process.run(killed).await
}

/// The name of the workflow that is bound to `binding`.
fn name_of(connected: &Connected, binding: &str) -> String {
    let bound = connected.workflow(binding);
    bound.map_or_else(|| binding.to_owned(), ToOwned::to_owned)
}
