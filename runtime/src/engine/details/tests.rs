use super::*;

fn at(ms: u64, entry: Entry) -> Stamped {
    Stamped { at: Timestamp(ms), entry }
}

fn of_entries(entries: impl IntoIterator<Item = (u64, Entry)>) -> Details {
    of(Timestamp(1), entries.into_iter().map(|(ms, entry)| at(ms, entry)))
}

fn step(name: &str) -> Entry {
    let config = Arc::new(StepConfig::default());
    Entry::StepStarted { key: key(StepKind::Do, name), alone: true, config, rollback: None, nested: false }
}

fn undoable(name: &str) -> Entry {
    let config = Arc::new(StepConfig::default());
    let rollback = Some(Arc::clone(&config));
    Entry::StepStarted { key: key(StepKind::Do, name), alone: true, config, rollback, nested: false }
}

fn sleep(name: &str, wake_at: u64) -> Entry {
    Entry::SleepStarted { key: key(StepKind::Sleep, name), alone: true, wake_at: Timestamp(wake_at), nested: None }
}

fn wait(name: &str) -> Entry {
    let key = key(StepKind::Wait, name);
    Entry::WaitStarted {
        key,
        alone: true,
        event_type: "go".into(),
        deadline: Timestamp(900),
        timeout_ms: 800,
        nested: None,
    }
}

fn key(kind: StepKind, name: &str) -> StepKey {
    StepKey::new(kind, name, 1)
}

fn boom() -> ErrorInfo {
    ErrorInfo::new("Error", "boom")
}

fn succeeded(no: StepNo) -> Entry {
    Entry::StepSucceeded { step: no, output: Bytes::from_static(b"1") }
}

/// Number, beginning, end, success, next.
type Attempt = (u32, u64, Option<u64>, Option<bool>, Option<u64>);

fn attempts(step: &StepDetails) -> Vec<Attempt> {
    let row = |attempt: &AttemptDetails| {
        let result = attempt.result.as_ref().map(Result::is_ok);
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        (attempt.attempt, attempt.started.0, ms(attempt.ended), result, ms(attempt.retry_at))
    };
    step.attempts.iter().map(row).collect()
}

#[test]
fn an_instance_that_has_not_begun_has_nothing_but_its_creation() {
    let details = of_entries([]);
    assert_eq!((details.status, details.queued, details.started), (InstanceStatus::Queued, Timestamp(1), None));
    assert_eq!((details.ended, details.steps.len(), details.wake_at), (None, 0, None));
}

#[test]
fn a_step_has_its_attempts_with_what_came_of_each() {
    let details = of_entries([
        (2, Entry::Running),
        (3, step("charge")),
        (5, Entry::AttemptFailed { step: 0, error: boom(), retry_at: Timestamp(15) }),
        (16, Entry::AttemptStarted { step: 0, attempt: 2 }),
        (17, Entry::AttemptInterrupted { step: 0 }),
        (18, Entry::AttemptStarted { step: 0, attempt: 2 }),
        (19, succeeded(0)),
        (20, Entry::Completed { output: Bytes::from_static(b"7") }),
    ]);
    let [charge] = &details.steps[..] else { panic!("{:?}", details.steps) };
    assert_eq!((charge.started, charge.ended, charge.success()), (Timestamp(3), Some(Timestamp(19)), Some(true)));
    assert_eq!(
        attempts(charge),
        [
            (1, 3, Some(5), Some(false), Some(15)),
            (2, 16, Some(17), Some(false), Some(17)),
            (2, 18, Some(19), Some(true), None)
        ]
    );
    assert_eq!(charge.attempts[1].result, Some(Err(text::attempt_lost())));
    assert_eq!((details.started, details.ended), (Some(Timestamp(2)), Some(Timestamp(20))));
    assert_eq!(details.output, Some(Bytes::from_static(b"7")));
}

#[test]
fn what_is_going_on_says_until_when() {
    let details = of_entries([
        (2, Entry::Running),
        (3, step("retried")),
        (4, Entry::AttemptFailed { step: 0, error: boom(), retry_at: Timestamp(50) }),
        (5, sleep("nap", 60)),
        (6, wait("answer")),
        (7, Entry::Waiting),
    ]);
    let deadlines: Vec<_> = details.steps.iter().map(|step| (step.success(), step.deadline())).collect();
    assert_eq!(deadlines, [(None, Some(Timestamp(50))), (None, Some(Timestamp(60))), (None, Some(Timestamp(900)))]);
    assert_eq!((details.status, details.wake_at), (InstanceStatus::Waiting, Some(Timestamp(50))));
}

#[test]
fn a_pause_moves_what_is_waited_for() {
    let details = of_entries([
        (2, Entry::Running),
        (3, step("retried")),
        (4, Entry::AttemptFailed { step: 0, error: boom(), retry_at: Timestamp(50) }),
        (5, sleep("nap", 60)),
        (10, Entry::Paused),
        (110, Entry::Resumed),
    ]);
    assert_eq!(details.steps[0].attempts[0].retry_at, Some(Timestamp(150)));
    assert_eq!(details.steps[1].deadline(), Some(Timestamp(160)));
}

#[test]
fn a_wait_has_its_event_and_events_that_nobody_took_are_pending() {
    let event = |event_type: &str| Entry::EventReceived { event_type: event_type.into(), payload: Bytes::new() };
    let details = of_entries([
        (2, Entry::Running),
        (3, event("early")),
        (4, wait("answer")),
        (5, event("go")),
        (6, Entry::WaitCompleted { step: 0, event: 1 }),
        (7, wait("more")),
        (9, Entry::WaitTimedOut { step: 1 }),
    ]);
    let StepState::Done(Outcome::Event(taken)) = &details.steps[0].state else { panic!("{:?}", details.steps[0]) };
    assert_eq!((&*taken.event_type, taken.timestamp), ("go", Timestamp(5)));
    assert_eq!(details.steps[1].error().map(|error| error.name.as_str()), Some(text::TIMEOUT));
    assert_eq!(details.steps[1].event_type.as_deref(), Some("go"));
    let pending: Vec<_> = details.pending_events.iter().map(|event| &*event.event_type).collect();
    assert_eq!(pending, ["early"]);
}

#[test]
fn what_the_end_of_an_instance_cut_off_is_over_without_a_result() {
    let details = of_entries([(2, Entry::Running), (3, step("charge")), (4, sleep("nap", 99)), (8, Entry::Terminated)]);
    for step in &details.steps {
        assert_eq!((step.ended, step.success(), step.deadline()), (Some(Timestamp(8)), None, None));
    }
    assert_eq!(attempts(&details.steps[0]), [(1, 3, Some(8), None, None)]);
    assert_eq!((details.status, details.ended), (InstanceStatus::Terminated, Some(Timestamp(8))));
}

#[test]
fn a_step_that_the_guest_dropped_is_over_until_it_is_asked_for_again() {
    let dropped = [(2, Entry::Running), (3, step("loser")), (4, Entry::StepAbandoned { step: 0 })];
    let details = of_entries(dropped.clone());
    assert!(matches!(details.steps[0].state, StepState::Abandoned { .. }));
    assert_eq!((details.steps[0].ended, details.steps[0].success()), (Some(Timestamp(4)), None));
    let again =
        [(5, Entry::StepReopened { step: 0 }), (6, Entry::AttemptStarted { step: 0, attempt: 1 }), (7, succeeded(0))];
    let details = of_entries(dropped.into_iter().chain(again));
    assert_eq!((details.steps[0].ended, details.steps[0].success()), (Some(Timestamp(7)), Some(true)));
    assert_eq!(attempts(&details.steps[0]), [(1, 3, Some(4), None, None), (1, 6, Some(7), Some(true), None)]);
}

#[test]
fn compensations_are_steps_after_the_others() {
    let undo = Entry::StepStarted {
        key: key(StepKind::Rollback, "charge"),
        alone: true,
        config: Arc::new(StepConfig::default()),
        rollback: None,
        nested: false,
    };
    let details = of_entries([
        (2, Entry::Running),
        (3, undoable("charge")),
        (4, succeeded(0)),
        (5, sleep("nap", 99)),
        (6, Entry::RollbackStarted { cause: boom(), terminate: false }),
        (7, undo),
        (8, Entry::StepSucceeded { step: 2, output: Bytes::new() }),
        (9, Entry::RollbackFinished { error: None }),
        (9, Entry::Errored { error: boom() }),
    ]);
    let rows: Vec<_> =
        details.steps.iter().map(|step| (step.key.kind, step.ended.unwrap().0, step.success())).collect();
    assert_eq!(rows, [(StepKind::Do, 4, Some(true)), (StepKind::Sleep, 6, None), (StepKind::Rollback, 8, Some(true))]);
    assert!(details.steps[0].has_rollback && !details.steps[2].has_rollback);
    assert_eq!(details.rollback, Some(RollbackOutcome { error: None }));
    assert_eq!(details.error, Some(boom()));
}

#[test]
fn a_restart_forgets_what_it_made_undone() {
    let first = [
        (2, Entry::Running),
        (3, step("one")),
        (4, succeeded(0)),
        (5, sleep("nap", 99)),
        (6, step("two")),
        (9, Entry::Terminated),
    ];
    let from = |step| (10, Entry::Restarted { from: Some(step), entries: 6 });
    let details = of_entries(first.clone().into_iter().chain([from(2)]));
    let rows: Vec<_> = details.steps.iter().map(|step| (step.key.to_string(), step.ended)).collect();
    assert_eq!(rows, [("one-1".to_owned(), Some(Timestamp(4))), ("nap-1".to_owned(), None)]);
    assert_eq!((details.status, details.queued, details.ended), (InstanceStatus::Queued, Timestamp(1), None));
    assert_eq!(details.started, Some(Timestamp(2)));

    let details = of_entries([(10, Entry::Restarted { from: None, entries: 6 }), (12, Entry::Running)]);
    assert_eq!((details.queued, details.started, details.steps.len()), (Timestamp(10), Some(Timestamp(12)), 0));
}

#[test]
fn a_step_is_found_by_the_name_of_the_logs() {
    let details = of_entries([(2, Entry::Running), (3, step("one")), (4, sleep("one", 9))]);
    assert_eq!(details.step(StepKind::Sleep, "one-1").map(|step| step.no), Some(1));
    assert_eq!(details.step(StepKind::Do, "one-2"), None);
    assert_eq!(details.step(StepKind::Do, "one"), None);
}
