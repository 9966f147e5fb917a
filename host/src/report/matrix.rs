//! What `miniflow test` has found.

use std::time::Duration;

use serde_json::{Value, json};

use super::Style;
use crate::verify::matrix::{Finding, Harm, Report};

/// Effects shown of one finding.
const EFFECTS_MAX: usize = 6;

/// Returns a block for each workflow, and a line that sums them up. `killed`: they were killed everywhere, and not only run.
#[must_use]
pub fn matrix(reports: &[Report], killed: bool, style: Style) -> String {
    let mut text = String::new();
    for report in reports {
        text.push_str(&block(report, killed, style));
    }
    text.push_str(&summary(reports, killed));
    text
}

fn block(report: &Report, killed: bool, style: Style) -> String {
    let (color, word) = match (report.findings.is_empty(), killed) {
        (false, _) => ("31", "unsafe"),
        (true, true) => ("32", "safe"),
        (true, false) if report.fails.is_some() => ("31", "failed"),
        (true, false) => ("32", "ran"),
    };
    let took = took(report.took);
    let what = match killed {
        true => format!("{}: {}, {}", counted(report.commits, "commit"), kills(report.kills, report.doubles), took),
        false => format!("{}, {took}", counted(report.commits, "commit")),
    };
    let mut text = format!("{} {}  {}\n", style.word(color, &format!("{word:7}")), report.workflow, style.dim(&what));
    let mut line = |indent: usize, line: &str| text.push_str(&format!("{:indent$}{line}\n", ""));
    for finding in &report.findings {
        line(8, &style.bold(&headline(finding)));
        for detail in details(finding) {
            line(10, &detail);
        }
    }
    if let Some(error) = &report.fails {
        let which = if killed { "undisturbed, it fails" } else { "it fails" };
        line(8, &format!("{} {which}: {}", style.word("33", "note:"), error.lines().next().unwrap_or_default()));
    }
    for event in &report.in_vain {
        let hint = format!("pass `--event {event}=JSON` to have it sent");
        line(8, &format!("{} an event `{event}` was waited for in vain; {hint}", style.word("33", "note:")));
    }
    for place in &report.places {
        line(8, &format!("{} {}", style.word("33", "warning:"), place.sentence()));
    }
    text
}

fn headline(finding: &Finding) -> String {
    let step = finding.step.as_deref();
    match (&finding.harm, step) {
        (Harm::Again { expected, found, .. }, step) => {
            let who = step
                .map_or_else(|| "what is done outside of steps is".to_owned(), |step| format!("the step {step} is"));
            format!("{who} not safe to repeat: it leaves {} instead of {expected}", counted(*found, "effect"))
        }
        (Harm::Kept { place, .. }, Some(step)) => {
            format!("the step {step} is not safe to repeat: {place} is another in the end")
        }
        (Harm::Kept { place, .. }, None) => format!("{place} is another in the end"),
        (Harm::Ends { instance, .. }, step) => {
            let which = instance.as_ref().map_or_else(|| "it".to_owned(), |instance| format!("`{instance}`"));
            format!("{which} ends in another way{}", suspect(step))
        }
        (Harm::Step { step: which, .. }, step) => format!("the step {which} comes to something else{}", suspect(step)),
        (Harm::Stuck { .. }, step) => format!("it does not come to its end any more{}", suspect(step)),
    }
}

fn suspect(step: Option<&str>) -> String {
    step.map(|step| format!(", because of the step {step}")).unwrap_or_default()
}

fn details(finding: &Finding) -> Vec<String> {
    let times = if finding.times == 1 { String::new() } else { format!(", and in {} runs in all", finding.times) };
    let mut lines = vec![format!("{}{times}", finding.when)];
    let beside = |expected: &str, found: &str| [format!("undisturbed: {expected}"), format!("killed:      {found}")];
    match &finding.harm {
        Harm::Again { effects, .. } => {
            lines.extend(effects.iter().take(EFFECTS_MAX).map(|effect| format!("  {effect}")));
            if effects.len() > EFFECTS_MAX {
                lines.push(format!("  and {} more", effects.len() - EFFECTS_MAX));
            }
        }
        Harm::Kept { expected, found, .. }
        | Harm::Ends { expected, found, .. }
        | Harm::Step { expected, found, .. } => {
            lines.extend(beside(expected, found));
        }
        Harm::Stuck { why } => lines.push(why.clone()),
    }
    lines.extend(hint(&finding.harm).map(|hint| format!("hint: {hint}")));
    lines
}

/// What to do about a harm.
fn hint(harm: &Harm) -> Option<&'static str> {
    match harm {
        Harm::Again { effects, .. } => {
            let begin = |with: &str| effects.iter().any(|effect| effect.starts_with(with));
            Some(if begin("instance ") {
                "give the instance an id made of this one's, and take `instance.already_exists` as done"
            } else if begin("message ") {
                "put something into the message by which its consumer knows it, and send it in a step of its own"
            } else {
                "send an `Idempotency-Key` that is the same whenever the step runs, such as the id of the instance"
            })
        }
        Harm::Kept { .. } => Some("write what is to be there in the end, not a change of what is there"),
        Harm::Ends { .. } | Harm::Step { .. } => {
            Some("what a step finds out must be in what it returns: nothing else outlives a restart")
        }
        Harm::Stuck { .. } => None,
    }
}

fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

fn kills(singles: usize, doubles: usize) -> String {
    format!("{} and {}", counted(singles, "kill"), counted(doubles, "double kill"))
}

fn took(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

fn summary(reports: &[Report], killed: bool) -> String {
    let all = counted(reports.len(), "workflow");
    let took = took(reports.iter().map(|report| report.took).sum());
    if !killed {
        let failed = reports.iter().filter(|report| report.fails.is_some()).count();
        let how = if failed == 0 { "none failed".to_owned() } else { format!("{failed} failed") };
        return format!("{all} run once in {took}: {how}\n");
    }
    let sum = |count: fn(&Report) -> usize| reports.iter().map(count).sum::<usize>();
    let kills = kills(sum(|report| report.kills), sum(|report| report.doubles));
    let mut steps: Vec<_> = reports.iter().flat_map(steps).collect();
    steps.dedup();
    match steps.as_slice() {
        [] => format!("safe: {all} came to the same after {kills} in {took}\n"),
        steps => format!("unsafe: {} ({all}, {kills} in {took})\n", steps.join(", ")),
    }
}

/// The steps of a workflow that are not safe to repeat.
fn steps(report: &Report) -> Vec<String> {
    let mut steps: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            let step = finding.step.as_deref().unwrap_or("outside of steps");
            format!("{} {step}", report.workflow)
        })
        .collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// Returns the same as JSON.
#[must_use]
pub fn matrix_json(reports: &[Report], killed: bool) -> String {
    let workflows: Vec<_> = reports.iter().map(value).collect();
    let is_safe = reports.iter().all(|report| report.findings.is_empty());
    let is_well = is_safe && (killed || reports.iter().all(|report| report.fails.is_none()));
    let summary = summary(reports, killed);
    format!("{:#}\n", json!({ "ok": is_well, "summary": summary.trim_end(), "workflows": workflows }))
}

fn value(report: &Report) -> Value {
    let place = |place: &crate::wasm::determinism::Place| json!({ "does": place.source.deed(), "workflow": place.workflow, "at": place.innermost(), "trace": place.trace });
    let places: Vec<_> = report.places.iter().map(place).collect();
    json!({
        "name": report.workflow,
        "commits": report.commits,
        "kills": report.kills,
        "doubleKills": report.doubles,
        "tookMs": u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        "error": report.fails,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "eventsInVain": report.in_vain,
        "undetermined": places,
    })
}

fn finding(finding: &Finding) -> Value {
    let mut value =
        json!({ "step": finding.step, "when": finding.when, "runs": finding.times, "hint": hint(&finding.harm) });
    let harm = match &finding.harm {
        Harm::Again { expected, found, effects } => {
            json!({ "harm": "moreEffects", "expected": expected, "found": found, "effects": effects })
        }
        Harm::Kept { place, expected, found } => {
            json!({ "harm": "otherState", "place": place, "expected": expected, "found": found })
        }
        Harm::Ends { instance, expected, found } => {
            json!({ "harm": "otherEnd", "instance": instance, "expected": expected, "found": found })
        }
        Harm::Step { step, expected, found } => {
            json!({ "harm": "otherResult", "of": step, "expected": expected, "found": found })
        }
        Harm::Stuck { why } => json!({ "harm": "stuck", "why": why }),
    };
    if let (Some(value), Value::Object(harm)) = (value.as_object_mut(), harm) {
        value.extend(harm);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::matrix::Kill;
    use crate::wasm::determinism::{Place, Source};

    fn report(workflow: &str, findings: Vec<Finding>) -> Report {
        Report {
            workflow: workflow.to_owned(),
            commits: 5,
            kills: 10,
            doubles: 20,
            findings,
            fails: None,
            in_vain: ["approval".to_owned()].into(),
            places: Vec::new(),
            took: Duration::from_millis(20),
        }
    }

    fn found(step: Option<&str>, harm: Harm) -> Finding {
        let when = "killed before the end of do `charge` was recorded (commit 3 of 5)".to_owned();
        Finding { step: step.map(ToOwned::to_owned), harm, kill: Kill::From(2), when, times: 4 }
    }

    #[test]
    fn a_step_that_is_not_safe_is_told_with_what_it_did_and_what_to_do() {
        let again = Harm::Again {
            expected: 1,
            found: 2,
            effects: vec!["POST http://bank/ {\"cents\":1}".to_owned(), "POST http://bank/ {\"cents\":1}".to_owned()],
        };
        let ends =
            Harm::Ends { instance: None, expected: "complete with 42".to_owned(), found: "complete with 0".to_owned() };
        let trace = Some("    at draw (src/lib.rs:3:5)".to_owned());
        let place = Place { worker: "w".to_owned(), workflow: "safe".to_owned(), source: Source::Random, trace };
        let reports = [
            Report { places: vec![place], ..report("safe", Vec::new()) },
            report("charges", vec![found(Some("do `charge`"), again), found(Some("do `note`"), ends)]),
        ];
        insta::assert_snapshot!(matrix(&reports, true, Style::Plain), @r#"
        safe    safe  5 commits: 10 kills and 20 double kills, 20 ms
                note: an event `approval` was waited for in vain; pass `--event approval=JSON` to have it sent
                warning: `run` draws a random number outside of a step, at draw (src/lib.rs:3:5): a replay draws another one; do it in a step
        unsafe  charges  5 commits: 10 kills and 20 double kills, 20 ms
                the step do `charge` is not safe to repeat: it leaves 2 effects instead of 1
                  killed before the end of do `charge` was recorded (commit 3 of 5), and in 4 runs in all
                    POST http://bank/ {"cents":1}
                    POST http://bank/ {"cents":1}
                  hint: send an `Idempotency-Key` that is the same whenever the step runs, such as the id of the instance
                it ends in another way, because of the step do `note`
                  killed before the end of do `charge` was recorded (commit 3 of 5), and in 4 runs in all
                  undisturbed: complete with 42
                  killed:      complete with 0
                  hint: what a step finds out must be in what it returns: nothing else outlives a restart
                note: an event `approval` was waited for in vain; pass `--event approval=JSON` to have it sent
        unsafe: charges do `charge`, charges do `note` (2 workflows, 20 kills and 40 double kills in 40 ms)
        "#);
        let json: Value = serde_json::from_str(&matrix_json(&reports, true)).unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(json["workflows"][1]["findings"][0]["harm"], "moreEffects");
        assert_eq!(json["workflows"][0]["undetermined"][0]["at"], "draw (src/lib.rs:3:5)");
    }

    #[test]
    fn the_last_line_sums_up() {
        let last =
            |reports: &[Report], killed| matrix(reports, killed, Style::Plain).lines().last().unwrap().to_owned();
        let safe = [report("a", Vec::new()), report("b", Vec::new())];
        assert_eq!(last(&safe, true), "safe: 2 workflows came to the same after 20 kills and 40 double kills in 40 ms");
        assert_eq!(last(&safe, false), "2 workflows run once in 40 ms: none failed");
        let failed = [Report { fails: Some("Error: x".to_owned()), ..report("a", Vec::new()) }];
        assert_eq!(last(&failed, false), "1 workflow run once in 20 ms: 1 failed");
        let stuck = [report("a", vec![found(None, Harm::Stuck { why: "it waits".to_owned() })])];
        assert_eq!(
            last(&stuck, true),
            "unsafe: a outside of steps (1 workflow, 10 kills and 20 double kills in 20 ms)"
        );
    }
}
