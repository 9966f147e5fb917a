//! Steps that wait: `sleep`, `sleepUntil`, `waitForEvent`.

use std::sync::Arc;

use super::compensate::Phase;
use super::{Kind, Open, Run, mixed_up};
use crate::clock::Timestamp;
use crate::engine::duration::DurationSpec;
use crate::engine::{Answer, Command, ErrorInfo, Outcome, ReceivedEvent, StepKind, limits, text, validate};

impl Run {
    /// Waits for `duration`. Cancel-safe.
    ///
    /// # Errors
    /// When the duration is not one, or over 365 days.
    pub async fn sleep(self: &Arc<Self>, name: &str, duration: DurationSpec) -> Result<(), ErrorInfo> {
        self.check(name)?;
        let ms = duration.to_ms().map_err(|error| text::invalid_duration(name, &error.to_string()))?;
        check_sleep(name, ms)?;
        let mut open = self.ask_for(StepKind::Sleep, name);
        let (recorded, _) = open.recorded().await;
        if recorded.is_none() {
            let ms = if self.skips_sleep(&open.key) { 0 } else { ms };
            let wake_at = self.clock.now().plus_ms(ms);
            self.ask(begin_sleep(&open, wake_at), Kind::Parked).await;
        }
        open.over = true;
        Ok(())
    }

    /// Waits until `when`. Cancel-safe.
    ///
    /// # Errors
    /// When `when` is in the past and the step is new, or more than 365 days away.
    pub async fn sleep_until(self: &Arc<Self>, name: &str, when: Timestamp) -> Result<(), ErrorInfo> {
        self.check(name)?;
        let came_until = self.lock().came_until;
        let mut open = self.ask_for(StepKind::Sleep, name);
        let (recorded, known) = open.recorded().await;
        if recorded.is_none() {
            let now = self.clock.now();
            if !known {
                // What is refused was not begun: nothing to abandon.
                open.over = true;
                // In an earlier run it may have been asked for in time, and the process may have died before that was recorded.
                if when < now && came_until.is_none_or(|came| when < came) {
                    return Err(ErrorInfo::new(text::ERROR, text::SLEEP_IN_THE_PAST));
                }
                check_sleep(name, when.0.saturating_sub(now.0))?;
                open.over = false;
            }
            let wake_at = if self.skips_sleep(&open.key) { now } else { when };
            self.ask(begin_sleep(&open, wake_at), Kind::Parked).await;
        }
        open.over = true;
        Ok(())
    }

    /// Waits for an event of this type, 24 hours unless told. Cancel-safe.
    ///
    /// # Errors
    /// `WorkflowTimeoutError`; or a type or timeout that is not allowed.
    pub async fn wait_for_event(
        self: &Arc<Self>,
        name: &str,
        event_type: &str,
        timeout: Option<DurationSpec>,
    ) -> Result<ReceivedEvent, ErrorInfo> {
        self.check(name)?;
        if !validate::event_type(event_type) {
            return Err(ErrorInfo::new(text::ERROR, text::INVALID_EVENT_TYPE));
        }
        let timeout_ms = match timeout {
            None => limits::WAIT_MS_DEFAULT,
            Some(duration) => duration.to_ms().map_err(|error| text::invalid_duration(name, &error.to_string()))?,
        };
        if !(limits::WAIT_MS_MIN..=limits::WAIT_MS_MAX).contains(&timeout_ms) {
            let why = format!("a wait lasts from 1 second to 365 days, this one {timeout_ms} ms");
            return Err(text::invalid_duration(name, &why));
        }
        let mut open = self.ask_for(StepKind::Wait, name);
        let (recorded, _) = open.recorded().await;
        let outcome = match recorded {
            Some(outcome) => outcome,
            None => {
                let (key, event_type) = (open.key.clone(), Arc::from(event_type));
                let (nested, alone) = (open.nested, open.alone);
                let command = Command::BeginWait { key, event_type, timeout_ms, nested, alone };
                match self.ask(command, Kind::Parked).await {
                    Answer::Settled(outcome) => outcome,
                    _ => Outcome::Stored,
                }
            }
        };
        open.over = true;
        match outcome {
            Outcome::Event(event) => Ok(event),
            Outcome::Failed(error) => Err(error),
            _ => Err(mixed_up(&open.key)),
        }
    }

    /// Whether a sleep or a wait of this name may be asked for now.
    fn check(&self, name: &str) -> Result<(), ErrorInfo> {
        if self.lock().phase == Phase::Compensating {
            return Err(ErrorInfo::new(text::FATAL, text::STEP_IN_ROLLBACK));
        }
        if validate::step_name(name) { Ok(()) } else { Err(text::invalid_step_name(name)) }
    }
}

fn begin_sleep(open: &Open, wake_at: Timestamp) -> Command {
    Command::BeginSleep { key: open.key.clone(), wake_at, nested: open.nested, alone: open.alone }
}

fn check_sleep(name: &str, ms: u64) -> Result<(), ErrorInfo> {
    if ms > limits::SLEEP_MS_MAX {
        let why = format!("a sleep lasts at most 365 days ({} ms), this one {ms} ms", limits::SLEEP_MS_MAX);
        return Err(text::invalid_duration(name, &why));
    }
    Ok(())
}
