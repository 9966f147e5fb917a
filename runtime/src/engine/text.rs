//! Every error text of the public contract, in one place (specification: contract section 2 and 3; a row's origin is with it).

use std::borrow::Cow;

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
/// Name of a failure of the guest's function for a retry delay.
pub const DELAY: &str = "NonRetryableDelayError";
/// See [`delay_error`]: over [`super::limits::DELAY_FUNCTION_MS_MAX`].
pub const DELAY_TIMED_OUT: &str = "did not return within 5 seconds";
/// See [`delay_error`]: not a duration.
pub const DELAY_INVALID: &str =
    r#"returned an invalid delay value (expected a number of ms or a duration string like "30 seconds")"#;
/// Terminating an instance that has finished.
pub const CANNOT_TERMINATE: &str = "(instance.cannot_terminate) Cannot terminate instance since its on a finite state";
/// A step that is asked for while compensations run.
pub const STEP_IN_ROLLBACK: &str = "Cannot execute steps during rollback phase";
/// A `count` of a batch that is none.
pub const BATCH_COUNT: &str = "(body) count must be a positive integer";
/// A `count` of a batch over the limit.
pub const BATCH_COUNT_TOO_LARGE: &str = "(body) batchCreate only supports 100 instances at a time";
/// A batch of instances that is empty or over the limit.
pub const BATCH_SIZE: &str = "(body) Batch size exceeds maximum allowed";
/// An empty batch of ids to delete.
pub const DELETE_BATCH_EMPTY: &str = "(body) batchDeleteInstances should have at least 1 instance";
/// A batch of ids to delete over the limit.
pub const DELETE_BATCH_TOO_LARGE: &str = "(body) batchDeleteInstances only supports 100 instances at a time";
/// A retention that is not a duration.
pub const INVALID_RETENTION: &str = "(body) Duration must be a number or a string in format '{{number}} {{unit}}' where unit is second(s), minute(s), etc.";
/// Entry of a batch: the id exists.
pub const BATCH_ALREADY_EXISTS: (u32, &str) = (10405, "workflows.api.error.instance.already_exists");
/// Entry of a batch: the id was there before in the batch.
pub const BATCH_DUPLICATE: (u32, &str) = (10415, "workflows.api.error.instance.duplicate_in_batch");
/// Entry of a batch: there is no such instance.
pub const BATCH_NOT_FOUND: (u32, &str) = (10400, "workflows.api.error.instance.not_found");
/// Entry of a batch: something went wrong that is not its asker's business.
pub const BATCH_INTERNAL: (u32, &str) = (10001, "workflows.api.error.internal_server");
/// See [`storage_limit`].
pub const STORAGE_LIMIT: &str = "The instance has exceeded the 1GiB storage limit";

/// More bytes than may be kept of an instance.
#[must_use]
pub fn storage_limit() -> ErrorInfo {
    ErrorInfo::new(FATAL, STORAGE_LIMIT)
}

/// A retention over the limit.
#[must_use]
pub fn retention_too_long(ms: u64) -> String {
    format!("(body) An instance is kept for at most 30 days, {ms} ms are more")
}

/// Why compensations run when an instance is terminated.
#[must_use]
pub fn terminated() -> ErrorInfo {
    ErrorInfo::new("Terminated", "Instance terminated during rollback")
}

/// Restarting from a step that never began.
#[must_use]
pub fn cannot_restart(step: &str) -> String {
    format!(r#"(instance.cannot_restart) Step "{step}" not found in execution history"#)
}

/// A compensation's options that are not allowed.
#[must_use]
pub fn invalid_rollback_config(name: &str) -> ErrorInfo {
    ErrorInfo::new(
        FATAL,
        format!(
            r#"Rollback config for "{name}" is in a invalid format. See https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/"#
        ),
    )
}

/// The guest's function for a retry delay did not say one.
#[must_use]
pub fn delay_error(step: &str, why: &str) -> ErrorInfo {
    ErrorInfo::new(DELAY, format!(r#"The delay function for step "{step}" {why}"#))
}

/// A piece of a stream over the limit.
#[must_use]
pub fn piece_too_large(step: &str, bytes: usize) -> ErrorInfo {
    let text = format!(
        "Step {step} wrote a chunk of {bytes} bytes to its stream output. A chunk has at most 16777216 bytes (16 MiB)."
    );
    ErrorInfo::new("OversizedStreamChunkError", text)
}

/// A stored stream that does not add up.
#[must_use]
pub fn stream_corrupt(step: &str) -> ErrorInfo {
    ErrorInfo::new(INTERNAL, format!("Stored output for {step} is corrupt or incomplete."))
}

/// Options of a subscription that are not allowed.
pub const INVALID_SUBSCRIPTION: &str = "Invalid Workflow subscription options";
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
    let name = shown(name);
    ErrorInfo::new(FATAL, format!(r#"Step name "{name}" exceeds max length (256 chars) or invalid characters found"#))
}

/// As much of a guest's text as an error repeats: a name of a megabyte helps nobody to read it.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    /// Characters; more than any name that is allowed has.
    const SHOWN_MAX: usize = 512;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// A step configuration that is not allowed.
#[must_use]
pub fn invalid_step_config(name: &str) -> ErrorInfo {
    let name = shown(name);
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
