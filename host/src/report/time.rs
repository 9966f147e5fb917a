//! What a clock says, and what a move of it brought.

use serde_json::Value;

/// Lines for things that came due, at most: a month of a schedule has thousands.
const LINES_MAX: usize = 40;

/// Returns the text for an answer of the server about its clock.
#[must_use]
pub fn time(answer: &Value) -> String {
    let mut text = String::new();
    if answer["moved"].is_object() {
        let due = answer["moved"]["due"].as_array().map_or(&[][..], Vec::as_slice);
        for due in due.iter().take(LINES_MAX) {
            text.push_str(&format!("{}  {}\n", shown(&due["at"]), due["what"].as_str().unwrap_or_default()));
        }
        if due.len() > LINES_MAX {
            text.push_str(&format!("… and {} more\n", due.len() - LINES_MAX));
        }
        if due.is_empty() {
            text.push_str("nothing came due\n");
        }
    }
    let mode = answer["mode"].as_str().unwrap_or_default();
    let offset = match (answer["offsetMs"].as_u64().unwrap_or(0) + 500) / 1000 {
        0 => String::new(),
        seconds => format!(", {} ahead", super::units(seconds)),
    };
    text.push_str(&format!("now   {} ({mode}{offset})\n", shown(&answer["now"])));
    match &answer["next"] {
        Value::Null => text.push_str("next  nothing is to come\n"),
        next => text.push_str(&format!("next  {}\n", shown(next))),
    }
    text
}

fn shown(moment: &Value) -> &str {
    moment["iso"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn moment(iso: &str) -> Value {
        json!({ "ms": 0, "iso": iso })
    }

    #[test]
    fn a_move_lists_what_came_due() {
        let due = json!({ "at": moment("2026-11-26T00:00:00.000Z"), "what": "orders/a sleep night-1 is over" });
        let mut answer = json!({
            "now": moment("2026-11-27T00:00:00.000Z"),
            "mode": "real",
            "offsetMs": 180_000_000_u64,
            "next": null,
            "moved": { "due": [due] },
        });
        assert_eq!(
            time(&answer),
            "2026-11-26T00:00:00.000Z  orders/a sleep night-1 is over\n\
             now   2026-11-27T00:00:00.000Z (real, 2d 2h ahead)\n\
             next  nothing is to come\n"
        );
        answer["moved"]["due"] = json!(vec![due.clone(); LINES_MAX + 2]);
        assert!(time(&answer).contains("\n… and 2 more\nnow   "));
        answer["moved"]["due"] = json!([]);
        answer["next"] = moment("2026-11-28T00:00:00.000Z");
        assert!(time(&answer).starts_with("nothing came due\n"));
        assert!(time(&answer).ends_with("next  2026-11-28T00:00:00.000Z\n"));
    }
}
