//! Ten thousand instances at a time.

use miniflow_tests::Dev;
use serde_json::json;

/// How many.
const CROWD: usize = 10_000;

// rules: C4.3-2
#[test]
fn ten_thousand_children_wait_and_each_gets_its_own_event() {
    let server = Dev::guest("behaviours").start();
    let started = server.workflow("FAN_OUT").create("a", json!({ "n": CROWD })).output();
    assert_eq!(started, json!({ "started": CROWD }));
    let children: Vec<_> = (0..CROWD).map(|i| server.workflow("EVENT_WAITER").instance(&format!("a-{i}"))).collect();
    for (i, child) in children.iter().enumerate() {
        child.send_event("go", json!(i));
    }
    for (i, child) in children.iter().enumerate() {
        assert_eq!(child.output()["payload"], i);
    }
}
