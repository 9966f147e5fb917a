//! The workflow of a program as a guest, and the runner of such guests.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::{select, try_join};
use miniflow_runtime::engine::{Retry, RetryDelay, RollbackOptions};
use miniflow_runtime::run::Compensating;
use miniflow_runtime::{
    Backoff, Begun, Bytes, DurationSpec, ErrorInfo, GuestRunner, ReceivedEvent, RetryOptions, Run, RunEnd, StepOptions,
    Timestamp, Verdict, drive,
};

use super::program::{Act, Do, Growth, Ms, No, Part, Program, Retries};

/// Something a body did, and when.
pub(super) type Effect = (Ms, String);

/// What bodies tell the test.
#[derive(Default)]
pub(super) struct Told {
    effects: Mutex<Vec<Effect>>,
    /// When the bodies that run will end.
    ends: Mutex<BTreeSet<(Ms, u64)>>,
    bodies: AtomicU64,
    /// Polls of guests.
    polls: AtomicU64,
}

impl Told {
    /// The effects since the last call.
    pub(super) fn take(&self) -> Vec<Effect> {
        std::mem::take(&mut self.effects.lock().unwrap())
    }

    /// When the next body ends.
    pub(super) fn next_end(&self) -> Option<Ms> {
        self.ends.lock().unwrap().first().map(|(at, _)| *at)
    }

    pub(super) fn polls(&self) -> u64 {
        self.polls.load(Ordering::SeqCst)
    }
}

/// A body that runs.
struct Body {
    told: Arc<Told>,
    end: (Ms, u64),
}

impl Drop for Body {
    fn drop(&mut self) {
        self.told.ends.lock().unwrap().remove(&self.end);
    }
}

/// Runs the program in the place of a guest, as tasks of the runtime it was made in.
pub(super) struct Guests {
    pub(super) program: Arc<Program>,
    pub(super) told: Arc<Told>,
    pub(super) runtime: tokio::runtime::Handle,
}

impl GuestRunner for Guests {
    fn start(&self, run: Arc<Run>) {
        let guest = Guest { run, program: Arc::clone(&self.program), told: Arc::clone(&self.told) };
        let told = Arc::clone(&self.told);
        self.runtime.spawn(async move {
            let mut task = pin!(guest.live());
            std::future::poll_fn(|context| {
                told.polls.fetch_add(1, Ordering::SeqCst);
                task.as_mut().poll(context)
            })
            .await;
        });
    }
}

struct Guest {
    run: Arc<Run>,
    program: Arc<Program>,
    told: Arc<Told>,
}

impl Guest {
    async fn live(self) {
        let guest = async {
            tokio::select! {
                biased;
                outcome = self.perform() => if !self.run.settle(outcome).await { return },
                () = self.run.rollback_requested() => {}
            }
            while let Some(call) = self.run.next_rollback().await {
                self.compensate(call).await;
            }
        };
        if let miniflow_runtime::Driven::Finished(()) = drive(&self.run, guest).await {
            self.run.ended(RunEnd::Returned);
        }
    }

    async fn perform(&self) -> Result<Bytes, ErrorInfo> {
        let mut said = Vec::new();
        for part in &self.program.parts {
            match part {
                Part::One(no) => said.extend(self.line(&[*no]).await?),
                Part::Two(a, b) => {
                    let (a, b) = try_join(self.line(a), self.line(b)).await?;
                    said.extend(a);
                    said.extend(b);
                }
                Part::Race(a, b) => {
                    let (first, _) = select(Box::pin(self.line(a)), Box::pin(self.line(b))).await.factor_first();
                    said.extend(first?);
                }
            }
        }
        Ok(Bytes::from(said.join(",")))
    }

    async fn line(&self, acts: &[No]) -> Result<Vec<String>, ErrorInfo> {
        let mut said = Vec::new();
        for no in acts {
            said.push(self.act(*no).await?);
        }
        Ok(said)
    }

    async fn act(&self, no: No) -> Result<String, ErrorInfo> {
        let name = format!("s{no}");
        let (outcome, caught) = match &self.program.acts[no] {
            Act::Do(step) => (self.step(&name, step).await, step.caught),
            Act::Sleep(ms) => {
                self.run.sleep(&name, DurationSpec::Ms(*ms)).await?;
                (Ok("slept".to_owned()), false)
            }
            Act::Wait { kind, timeout, caught } => {
                let timeout = Some(DurationSpec::Ms(*timeout));
                (
                    self.run.wait_for_event(&name, &kind_name(*kind), timeout).await.map(|event| received(&event)),
                    *caught,
                )
            }
        };
        match outcome {
            Err(error) if caught => Ok(format!("!{}: {}", error.name, error.message)),
            outcome => outcome,
        }
    }

    async fn step(&self, name: &str, step: &Do) -> Result<String, ErrorInfo> {
        let rollback =
            step.undo.as_ref().map(|undo| RollbackOptions { retries: Some(options(&undo.retries)), timeout: None });
        let options = StepOptions { retries: Some(options(&step.retries)), rollback, ..StepOptions::default() };
        let mut attempt = match self.run.begin_step(name, options).await {
            Begun::Recorded(output) => return Ok(text(&output)),
            Begun::RecordedStream(_) => unreachable!("no step here writes a stream"),
            Begun::Failed(error) => return Err(error),
            Begun::Execute(attempt) => attempt,
        };
        loop {
            let number = attempt.number();
            let end = self.body(format!("{name}#{number}"), step.takes).await;
            let output = format!("{name}#{number}@{}", end.0);
            let verdict = if number > step.fails {
                attempt.succeed(Bytes::from(output.clone())).await
            } else if step.fatal {
                attempt.fail(ErrorInfo::new("NonRetryableError", output.clone()), Retry::Never).await
            } else {
                attempt.fail(ErrorInfo::new("Error", output.clone()), Retry::ByPolicy).await
            };
            match verdict {
                Verdict::Done => return Ok(output),
                Verdict::Streamed(_) => unreachable!("no step here writes a stream"),
                Verdict::Failed(error) => return Err(error),
                Verdict::Retry(next) => attempt = next,
            }
        }
    }

    async fn compensate(&self, call: Compensating) {
        let name = call.step.name.to_string();
        let no: No = name[1..].parse().unwrap();
        let undo = self.program.undo(no).expect("only steps with a handler are compensated");
        let output = call.output.as_ref().map_or("nothing".to_owned(), text);
        let mut attempt = call.attempt;
        loop {
            let number = attempt.number();
            let what = format!("undo {name}#{number} after #{}: {output}; {}", call.step_attempt, call.cause.message);
            let end = self.body(what, undo.takes).await;
            let verdict = if number > undo.fails {
                attempt.succeed(Bytes::new()).await
            } else {
                attempt.fail(ErrorInfo::new("Error", format!("undo {name}#{number}@{}", end.0)), Retry::ByPolicy).await
            };
            match verdict {
                Verdict::Retry(next) => attempt = next,
                _ => return,
            }
        }
    }

    /// Takes this long. Returns when it ended.
    async fn body(&self, what: String, takes: Ms) -> Timestamp {
        let now = self.run.clock().now();
        self.told.effects.lock().unwrap().push((now.0, what));
        let end = now.plus_ms(takes);
        let body = Body { told: Arc::clone(&self.told), end: (end.0, self.told.bodies.fetch_add(1, Ordering::SeqCst)) };
        self.told.ends.lock().unwrap().insert(body.end);
        self.run.clock().sleep_until(end).await;
        end
    }
}

fn options(retries: &Retries) -> RetryOptions {
    let backoff = match retries.growth {
        Growth::Constant => Backoff::Constant,
        Growth::Linear => Backoff::Linear,
        Growth::Exponential => Backoff::Exponential,
    };
    RetryOptions {
        limit: retries.limit,
        delay: RetryDelay::Fixed(DurationSpec::Ms(retries.delay)),
        backoff: Some(backoff),
    }
}

/// The type of an event.
pub(super) fn kind_name(kind: u8) -> String {
    format!("kind-{kind}")
}

fn received(event: &ReceivedEvent) -> String {
    format!("{}@{}", text(&event.payload), event.timestamp.0)
}

pub(super) fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
