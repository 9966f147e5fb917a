//! The status of an instance and its strings, exactly Cloudflare's.

use std::fmt;

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceStatus {
    /// Accepted, or woken; no concurrency slot is free.
    Queued,
    /// A run is active.
    Running,
    /// Stopped by the user; can be resumed.
    Paused,
    /// `run` failed. Final.
    Errored,
    /// Stopped by the user for good. Final.
    Terminated,
    /// `run` returned. Final.
    Complete,
    /// Every live branch of `run` is in a sleep, a wait for an event or a retry delay.
    Waiting,
    /// A pause was asked for; step bodies still run.
    WaitingForPause,
    /// Its steps are being compensated, because it failed or is being terminated. Bindings say `running` (documented), REST says this.
    RollingBack,
    /// Stored by a version this one does not know.
    Unknown,
}

impl InstanceStatus {
    /// Every status, for tables.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Errored,
        Self::Terminated,
        Self::Complete,
        Self::Waiting,
        Self::WaitingForPause,
        Self::RollingBack,
        Self::Unknown,
    ];

    /// The string users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Errored => "errored",
            Self::Terminated => "terminated",
            Self::Complete => "complete",
            Self::Waiting => "waiting",
            Self::WaitingForPause => "waitingForPause",
            Self::RollingBack => "rollingBack",
            Self::Unknown => "unknown",
        }
    }

    /// The status with this string; `Unknown` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.as_str() == text).unwrap_or(Self::Unknown)
    }

    /// Whether nothing can happen to the instance any more by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Errored | Self::Terminated | Self::Complete)
    }
}

impl fmt::Display for InstanceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
