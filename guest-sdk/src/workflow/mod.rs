//! Workflows: classes that run durably, and the bindings that start and steer their instances.
//!
//! A class is a struct with `#[workflow]` and an [`WorkflowEntrypoint`]. Its `run` is ordinary code; what must survive is
//! put into the steps of a [`WorkflowStep`]. When an instance goes on after a wait or a restart, `run` starts from the top
//! and every step that is done gives its recorded result, so code between the steps may run many times and must not
//! depend on anything but the event and what steps returned.

mod attempt;
mod batch;
mod binding;
mod class;
mod duration;
mod event;
mod instance;
mod instance_event;
mod options;
mod payload;
mod retry;
mod retry_delay;
mod rollback;
mod step;
mod subscription;

pub use batch::{BatchError, BatchOptions, BatchResult, DeleteError, DeleteResult};
pub use binding::{CreateOptions, Workflow};
pub use class::{Class, WorkflowEntrypoint, WorkflowsExport};
pub use duration::{WorkflowDuration, WorkflowSleepDuration};
pub use event::{WaitForEventOptions, WorkflowCronSchedule, WorkflowEvent, WorkflowStepEvent};
pub use instance::{
    InstanceError, InstanceStatus, InstanceStatusKind, RollbackOutcome, RollbackStatus, WorkflowInstance,
};
pub use instance_event::{WorkflowInstanceEvent, WorkflowInstanceEventKind};
pub use options::{RestartFrom, RestartOptions, RetentionOptions, StepType, SubscribeOptions, TerminateOptions};
pub use retry::{
    Backoff, NonRetryableError, ResolvedRetryConfig, ResolvedStepConfig, RetryConfig, StepConfig, StepSensitivity,
    WorkflowStepContext, WorkflowStepInfo,
};
pub use retry_delay::{DelayContext, DelayFn, RetryDelay, StepError};
pub use rollback::{Rollback, RollbackConfig, WorkflowRollbackContext};
pub use step::WorkflowStep;
pub use subscription::WorkflowInstanceSubscription;
