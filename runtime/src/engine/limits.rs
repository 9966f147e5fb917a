//! Every limit, with its unit and where it comes from. Values are the paid plan's (docs: workflows/reference/limits).

/// Characters of a workflow name and of an instance id a user gives (documented limits 64 and 100).
pub const WORKFLOW_NAME_CHARS_MAX: usize = 64;
/// See [`WORKFLOW_NAME_CHARS_MAX`].
pub const INSTANCE_ID_CHARS_MAX: usize = 100;
/// Characters of an event type (documented).
pub const EVENT_TYPE_CHARS_MAX: usize = 100;
/// UTF-16 units of a step name (documented: 256 characters, counted as JavaScript counts).
pub const STEP_NAME_UNITS_MAX: usize = 256;
/// Bytes of params, of an event's payload and of a step's output (documented: 1 MiB).
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Steps of an instance unless configured; sleeps and waits do not count (documented: 10,000).
pub const STEPS_DEFAULT: u32 = 10_000;
/// Retries of a step (documented).
pub const RETRIES_MAX: u32 = 10_000;
/// Longest `step.sleep` (documented: 365 days).
pub const SLEEP_MS_MAX: u64 = 365 * 24 * 3600 * 1000;
/// Range of a `waitForEvent` timeout (documented: 1 second to 365 days).
pub const WAIT_MS_MIN: u64 = 1000;
/// See [`WAIT_MS_MIN`].
pub const WAIT_MS_MAX: u64 = SLEEP_MS_MAX;
/// Timeout of a `waitForEvent` that names none (documented: 24 hours).
pub const WAIT_MS_DEFAULT: u64 = 24 * 3600 * 1000;
/// Instances of one batch (documented).
pub const BATCH_MAX: usize = 100;
/// Retries of a step that names none (documented).
pub const RETRY_LIMIT_DEFAULT: u32 = 5;
/// Delay before the first retry of a step that names none, milliseconds (documented).
pub const RETRY_DELAY_MS_DEFAULT: u64 = 10_000;
/// Timeout of an attempt that names none, milliseconds (documented: 10 minutes).
pub const STEP_TIMEOUT_MS_DEFAULT: u64 = 600_000;
/// Instances that may be `running` in an account (documented for the paid plan).
pub const CONCURRENCY_ACCOUNT_MAX: usize = 50_000;
