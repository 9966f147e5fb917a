//! What fires by itself, and what came of it.

use miniflow_runtime::Timestamp;
use miniflow_runtime::cron::Utc;
use serde_json::Value;

/// Lines for outcomes, at most; the answer has more.
const OUTCOMES_MAX: usize = 10;

/// Returns the text for the list of a server.
#[must_use]
pub fn crons(answer: &Value) -> String {
    let list = |key: &str| answer[key].as_array().map_or(&[][..], Vec::as_slice);
    let (crons, outcomes) = (list("crons"), list("outcomes"));
    let mut text = format!("now   {}\n", Utc::of(at(&answer["now"])));
    if answer["fires"] == false {
        text.push_str("      nothing fires by itself: the server was started with `--no-cron`\n");
    }
    if crons.is_empty() {
        text.push_str("\nno schedules and no cron triggers\n");
    }
    for cron in crons {
        text.push_str(&format!("\n{}  {}\n", word(&cron["cron"]), whose(cron)));
        text.push_str(&format!("  next  {}\n", times(cron["next"].as_array().map_or(&[][..], Vec::as_slice))));
        if !cron["last"].is_null() {
            text.push_str(&format!("  last  {}\n", of_expression(&cron["last"])));
        }
    }
    if !outcomes.is_empty() {
        text.push_str("\nlast outcomes, newest first\n");
    }
    for outcome in outcomes.iter().take(OUTCOMES_MAX) {
        text.push_str(&format!("  {}  {}\n", word(&outcome["cron"]), of_anyone(outcome)));
    }
    if outcomes.len() > OUTCOMES_MAX {
        text.push_str(&format!("  … and {} more with `--json`\n", outcomes.len() - OUTCOMES_MAX));
    }
    text
}

/// Returns the text for an expression that was fired.
#[must_use]
pub fn fired(outcome: &Value) -> String {
    format!("{}  {}\n", word(&outcome["cron"]), of_anyone(outcome))
}

fn of_anyone(outcome: &Value) -> String {
    format!("{}  {}", whose(outcome), of_expression(outcome))
}

fn of_expression(outcome: &Value) -> String {
    let hand = if outcome["byHand"] == true { ", by hand" } else { "" };
    format!("{}  {}{hand}", Utc::of(at(&outcome["time"])), came(outcome))
}

fn came(outcome: &Value) -> String {
    let id = word(&outcome["instance"]);
    let took = outcome["tookMs"].as_u64().unwrap_or_default();
    match word(&outcome["outcome"]) {
        "created" => format!("made instance `{id}`"),
        "existed" => format!("instance `{id}` was there already"),
        "exception" => format!("failed after {took} ms: {}", word(&outcome["error"])),
        other => format!("{other} ({took} ms)"),
    }
}

fn whose(of: &Value) -> String {
    match of["workflow"].as_str() {
        Some(workflow) => format!("workflow {workflow}"),
        None => format!("handler of {}", word(&of["worker"])),
    }
}

/// Moments, each without the day that it shares with the one before it.
fn times(moments: &[Value]) -> String {
    if moments.is_empty() {
        return "never".to_owned();
    }
    let mut day = None;
    let mut shown = Vec::new();
    for moment in moments {
        let Utc { year, month, day: of_month, hour, minute, .. } = Utc::of(at(moment));
        let is_same_day = day.replace((year, month, of_month)) == Some((year, month, of_month));
        let date = if is_same_day { String::new() } else { format!("{year:04}-{month:02}-{of_month:02} ") };
        shown.push(format!("{date}{hour:02}:{minute:02}"));
    }
    format!("{} UTC", shown.join(", "))
}

fn at(moment: &Value) -> Timestamp {
    Timestamp(moment["ms"].as_u64().unwrap_or_default())
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Minutes after the 31st of December 2026, 23:00.
    fn moment(minutes: u64) -> Value {
        json!({ "ms": 1_798_758_000_000 + minutes * 60_000, "iso": "" })
    }

    fn made(minutes: u64) -> Value {
        json!({
            "workflow": "report", "cron": "*/30 * * * *", "time": moment(minutes), "byHand": false, "outcome": "created",
            "instance": "*/30 * * * *-1",
        })
    }

    #[test]
    fn each_expression_has_its_next_times_and_what_came_of_it_last() {
        let failed = json!({
            "worker": "shop", "cron": "0 0 1 1 *", "time": moment(10), "byHand": true, "outcome": "exception",
            "error": "Error: no", "tookMs": 12,
        });
        let next: Vec<_> = [30, 60, 90, 1500].map(moment).into();
        let answer = json!({
            "now": moment(11),
            "fires": true,
            "crons": [
                { "workflow": "report", "cron": "*/30 * * * *", "next": next, "last": made(0) },
                { "worker": "shop", "cron": "0 0 1 1 *", "next": [moment(60)], "last": failed },
                { "worker": "shop", "cron": "0 0 31 11 *", "next": [], "last": null },
            ],
            "outcomes": [failed, made(0)],
        });
        insta::assert_snapshot!(crons(&answer), @"
        now   2026-12-31 23:11:00 UTC

        */30 * * * *  workflow report
          next  2026-12-31 23:30, 2027-01-01 00:00, 00:30, 2027-01-02 00:00 UTC
          last  2026-12-31 23:00:00 UTC  made instance `*/30 * * * *-1`

        0 0 1 1 *  handler of shop
          next  2027-01-01 00:00 UTC
          last  2026-12-31 23:10:00 UTC  failed after 12 ms: Error: no, by hand

        0 0 31 11 *  handler of shop
          next  never

        last outcomes, newest first
          0 0 1 1 *  handler of shop  2026-12-31 23:10:00 UTC  failed after 12 ms: Error: no, by hand
          */30 * * * *  workflow report  2026-12-31 23:00:00 UTC  made instance `*/30 * * * *-1`
        ");
    }

    #[test]
    fn long_lists_are_cut_and_empty_ones_said_to_be() {
        let many: Vec<_> = (0..12).map(made).collect();
        let text = crons(&json!({ "now": moment(0), "fires": true, "crons": [], "outcomes": many }));
        assert_eq!(text.lines().filter(|line| line.contains("made instance")).count(), OUTCOMES_MAX);
        assert!(text.ends_with("  … and 2 more with `--json`\n"), "{text}");
        let text = crons(&json!({ "now": moment(0), "fires": false, "crons": [], "outcomes": [] }));
        insta::assert_snapshot!(text, @"
        now   2026-12-31 23:00:00 UTC
              nothing fires by itself: the server was started with `--no-cron`

        no schedules and no cron triggers
        ");
    }

    #[test]
    fn what_was_fired_is_one_line() {
        let ended = json!({
            "worker": "shop", "cron": "0 0 * * *", "time": moment(60), "byHand": true, "outcome": "ok", "error": null,
            "tookMs": 3,
        });
        assert_eq!(fired(&ended), "0 0 * * *  handler of shop  2027-01-01 00:00:00 UTC  ok (3 ms), by hand\n");
    }
}
