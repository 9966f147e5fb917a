//! Puts what happens outside of requests and instances into the log: problems, builds, reloads.

use std::time::Duration;

use serde_json::Value;

use crate::bindings::logging::Level;
use crate::config::{Problem, Problems};
use crate::dev::build::Progress;
use crate::dev::{Listener, News};
use crate::report::log::{Console, Record};
use crate::report::{self, Style};

/// Says it on a console. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reporter {
    console: Console,
}

impl Reporter {
    pub(super) fn new(console: Console) -> Self {
        Self { console }
    }

    pub(super) fn console(&self) -> &Console {
        &self.console
    }

    /// Says what is to be pointed out.
    pub(super) fn problems(&self, problems: &Problems) {
        for problem in problems {
            self.console.say(&Record::problem(problem, self.style()));
        }
    }

    /// Says why a command has failed, whatever the log level.
    pub(super) fn failure(&self, problems: &Problems) {
        for problem in problems {
            self.console.show(&Record::problem(problem, self.style()));
        }
    }

    /// Says that what was there before is served.
    pub(super) fn kept(&self, worker: &str, why: &str) {
        let message = format!("kept {worker}: {why}; what was there before is served");
        let record = reload(Level::Warn, "kept", worker, &message).with("reason", why);
        self.console.say(&record.shown_as(report::kept(worker, why, self.style())));
    }

    fn style(&self) -> Style {
        self.console.format().style()
    }
}

fn reload(level: Level, event: &str, worker: &str, message: &str) -> Record {
    Record::new(level, "reload", message).with("event", event).with("worker", worker)
}

fn ms(duration: Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}

impl Progress for Reporter {
    fn line(&self, line: &str) {
        // A compiler's output comes here only when programs read it.
        self.console.say(&Record::new(Level::Info, "build", line).shown_as(format!("{line}\n")));
    }

    fn takes_output(&self) -> bool {
        self.console.format().is_json()
    }
}

impl Listener for Reporter {
    fn happened(&self, worker: &str, news: News) {
        let style = self.style();
        match news {
            News::Reloaded(done, build) => {
                self.problems(&done.warnings);
                let text = report::reload(&done, build, style);
                let plain = report::reload(&done, build, Style::Plain);
                let message = plain.lines().last().unwrap_or_default();
                let level =
                    if done.checked.iter().all(|checked| checked.finding.fits()) { Level::Info } else { Level::Warn };
                let record = reload(level, "reloaded", worker, message)
                    .with("duration_ms", ms(done.took))
                    .with("build_ms", build.map_or(Value::Null, ms))
                    .with("check_ms", ms(done.check_took))
                    .with("checked", done.checked.len())
                    .with("changed", report::changed(&done));
                self.console.say(&record.shown_as(text));
            }
            News::Checking(done) => {
                let message = report::checking(worker, done, Style::Plain);
                let record = reload(Level::Info, "checking", worker, message.trim_end()).with("checked", done);
                self.console.say(&record.shown_as(report::checking(worker, done, style)));
            }
            News::Unchanged(build) => {
                let plain = report::unchanged(worker, build, Style::Plain);
                let record = reload(Level::Info, "unchanged", worker, plain.trim_end())
                    .with("build_ms", build.map_or(Value::Null, ms));
                self.console.say(&record.shown_as(report::unchanged(worker, build, style)));
            }
            News::NotBuilt(error) => self.kept(worker, &error.to_string()),
            News::Refused(problems) => {
                self.problems(&problems);
                self.kept(worker, "it cannot be served like this");
            }
            News::Polls(why) => {
                let problem = Problem::warning(format!("the system does not tell of changes ({why}): files are looked at now and then"))
                    .with_hint("raise the limits `fs.inotify.max_user_watches` and `fs.inotify.max_user_instances`, or end other programs that watch files");
                self.problems(&problem.into());
            }
            News::Outputs(paths) => {
                let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                let problem = Problem::warning(format!(
                    "changed by every build, which is no reason for another one: {}",
                    names.join(", ")
                ))
                .with_hint("name the folders of the sources in `build.watch_dir`");
                self.problems(&problem.into());
            }
        }
    }
}
