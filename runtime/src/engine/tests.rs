//! The engine's rules, and its laws.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;

fn key(kind: StepKind, name: &str) -> StepKey {
    StepKey::new(kind, name, 1)
}

/// Gives commands to an instance at moments, and keeps what followed.
struct Drive {
    instance: Instance,
    journal: Vec<Stamped>,
    now: u64,
}

impl Drive {
    fn new() -> Self {
        let mut drive = Self { instance: Instance::new(), journal: Vec::new(), now: 0 };
        drive.give(Command::RunStarted);
        drive
    }

    fn give(&mut self, command: Command) -> Vec<Entry> {
        let context = Context { now: Timestamp(self.now), active: true };
        let entries = self.instance.decide(command, context).unwrap_or_default();
        for entry in &entries {
            let stamped = Stamped { at: context.now, entry: entry.clone() };
            self.instance.evolve(stamped.clone());
            self.journal.push(stamped);
        }
        entries
    }

    fn begin(&mut self, name: &str, retry_limit: u32) -> Vec<Entry> {
        let config = StepConfig { retry_limit, retry_delay_ms: 100, timeout_ms: 1000, ..StepConfig::default() };
        self.give(Command::BeginStep {
            key: key(StepKind::Do, name),
            config: Arc::new(config),
            rollback: None,
            nested: false,
            alone: true,
        })
    }

    fn fail(&mut self, name: &str, attempt: u32, retryable: bool) -> Vec<Entry> {
        let error = ErrorInfo::new("Error", "boom");
        self.give(Command::Fail {
            key: key(StepKind::Do, name),
            attempt,
            error,
            retry: if retryable { Retry::ByPolicy } else { Retry::Never },
        })
    }

    fn succeed(&mut self, name: &str, attempt: u32) -> Vec<Entry> {
        self.give(Command::Succeed { key: key(StepKind::Do, name), attempt, output: Bytes::from_static(b"1") })
    }

    fn wait(&mut self, name: &str, event_type: &str) -> Vec<Entry> {
        let event_type = Arc::from(event_type);
        self.give(Command::BeginWait {
            key: key(StepKind::Wait, name),
            event_type,
            timeout_ms: 5000,
            nested: false,
            alone: true,
        })
    }

    fn event(&mut self, event_type: &str, payload: &'static str) -> Vec<Entry> {
        let payload = Bytes::from_static(payload.as_bytes());
        self.give(Command::SendEvent { event_type: Arc::from(event_type), payload })
    }

    fn outcome(&self, kind: StepKind, name: &str) -> Option<Outcome> {
        let no = self.instance.find(&key(kind, name))?;
        match self.instance.answer(no)? {
            Answer::Settled(outcome) => Some(outcome),
            Answer::Execute { .. } | Answer::Later | Answer::Compensate(_) | Answer::RollBack => None,
        }
    }
}

// rules: C2.5-21
#[test]
fn a_step_has_limit_plus_one_attempts() {
    let mut drive = Drive::new();
    drive.begin("a", 2);
    for attempt in 1..=2 {
        assert!(matches!(drive.fail("a", attempt, true)[..], [Entry::AttemptFailed { .. }]));
        drive.now += 1000;
        assert_eq!(drive.begin("a", 2), [Entry::AttemptStarted { step: 0, attempt: attempt + 1 }]);
    }
    assert!(matches!(drive.fail("a", 3, true)[..], [Entry::StepFailed { .. }]));
}

#[test]
fn a_retry_begins_when_its_delay_is_over_and_not_before() {
    let mut drive = Drive::new();
    drive.begin("a", 5);
    drive.fail("a", 1, true);
    drive.now = 99;
    assert_eq!(drive.begin("a", 5), []);
    assert_eq!(drive.give(Command::Due { step: 0, attached: true }), []);
    drive.now = 100;
    assert_eq!(drive.give(Command::Due { step: 0, attached: false }), [], "nobody is there to run it");
    assert_eq!(drive.give(Command::Due { step: 0, attached: true }), [Entry::AttemptStarted { step: 0, attempt: 2 }]);
}

// rules: C2.5-34
#[test]
fn an_error_that_is_not_to_be_retried_is_final() {
    let mut drive = Drive::new();
    drive.begin("a", 5);
    assert!(matches!(drive.fail("a", 1, false)[..], [Entry::StepFailed { .. }]));
    assert_eq!(drive.outcome(StepKind::Do, "a"), Some(Outcome::Failed(ErrorInfo::new("Error", "boom"))));
}

// rules: C2.5-23
#[test]
fn a_success_after_the_timeout_is_a_timeout() {
    let mut drive = Drive::new();
    drive.begin("a", 0);
    drive.now = 1000;
    drive.succeed("a", 1);
    assert_eq!(drive.outcome(StepKind::Do, "a"), Some(Outcome::Failed(text::timed_out(1000))));
}

#[test]
fn a_late_result_of_an_earlier_attempt_means_nothing() {
    let mut drive = Drive::new();
    drive.begin("a", 5);
    drive.now = 1000;
    drive.give(Command::Due { step: 0, attached: true });
    drive.now = 5000;
    drive.give(Command::Due { step: 0, attached: true });
    assert_eq!(drive.succeed("a", 1), []);
    assert!(matches!(drive.succeed("a", 2)[..], [Entry::StepSucceeded { .. }]));
}

#[test]
fn a_result_that_comes_after_the_timeout_and_the_delay_begins_the_next_attempt() {
    let mut drive = Drive::new();
    drive.begin("a", 5);
    drive.now = 1000;
    drive.give(Command::Due { step: 0, attached: false });
    drive.now = 1100;
    // The timer of the retry fires while the guest is still in the body of the first attempt.
    assert_eq!(drive.give(Command::Due { step: 0, attached: false }), []);
    assert_eq!(drive.succeed("a", 1), [Entry::AttemptStarted { step: 0, attempt: 2 }]);
}

// rules: C3-4, B16
#[test]
fn output_is_limited_to_one_mebibyte_exactly() {
    for (bytes, fits) in [(limits::PAYLOAD_BYTES_MAX, true), (limits::PAYLOAD_BYTES_MAX + 1, false)] {
        let mut drive = Drive::new();
        drive.begin("a", 0);
        let output = Bytes::from(vec![b'1'; bytes]);
        let entries = drive.give(Command::Succeed { key: key(StepKind::Do, "a"), attempt: 1, output });
        match &entries[..] {
            [Entry::StepSucceeded { .. }] => assert!(fits),
            [Entry::StepFailed { error, .. }] => {
                assert!(!fits);
                assert_eq!(error.name, "WorkflowInternalError");
                assert!(error.message.starts_with("Step a-1 output is too large. Maximum allowed size is 1MiB"));
            }
            other => panic!("{other:?}"),
        }
    }
}

// rules: B23
#[test]
fn an_attempt_that_ended_with_the_process_counts() {
    let mut drive = Drive::new();
    drive.begin("a", 1);
    assert!(matches!(drive.give(Command::RunStarted)[..], [Entry::AttemptFailed { .. }]));
    assert_eq!(drive.begin("a", 1), [Entry::AttemptStarted { step: 0, attempt: 2 }], "without a delay");
    assert!(matches!(drive.give(Command::RunStarted)[..], [Entry::StepFailed { .. }]), "no attempt beyond the last");
}

#[test]
fn an_attempt_that_the_host_cut_does_not_count() {
    let mut drive = Drive::new();
    drive.begin("a", 0);
    assert_eq!(drive.give(Command::Interrupt), [Entry::AttemptInterrupted { step: 0 }]);
    assert_eq!(drive.begin("a", 0), [Entry::AttemptStarted { step: 0, attempt: 1 }]);
}

// rules: C4.3-1, C4.3-2, C4.3-4
#[test]
fn events_are_matched_by_type_first_in_first_out_and_consumed_for_ever() {
    let mut drive = Drive::new();
    drive.event("go", "1");
    drive.event("other", "9");
    drive.event("go", "2");
    drive.wait("first", "go");
    drive.wait("second", "go");
    drive.wait("third", "go");
    let payload = |drive: &Drive, name| match drive.outcome(StepKind::Wait, name) {
        Some(Outcome::Event(event)) => String::from_utf8(event.payload.to_vec()).unwrap(),
        other => format!("{other:?}"),
    };
    assert_eq!((payload(&drive, "first"), payload(&drive, "second")), ("1".into(), "2".into()));
    assert_eq!(drive.outcome(StepKind::Wait, "third"), None);
    drive.event("go", "3");
    assert_eq!(payload(&drive, "third"), "3");
    assert_eq!(drive.instance.buffered_events().count(), 1, "the event of the other type");
}

// rules: C4.3-2
#[test]
fn more_than_ten_buffered_events_keep_their_order() {
    let mut drive = Drive::new();
    for n in 0..25_u8 {
        drive.give(Command::SendEvent { event_type: Arc::from("go"), payload: Bytes::from(vec![n]) });
    }
    for n in 0..25_u8 {
        drive.wait(&format!("w{n}"), "go");
        let outcome = drive.outcome(StepKind::Wait, &format!("w{n}"));
        assert!(matches!(outcome, Some(Outcome::Event(event)) if event.payload[..] == [n]));
    }
}

// rules: C2.5-14, A72
#[test]
fn a_wait_that_timed_out_swallows_no_event() {
    let mut drive = Drive::new();
    drive.wait("first", "go");
    drive.now = 5000;
    drive.give(Command::Due { step: 0, attached: true });
    assert_eq!(drive.outcome(StepKind::Wait, "first"), Some(Outcome::Failed(text::timed_out(5000))));
    drive.event("go", "1");
    drive.wait("second", "go");
    assert!(matches!(drive.outcome(StepKind::Wait, "second"), Some(Outcome::Event(_))));
}

#[test]
fn an_event_that_comes_when_the_time_of_a_wait_is_over_is_for_the_next() {
    for (ms, paused, comes) in [(4999, false, true), (5000, false, false), (5000, true, true)] {
        let mut drive = Drive::new();
        drive.wait("w", "go");
        if paused {
            // Its time stands still.
            drive.give(Command::Pause { busy: false });
        }
        drive.now = ms;
        let entries = drive.event("go", "1");
        assert_eq!(entries.iter().any(|entry| matches!(entry, Entry::WaitCompleted { .. })), comes, "{ms} {paused}");
        assert_eq!(drive.instance.buffered_events().count(), usize::from(!comes));
    }
}

// rules: C4.1-4
#[test]
fn a_wait_that_was_dropped_swallows_no_event() {
    let mut drive = Drive::new();
    drive.wait("first", "go");
    drive.give(Command::Abandon { key: key(StepKind::Wait, "first") });
    drive.event("go", "1");
    assert_eq!(drive.instance.buffered_events().count(), 1);
    // Asked for again, by a replay, it goes on as it was.
    drive.wait("first", "go");
    assert!(matches!(drive.outcome(StepKind::Wait, "first"), Some(Outcome::Event(_))));
}

// rules: B3
#[test]
fn kinds_do_not_share_their_names() {
    let mut drive = Drive::new();
    drive.begin("x", 0);
    drive.succeed("x", 1);
    let entries = drive.give(Command::BeginSleep {
        key: key(StepKind::Sleep, "x"),
        wake_at: Timestamp(9),
        nested: false,
        alone: true,
    });
    assert!(matches!(entries[..], [Entry::SleepStarted { .. }]));
    assert!(matches!(drive.wait("x", "go")[..], [Entry::WaitStarted { .. }]));
}

#[test]
fn a_trap_is_the_failure_of_the_body_that_ran() {
    let error = ErrorInfo::new("Error", "boom");
    let trap = |culprit| Command::Trap { error: error.clone(), culprit, replaying: false };
    let mut drive = Drive::new();
    drive.begin("a", 5);
    drive.begin("b", 5);
    let entries = drive.give(trap(Some((key(StepKind::Do, "b"), 1))));
    assert!(matches!(entries[..], [Entry::AttemptInterrupted { step: 0 }, Entry::AttemptFailed { step: 1, .. }]));
    assert_eq!(drive.give(trap(None)), [Entry::Errored { error: error.clone() }], "no body is running");
    let mut drive = Drive::new();
    drive.begin("a", 5);
    let replaying = Command::Trap { error: error.clone(), culprit: None, replaying: true };
    assert_eq!(drive.give(replaying), [Entry::Errored { error }], "never a loop");
}

#[test]
fn nothing_happens_to_a_finished_instance() {
    let mut drive = Drive::new();
    drive.begin("a", 5);
    drive.give(Command::Settle { outcome: Ok(Bytes::from_static(b"1")) });
    assert_eq!(drive.instance.status(), InstanceStatus::Complete);
    assert_eq!(drive.succeed("a", 1), []);
    assert_eq!(drive.instance.next_deadline(), None);
    let command = Command::SendEvent { event_type: Arc::from("go"), payload: Bytes::new() };
    let context = Context { now: Timestamp(0), active: false };
    assert_eq!(drive.instance.decide(command, context), Err(Refusal::Finished(InstanceStatus::Complete)));
}

fn commands() -> impl Strategy<Value = (Command, u64)> {
    let name = prop_oneof![Just("a"), Just("b")];
    let command = (0..14_u8, name, 0..3_u32, 0..4_u32).prop_map(|(kind, name, attempt, step)| {
        let error = ErrorInfo::new("Error", "boom");
        let output = Bytes::from_static(b"1");
        match kind {
            0 => Command::RunStarted,
            1 => {
                let config = StepConfig { retry_limit: 1, retry_delay_ms: 3, timeout_ms: 7, ..StepConfig::default() };
                Command::BeginStep {
                    key: key(StepKind::Do, name),
                    config: Arc::new(config),
                    rollback: None,
                    nested: false,
                    alone: attempt == 0,
                }
            }
            2 => Command::Succeed { key: key(StepKind::Do, name), attempt, output },
            3 => Command::Fail {
                key: key(StepKind::Do, name),
                attempt,
                error,
                retry: if step > 0 { Retry::ByPolicy } else { Retry::Never },
            },
            4 => Command::Expire { key: key(StepKind::Do, name), attempt, retry: Retry::ByPolicy },
            5 => Command::Abandon { key: key([StepKind::Do, StepKind::Sleep, StepKind::Wait][attempt as usize], name) },
            6 => Command::BeginSleep {
                key: key(StepKind::Sleep, name),
                wake_at: Timestamp(20),
                nested: false,
                alone: true,
            },
            7 => Command::BeginWait {
                key: key(StepKind::Wait, name),
                event_type: Arc::from("go"),
                timeout_ms: 9,
                nested: false,
                alone: false,
            },
            8 => Command::Idle,
            9 => Command::Trap { error, culprit: Some((key(StepKind::Do, name), attempt)), replaying: false },
            10 => Command::Interrupt,
            11 => Command::Due { step, attached: attempt > 0 },
            12 => Command::SendEvent { event_type: Arc::from("go"), payload: output },
            _ => Command::Settle { outcome: if step == 3 { Ok(output) } else { Err(error) } },
        }
    });
    (command, 0..6_u64)
}

proptest! {
    // rules: A73
    #[test]
    fn the_state_is_the_fold_of_the_journal_and_facts_are_final(
        script in proptest::collection::vec(commands(), 0..60),
        crash in 0..60_usize,
    ) {
        let mut drive = Drive::new();
        for (index, (command, later)) in script.into_iter().enumerate() {
            drive.now += later;
            let before = drive.instance.clone();
            // Ending at random would make most scripts trivial.
            let ends = matches!(command, Command::Settle { .. } | Command::Trap { .. });
            if ends && index < 40 {
                continue;
            }
            drive.give(command);
            for (no, step) in before.steps().iter().enumerate() {
                if let StepState::Done(outcome) = &step.state {
                    prop_assert_eq!(&StepState::Done(outcome.clone()), &drive.instance.steps()[no].state);
                }
            }
            if before.status().is_final() {
                prop_assert_eq!(&before, &drive.instance);
            }
            if index == crash {
                drive.instance = Instance::replay(drive.journal.clone());
                drive.give(Command::RunStarted);
            }
        }
        prop_assert_eq!(&Instance::replay(drive.journal.clone()), &drive.instance);
        let bytes = rmp_serde::to_vec(&drive.journal).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Vec<Stamped>>(&bytes).unwrap(), drive.journal);
    }
}
