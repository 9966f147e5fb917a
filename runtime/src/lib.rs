//! The durable-workflow runtime: what happens to an instance, and that nothing recorded is ever lost.
//!
//! # The model in one page
//!
//! An *instance* is one durable execution of a workflow. Its code is run by a [`GuestRunner`]; this crate never knows what
//! that code is made of. Each *run* starts the code from the top. The code asks for *steps* ([`Run::begin_step`], [`Run::sleep`],
//! [`Run::wait_for_event`]); what an earlier run recorded is answered from the *journal*, the rest is done and recorded.
//!
//! - [`engine`] is a value: `decide` turns a command into journal entries, `evolve` takes an entry into the state. No clock, no I/O.
//! - [`dispatcher`] is one thread that owns all state and the one writing connection: it drains its inbox, decides,
//!   commits everything together and only then answers. So no effect is seen before the fact behind it is durable.
//! - [`run`] is the side of the guest: it answers replayed steps without asking the dispatcher, in the recorded order.
//! - [`storage`] keeps instances and journals in SQLite.
//! - [`clock`] is the only reader of time; [`mover`] moves it from moment to moment.
//! - [`script`] has what a test says beforehand about instances.
//! - [`cron`] reads cron expressions and says when one matches.
//!
//! Never here: WebAssembly, HTTP, the terminal.

pub mod clock;
pub mod cron;
pub mod dispatcher;
pub mod engine;
pub mod mover;
pub mod run;
pub mod script;
mod spin;
pub mod storage;
#[cfg(feature = "test-util")]
pub mod testing;

pub use clock::{Clock, SystemClock, Timestamp};
pub use cron::{Cron, CronError};
pub use dispatcher::{
    ApiError, CreateOptions, Dispatcher, GuestRunner, Handle, Options, StatusReport, WorkflowDefinition,
};
pub use engine::{
    Backoff, Bytes, ErrorInfo, InstanceStatus, ReceivedEvent, RetryOptions, StepConfig, StepKey, StepKind, StepOptions,
    duration::DurationSpec,
};
pub use run::{Attempt, Begun, Busy, Driven, Fit, Run, RunEnd, RunEvent, Schedule, Trial, Verdict, drive};
