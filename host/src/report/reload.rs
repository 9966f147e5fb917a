//! What a reload did, as the terminal shows it: one line, and before it a table of the instances that do not simply go on.

use std::time::Duration;

use miniflow_runtime::engine::StepKey;
use miniflow_runtime::{Fit, StepKind};
use serde_json::{Value, json};

use super::Style;
use super::banner::table;
use crate::session::{Checked, Finding, OnDivergence, Reload};

/// Ids shown of each kind.
const IDS_MAX: usize = 3;

/// Returns the text, each line whole. `build` is how long the build took; none when nothing was built.
#[must_use]
pub fn reload(reload: &Reload, build: Option<Duration>, style: Style) -> String {
    let mut text = String::new();
    let groups = groups(&reload.checked, reload.on_divergence);
    if !groups.is_empty() {
        text.push_str("\n  instances in flight that the new code changes:\n");
        let rows: Vec<_> = groups
            .iter()
            .map(|group| {
                [
                    group.workflow.to_owned(),
                    group.ids.len().to_string(),
                    format!("{} ({})", group.what, ids(&group.ids)),
                ]
            })
            .collect();
        for row in table(&rows) {
            text.push_str(&format!("  {row}\n"));
        }
        if reload.on_divergence == OnDivergence::Pause && reload.checked.iter().any(|checked| !checked.finding.fits()) {
            let hint = "what is paused goes on with the next code that fits it, or when it is resumed; \
                        `--on-divergence restart|continue` does something else";
            text.push_str(&format!("  {} {hint}\n", style.bold("hint:")));
        }
        text.push('\n');
    }
    let build = build.map(|took| format!("build {}, ", long(took))).unwrap_or_default();
    text.push_str(&format!(
        "{} {} in {} ({build}check {}: {})\n",
        style.word("32", "reloaded"),
        reload.worker,
        short(reload.took),
        short(reload.check_took),
        counts(reload)
    ));
    text
}

/// Returns, for programs, the instances of which something is to be said: what, how many, and the first ids.
#[must_use]
pub fn changed(reload: &Reload) -> Vec<Value> {
    let groups = groups(&reload.checked, reload.on_divergence);
    let value = |Group { workflow, what, ids }: &Group<'_>| {
        let first: Vec<_> = ids.iter().take(IDS_MAX).collect();
        json!({ "workflow": workflow, "what": what, "count": ids.len(), "ids": first })
    };
    groups.iter().map(value).collect()
}

/// Instances of which the same is to be said.
struct Group<'a> {
    workflow: &'a str,
    what: String,
    ids: Vec<&'a str>,
}

fn groups(checked: &[Checked], on_divergence: OnDivergence) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for instance in checked {
        let Some(what) = sentence(&instance.finding, on_divergence) else { continue };
        match groups.iter_mut().find(|group| group.workflow == instance.workflow && group.what == what) {
            Some(group) => group.ids.push(&instance.id),
            None => groups.push(Group { workflow: &instance.workflow, what, ids: vec![&instance.id] }),
        }
    }
    groups
}

/// What is to be said of an instance; nothing of one that simply goes on.
fn sentence(finding: &Finding, on_divergence: OnDivergence) -> Option<String> {
    let found = match finding {
        Finding::Tried(Fit::Compatible { unasked }) if unasked.is_empty() => return None,
        Finding::Tried(Fit::Compatible { unasked }) => {
            return Some(format!("go on, though the code does not ask for {} any more", steps(unasked)));
        }
        Finding::Tried(Fit::Blocked { by }) => return Some(format!("not checked to the end: the code {by}")),
        Finding::NoClass(class) => return Some(format!("kept until there is a class `{class}` again")),
        Finding::Gone => return Some("kept until the workflow is there again".to_owned()),
        Finding::Tried(Fit::Again { steps: again }) => format!("would run again: {}", steps(again)),
        Finding::Tried(Fit::Diverges { at, recorded, asked }) => {
            let asks = asked.as_ref().map_or_else(|| "ends".to_owned(), |asked| format!("asks for {}", step(asked)));
            format!("diverges at step {at}: recorded {}, the code {asks}", step(recorded))
        }
        Finding::Tried(Fit::Fails { message }) => {
            format!("fails on what is recorded: {}", message.lines().next().unwrap_or_default())
        }
        Finding::TooLong => "not checked: the code computes for too long".to_owned(),
    };
    let done = match on_divergence {
        OnDivergence::Pause => "paused",
        OnDivergence::Restart => "restarted",
        OnDivergence::Continue => "goes on",
    };
    Some(format!("{found}: {done}"))
}

pub(super) fn step(key: &StepKey) -> String {
    let kind = match key.kind {
        StepKind::Do => "do",
        StepKind::Sleep => "sleep",
        StepKind::Wait => "waitForEvent",
        StepKind::Rollback => "rollback",
    };
    let count = if key.count == 1 { String::new() } else { format!(" #{}", key.count) };
    format!("{kind} `{}`{count}", key.name)
}

fn steps(keys: &[StepKey]) -> String {
    let shown: Vec<_> = keys.iter().take(IDS_MAX).map(step).collect();
    and_more(&shown, keys.len())
}

fn ids(ids: &[&str]) -> String {
    let shown: Vec<_> = ids.iter().take(IDS_MAX).map(|id| (*id).to_owned()).collect();
    and_more(&shown, ids.len())
}

fn and_more(shown: &[String], all: usize) -> String {
    let more = all - shown.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", shown.join(", "))
}

fn counts(reload: &Reload) -> String {
    let fits = reload.checked.iter().filter(|checked| checked.finding.fits()).count();
    let done = match reload.on_divergence {
        OnDivergence::Pause => "paused",
        OnDivergence::Restart => "restarted",
        OnDivergence::Continue => "going on though they diverge",
    };
    let kept = |checked: &&Checked| matches!(checked.finding, Finding::NoClass(_) | Finding::Gone);
    let kept = reload.checked.iter().filter(kept).count();
    let parts = [
        (fits - kept, "compatible"),
        (kept, "kept"),
        (reload.checked.len() - fits, done),
        (reload.resumed, "resumed"),
        (reload.runs.finishing, "finishing a step on the old code"),
        (reload.runs.picked_up, "picked up again"),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { "no instances in flight".to_owned() } else { parts.join(", ") }
}

/// Returns the line that says that a check goes on, which has looked at so many instances.
#[must_use]
pub fn checking(worker: &str, done: usize, style: Style) -> String {
    let word = style.word("36", "checking");
    format!("{word} {worker}: {done} instances in flight looked at so far; the version before is served meanwhile\n")
}

/// Returns the line that says that a Worker is served as before, although something has changed.
#[must_use]
pub fn kept(worker: &str, why: &str, style: Style) -> String {
    format!("{} {worker}: {why}; what was there before is served\n", style.word("33", "kept"))
}

/// Returns the line that says that there is nothing new; `build` is how long it took to find out, if something was built.
#[must_use]
pub fn unchanged(worker: &str, build: Option<Duration>, style: Style) -> String {
    let why = match build {
        Some(took) => format!("the build ({}) made what is served already", long(took)),
        None => "what is there is served already".to_owned(),
    };
    format!("{} {worker}: {why}\n", style.word("32", "unchanged"))
}

fn short(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn long(time: Duration) -> String {
    if time < Duration::from_secs(1) { short(time) } else { format!("{:.1} s", time.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use miniflow_runtime::InstanceStatus;
    use miniflow_runtime::dispatcher::Reloaded;

    use super::*;
    use crate::config::Problems;

    fn of_do(name: &str, count: u32) -> StepKey {
        StepKey::new(StepKind::Do, name, count)
    }

    fn done(found: Vec<(&str, usize, Finding)>, on_divergence: OnDivergence) -> Reload {
        let checked = found.into_iter().flat_map(|(workflow, count, finding)| {
            (1..=count).map(move |number| Checked {
                workflow: workflow.to_owned(),
                id: format!("{workflow}-{number}"),
                status: InstanceStatus::Waiting,
                finding: finding.clone(),
            })
        });
        Reload {
            worker: "shop".to_owned(),
            checked: checked.collect(),
            on_divergence,
            resumed: 0,
            runs: Reloaded::default(),
            check_took: Duration::from_millis(12),
            took: Duration::from_millis(92),
            warnings: Problems::default(),
        }
    }

    fn compatible() -> Finding {
        Finding::Tried(Fit::Compatible { unasked: vec![] })
    }

    #[test]
    fn a_reload_that_changes_nothing_for_instances_is_one_line() {
        let built = Some(Duration::from_millis(1234));
        let text = reload(&done(vec![("orders", 12, compatible())], OnDivergence::Pause), built, Style::Plain);
        insta::assert_snapshot!(text, @"reloaded shop in 92 ms (build 1.2 s, check 12 ms: 12 compatible)");
        let text = reload(&done(vec![], OnDivergence::Pause), None, Style::Plain);
        insta::assert_snapshot!(text, @"reloaded shop in 92 ms (check 12 ms: no instances in flight)");
    }

    #[test]
    fn instances_that_do_not_simply_go_on_are_grouped_by_what_becomes_of_them() {
        let found = || {
            let asked = Some(of_do("charge-card", 1));
            vec![
                ("orders", 3, compatible()),
                ("orders", 5, Finding::Tried(Fit::Diverges { at: 2, recorded: of_do("charge", 1), asked })),
                (
                    "orders",
                    1,
                    Finding::Tried(Fit::Diverges {
                        at: 3,
                        recorded: StepKey::new(StepKind::Wait, "approval", 1),
                        asked: None,
                    }),
                ),
                ("batch", 2, Finding::Tried(Fit::Again { steps: vec![of_do("item", 4), of_do("item", 5)] })),
                ("batch", 1, Finding::Tried(Fit::Compatible { unasked: vec![of_do("log", 1)] })),
                ("batch", 1, Finding::Tried(Fit::Fails { message: "Error: no field `total`\nmore".to_owned() })),
                ("batch", 1, Finding::Tried(Fit::Blocked { by: "sends a request outside of a step" })),
                ("batch", 1, Finding::TooLong),
                ("old", 2, Finding::NoClass("Old".to_owned())),
                ("older", 1, Finding::Gone),
            ]
        };
        let text = reload(&done(found(), OnDivergence::Pause), None, Style::Plain);
        insta::assert_snapshot!(text, @"

          instances in flight that the new code changes:
          orders  5  diverges at step 2: recorded do `charge`, the code asks for do `charge-card`: paused (orders-1, orders-2, orders-3 and 2 more)
          orders  1  diverges at step 3: recorded waitForEvent `approval`, the code ends: paused (orders-1)
          batch   2  would run again: do `item` #4, do `item` #5: paused (batch-1, batch-2)
          batch   1  go on, though the code does not ask for do `log` any more (batch-1)
          batch   1  fails on what is recorded: Error: no field `total`: paused (batch-1)
          batch   1  not checked to the end: the code sends a request outside of a step (batch-1)
          batch   1  not checked: the code computes for too long: paused (batch-1)
          old     2  kept until there is a class `Old` again (old-1, old-2)
          older   1  kept until the workflow is there again (older-1)
          hint: what is paused goes on with the next code that fits it, or when it is resumed; `--on-divergence restart|continue` does something else

        reloaded shop in 92 ms (check 12 ms: 5 compatible, 3 kept, 10 paused)
        ");
        let text = reload(&done(found(), OnDivergence::Continue), None, Style::Plain);
        assert!(text.contains("asks for do `charge-card`: goes on"), "{text}");
        assert!(!text.contains("hint:"), "{text}");
    }
}
