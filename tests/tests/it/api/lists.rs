//! Lists of instances.

use miniflow_tests::{Api, Server};
use serde_json::{Value, json};

use super::behaviours;

fn ids(instances: &Value) -> Vec<&str> {
    instances.as_array().unwrap().iter().filter_map(|instance| instance["id"].as_str()).collect()
}

/// Instances `i0` to `i6` of `one-step`, in this order, all of them complete.
fn seven(server: &Server) -> Api {
    let v4 = server.v4();
    for k in 0..7 {
        let path = v4.create("one-step", &format!("i{k}"), json!({}));
        v4.wait_for(&path, "complete");
    }
    v4
}

// rules: R5
#[test]
fn instances_are_listed_newest_first_by_page() {
    let server = behaviours();
    let v4 = seven(&server);
    let page = |n: u32| v4.get(&format!("one-step/instances?page={n}&per_page=3")).expect(200).json();
    let pages: Vec<_> = (1..=4).map(page).collect();
    let seen: Vec<_> = pages.iter().map(|page| ids(&page["result"])).collect();
    assert_eq!(seen, [vec!["i6", "i5", "i4"], vec!["i3", "i2", "i1"], vec!["i0"], vec![]]);
    let info = &pages[1]["result_info"];
    for (field, value) in [("page", 2), ("per_page", 3), ("count", 3), ("total_count", 7), ("total_pages", 3)] {
        assert_eq!(info[field], value, "{field}");
    }
    let first = &pages[0]["result"][0];
    for field in ["created_on", "modified_on", "started_on", "ended_on"] {
        assert!(first[field].as_str().is_some_and(|at| at.ends_with('Z')), "{field} of {first}");
    }
    for (field, value) in [("status", "complete"), ("trigger_source", "api")] {
        assert_eq!(first[field], value);
    }
    assert_eq!(first["workflow_id"], v4.result("one-step")["id"]);
}

// rules: R5
#[test]
fn instances_are_listed_by_cursor_in_both_directions_also_while_new_ones_come() {
    let server = behaviours();
    let v4 = seven(&server);
    for (direction, expected) in [("desc", [6, 5, 4, 3, 2, 1, 0]), ("asc", [0, 1, 2, 3, 4, 5, 6])] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for round in 0.. {
            let query = format!("one-step/instances?per_page=2&direction={direction}{cursor}");
            let answer = v4.get(&query).expect(200).json();
            seen.extend(ids(&answer["result"]).into_iter().map(str::to_owned));
            let info = &answer["result_info"];
            let Some(next) = info["cursor"].as_str() else {
                assert_eq!(round, 3, "seven by two are four pages");
                break;
            };
            cursor = format!("&cursor={next}");
            if direction == "desc" {
                v4.create("one-step", &format!("new-{round}"), json!({}));
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|k| format!("i{k}")).collect();
        seen.retain(|id| id.starts_with('i'));
        assert_eq!(seen, expected);
        // For the other direction as before.
        let new: Vec<_> = (0..4).map(|round| format!("new-{round}")).collect();
        let _ = v4.post("one-step/instances/batch/delete", json!({ "instances": new })).result();
    }
    let message = "cursor: not a cursor of this API";
    v4.get("one-step/instances?cursor=x").refused(400, 10002, message);
    let both = v4.get("one-step/instances?cursor=0.1&page=1");
    both.refused(400, 10002, "cursor: it and `page` exclude each other");
}

// rules: R5
#[test]
fn a_list_is_narrowed_by_status_and_dates() {
    let server = behaviours();
    let v4 = seven(&server);
    let failed = v4.create("fails-outside-step", "bad", json!({}));
    let all = v4.result("one-step/instances");
    let at = |k: usize| all[k]["created_on"].as_str().unwrap().to_owned();
    let list = |query: &str| v4.get(&format!("one-step/instances?{query}")).expect(200).json();
    assert_eq!(list("status=complete")["result_info"]["total_count"], 7);
    assert_eq!(list("status=running")["result"], json!([]));
    let some = list(&format!("date_start={}&date_end={}", at(4), at(2)));
    assert_eq!(ids(&some["result"]), ["i4", "i3", "i2"]);
    assert_eq!(some["result_info"]["total_count"], 3);
    assert_eq!(ids(&list("date_end=2020-01-01")["result"]), Vec::<&str>::new());
    v4.wait_for(&failed, "errored");
    assert_eq!(ids(&v4.result("fails-outside-step/instances?status=errored")), ["bad"]);

    let dates = v4.get("one-step/instances?date_start=2026-01-02&date_end=2026-01-01");
    dates.refused(400, 10002, "'date_start' must not be after 'date_end'.");
    let status = v4.get("one-step/instances?status=asleep").expect(400).json();
    assert_eq!(status["errors"][0]["code"], 10002);
    v4.get("nothing/instances").refused(404, 10200, "workflows.api.error.workflow.not_found");
}

#[test]
fn a_list_in_memory_is_like_one_on_disk() {
    let server = miniflow_tests::Dev::guest("behaviours").args(["--ephemeral"]).start();
    let v4 = seven(&server);
    assert_eq!(ids(&v4.result("one-step/instances?per_page=2&page=2")), ["i4", "i3"]);
    assert_eq!(v4.result("one-step/instances/i3")["output"], json!({ "count": 1 }));
}

#[test]
fn a_slash_at_the_end_is_no_id() {
    let server = behaviours();
    let v4 = seven(&server);
    assert_eq!(ids(&v4.result("one-step/instances/")).len(), 7);
}
