//! Attempts that end as a script says, and not as their bodies would.

use std::sync::Arc;

use super::{Attempt, Begun, Run, Verdict};
use crate::engine::{Retry, StepKey};
use crate::script::{Directed, Script, Taken};

/// The error that is not tried again.
const NON_RETRYABLE: &str = "NonRetryableError";

impl Run {
    /// Has steps of this run end as `script` says. Only the first call counts.
    pub(crate) fn follow_script(&self, script: Arc<Script>) {
        // Set already is as good.
        let _ = self.script.set(script);
    }

    pub(super) fn skips_sleep(&self, step: &StepKey) -> bool {
        self.script.get().is_some_and(|script| script.skips_sleep(step))
    }

    /// Hands an attempt to the guest, unless there is a script that has something else for it.
    pub(super) async fn hand_over(&self, attempt: Attempt) -> Begun {
        match self.script.get() {
            None => Begun::Execute(attempt),
            Some(script) => Box::pin(play(Arc::clone(script), attempt)).await,
        }
    }
}

/// Lets attempts end as the script has it, until one is the guest's.
async fn play(script: Arc<Script>, mut attempt: Attempt) -> Begun {
    loop {
        let verdict = match script.taken(attempt.key(), attempt.number()) {
            None => return Begun::Execute(attempt),
            Some(Taken::Returns(Directed::Output(output))) => match attempt.succeed(output.clone()).await {
                Verdict::Done => return Begun::Recorded(output),
                other => other,
            },
            Some(Taken::Returns(Directed::Stream(pieces))) => {
                let writer = attempt.writer();
                let mut written = Ok(());
                for piece in &pieces {
                    if written.is_ok() {
                        written = writer.write(piece).await;
                    }
                }
                match written {
                    Ok(()) => attempt.finish().await,
                    Err(error) => attempt.fail(error, Retry::Never).await,
                }
            }
            Some(Taken::Fails(error)) => {
                let retry = if error.name == NON_RETRYABLE { Retry::Never } else { Retry::ByPolicy };
                attempt.fail(error, retry).await
            }
        };
        attempt = match verdict {
            Verdict::Retry(next) => next,
            Verdict::Failed(error) => return Begun::Failed(error),
            Verdict::Streamed(stream) => return Begun::RecordedStream(stream),
            // Said above, and to no failure.
            Verdict::Done => std::future::pending().await,
        };
    }
}
