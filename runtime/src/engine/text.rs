//! Every error text of the public contract, in one place (specification: contract section 2 and 3; a row's origin is with it).

use super::ErrorInfo;

/// Name of an ordinary error.
pub const ERROR: &str = "Error";
/// Name of an error that ends an instance or refuses a step.
pub const FATAL: &str = "WorkflowFatalError";
/// Name of a failure of the platform itself.
pub const INTERNAL: &str = "WorkflowInternalError";
/// Name of a timeout, of an attempt or of a wait.
pub const TIMEOUT: &str = "WorkflowTimeoutError";

/// A handle for an id that does not exist (production text).
pub const NOT_FOUND: &str = "(instance.not_found) Instance not found";
/// `create` with an id that is in use (production text).
pub const ALREADY_EXISTS: &str = "(instance.already_exists) Instance already exists";
/// `create` with an id that is not allowed.
pub const CREATE_INVALID_ID: &str = "Workflow instance has invalid id";
/// Every other operation with an id that is not allowed.
pub const INVALID_ID: &str = "(instance.invalid_id) Instance ID is invalid";
/// An event type that is not allowed (production text).
pub const INVALID_EVENT_TYPE: &str = "workflow.invalid_event_type";
/// An empty batch.
pub const BATCH_EMPTY: &str = "batchCreate should have at least 1 instance";
/// A batch over the limit.
pub const BATCH_TOO_LARGE: &str = "batchCreate only supports 100 instances at a time";
/// `sleepUntil` with a moment that has passed.
pub const SLEEP_IN_THE_PAST: &str = "You can't sleep until a time in the past, time-traveler";

/// An attempt or a wait that took too long.
#[must_use]
pub fn timed_out(ms: u64) -> ErrorInfo {
    ErrorInfo::new(TIMEOUT, format!("Execution timed out after {ms}ms"))
}

/// A step name that is not allowed.
#[must_use]
pub fn invalid_step_name(name: &str) -> ErrorInfo {
    ErrorInfo::new(FATAL, format!(r#"Step name "{name}" exceeds max length (256 chars) or invalid characters found"#))
}

/// A step configuration that is not allowed.
#[must_use]
pub fn invalid_step_config(name: &str) -> ErrorInfo {
    ErrorInfo::new(
        FATAL,
        format!(
            r#"Step config for "{name}" is in a invalid format. See https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/"#
        ),
    )
}

/// More steps than allowed.
#[must_use]
pub fn step_limit(limit: u32) -> ErrorInfo {
    let text =
        format!("The limit of {limit} steps has been reached. This limit can be changed in your worker configuration.");
    ErrorInfo::new(FATAL, text)
}

/// A step output over the limit. Names the step and both numbers.
#[must_use]
pub fn output_too_large(step: &str, bytes: usize) -> ErrorInfo {
    let text = format!("Step {step} output is too large. Maximum allowed size is 1MiB, this one has {bytes} bytes.");
    ErrorInfo::new(INTERNAL, text)
}

/// Params or an event's payload over the limit.
#[must_use]
pub fn payload_too_large(what: &str, bytes: usize) -> String {
    format!("(body) The {what} is too large. Maximum allowed size is 1MiB, this one has {bytes} bytes.")
}

/// An event for an instance that has finished.
#[must_use]
pub fn cannot_send_event(status: super::InstanceStatus) -> String {
    format!("(instance.cannot_send_event) Instance is {status}")
}

/// A `sleep` or `waitForEvent` with a duration that is not one, or out of range.
#[must_use]
pub fn invalid_duration(step: &str, why: &str) -> ErrorInfo {
    ErrorInfo::new(FATAL, format!(r#"Duration of step "{step}" is invalid: {why}"#))
}

/// An attempt that was running when the process ended.
#[must_use]
pub fn attempt_lost() -> ErrorInfo {
    ErrorInfo::new(INTERNAL, "The attempt was running when the process ended".to_owned())
}
