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
/// Configured steps of an instance, at most (documented for the paid plan; a warning above it).
pub const STEPS_MAX: u32 = 25_000;
/// How long the guest's function for a dynamic retry delay may take, milliseconds (observed: 5 s).
pub const DELAY_FUNCTION_MS_MAX: u64 = 5000;
/// Bytes kept of an instance, journal and streams together (documented for the paid plan: 1 GB; the official emulator's text says 1 GiB).
pub const INSTANCE_BYTES_MAX: u64 = 1 << 30;
/// Bytes of one piece that a body writes of a stream (documented: less than 16 MB).
pub const STREAM_PIECE_BYTES_MAX: usize = 16 << 20;
/// Bytes a stream is kept in (ours; as the official emulator does).
pub const STREAM_CHUNK_BYTES: usize = 256 << 10;
/// How long a finished instance is kept unless told, milliseconds (documented: 7 days for workflows made since September 2026).
pub const RETENTION_MS_DEFAULT: u64 = 7 * 24 * 3600 * 1000;
/// How long a finished instance may be kept, milliseconds (documented for the paid plan: 30 days).
pub const RETENTION_MS_MAX: u64 = 30 * 24 * 3600 * 1000;
/// How long an instance that a schedule made runs without a concurrency slot, milliseconds (documented: one hour).
pub const CRON_FREE_MS: u64 = 3600 * 1000;
/// Characters of an id that a schedule makes (documented).
pub const SCHEDULED_ID_CHARS_MAX: usize = 271;
/// Instances an account may create in a second (documented for the paid plan). Not enforced: a local run is never slowed down.
pub const CREATIONS_PER_SECOND: u32 = 300;
/// Instances of a workflow that may be queued (documented for the paid plan). Not enforced.
pub const QUEUED_MAX: usize = 2_000_000;
/// Subrequests of an instance (documented for the paid plan). Not enforced.
pub const SUBREQUESTS_MAX: u32 = 10_000;
/// Longest timeout a step should have, milliseconds (documented advice: 30 minutes). Not enforced.
pub const STEP_TIMEOUT_MS_ADVISED: u64 = 30 * 60 * 1000;

/// Schedules of the workflows of an account (documented).
pub const SCHEDULES_MAX: usize = 100;
/// Cron triggers of the Workers of an account (documented for the paid plan).
pub const CRON_TRIGGERS_MAX: usize = 250;
