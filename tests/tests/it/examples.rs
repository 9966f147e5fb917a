//! Every example, built and asked what its README asks it.

use miniflow_tests::{Dev, Patience, Reply, Server, Sink};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use crate::readme;

#[test]
fn hello_does_what_its_readme_says() {
    readme::follow("hello");
}

// rules: S3, S9, S18, S19, S21, C2.1-3, C2.2-1, C2.2-2, C4.4-1, A137, B15
#[test]
fn trigger_from_fetch_does_what_its_readme_says() {
    readme::follow("trigger-from-fetch");
}

// rules: C4.3-5, C4.5-3, A19, B15
#[test]
fn order_pipeline_does_what_its_readme_says() {
    let server = readme::follow("order-pipeline");
    // "The console shows two charges fail and the third succeed".
    for attempt in 1..=3 {
        server.wait_for_line(&format!("charging order-1 (attempt {attempt})"));
    }
    assert_eq!(server.lines_with("charging order-1 ").len(), 3);
    assert_eq!(server.lines_with("the payment service answered 503").len(), 2);
}

// rules: S7
#[test]
fn from_durable_object_does_what_its_readme_says() {
    let server = readme::follow("from-durable-object");
    server.wait_for_line("decided with 3 votes");
    // Who made the instance is told as for any other code.
    assert_eq!(instances(&server, "decisions"), [("complete".to_owned(), "binding".to_owned())]);
}

// rules: S4
#[test]
fn from_queue_does_what_its_readme_says() {
    let server = readme::follow("from-queue");
    server.wait_for_line("lamp is ordered already");
    assert_eq!(server.lines_with("packing lamp").len(), 1);
    let made = instances(&server, "fulfilment");
    assert_eq!(made, vec![("complete".to_owned(), "binding".to_owned()); 2]);
}

// rules: S5, S12
#[test]
fn from_schedule_does_what_its_readme_says() {
    let server = readme::follow("from-schedule");
    let made = instances(&server, "report");
    // Of each hour of the 25 that have passed, and of one more when the test ran across a full hour.
    assert!((25..=26).contains(&made.len()), "{made:?}");
    assert!(made.iter().all(|(_, source)| source == "cron"), "{made:?}");
}

// rules: S6
#[test]
fn from_cron_does_what_its_readme_says() {
    let server = readme::follow("from-cron");
    server.wait_for_line("large-1782777600000 was started before");
    let made = instances(&server, "clean-up");
    // 96 quarters and a midnight have passed, and one midnight was asked for; more when the test ran across a quarter.
    assert!((98..=100).contains(&made.len()), "{}", made.len());
    assert!(made.iter().all(|(_, source)| source == "binding"), "{made:?}");
}

// rules: S32, S33, S35, S36, S37
#[test]
fn parent_child_does_what_its_readme_says() {
    let server = readme::follow("parent-child");
    server.wait_for_line("blog-slow is late");
    server.wait_for_line("slow: nobody waits for it: (instance.cannot_send_event)");
    let made = |workflow: &str, status: &str| {
        let made = instances(&server, workflow);
        assert!(made.iter().all(|(_, source)| source == "binding"), "{made:?}");
        made.iter().filter(|(found, _)| found == status).count()
    };
    assert_eq!((made("audits", "complete"), made("pages", "complete"), made("pages", "errored")), (2, 4, 1));
}

/// Status and trigger source of each instance of a workflow.
#[track_caller]
fn instances(server: &Server, workflow: &str) -> Vec<(String, String)> {
    let path = format!("/cdn-cgi/local/explorer/api/workflows/{workflow}/instances");
    let list = server.get(&format!("{path}?per_page=100")).expect(200).json();
    let ids = list["result"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
    ids.map(|id| {
        let id: String = byte_serialize(id.as_bytes()).collect();
        let details = server.get(&format!("{path}/{}", id.replace('+', "%20"))).expect(200).json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&details["result"]["status"]), text(&details["result"]["trigger"]["source"]))
    })
    .collect()
}

#[test]
fn trigger_from_fetch_has_two_steps_and_a_second_between_them() {
    let server = Dev::example("trigger-from-fetch").start();
    let created = server.get("/").json();
    let id = created["id"].as_str().unwrap();
    let ended = complete(&server, &format!("/?instanceId={id}"), |answer| &answer["status"]);
    let output = ended["output"].as_str().unwrap();
    assert!(output.starts_with(&format!("{id}: 4200 cents since 20")), "{output}");
}

// rules: C2.1-1, A139
#[test]
fn an_unknown_instance_of_trigger_from_fetch_is_an_error_with_its_reason() {
    let server = Dev::example("trigger-from-fetch").start();
    let answer = server.get("/?instanceId=nobody").expect(500);
    assert!(answer.text().contains("(instance.not_found) Instance not found"), "{}", answer.text());
    assert_eq!(server.get("/elsewhere").expect(404).text(), "Not Found");
}

// rules: C4.5-3, A18
#[test]
fn an_order_charges_where_the_configuration_says_and_gives_its_id_as_key() {
    let bank = Sink::answering(|seen| {
        let charge: Value = serde_json::from_slice(&seen.body).unwrap();
        Reply::Answer(200, json!({ "receipt": format!("paid-{}", charge["order"].as_str().unwrap()) }).to_string())
    });
    let server = orders_charged_at(bank.url()).start();
    place(&server, "order-7", 4200).expect(201);
    let approved = server.post("/orders/order-7/approve", json!({ "by": "Ada" })).expect(200).json();
    assert_eq!(approved, json!({ "ok": true }));

    let ended = complete(&server, "/orders/order-7", |status| status);
    assert_eq!(ended["output"], json!({ "outcome": "shipped", "receipt": "paid-order-7", "approved_by": "Ada" }));
    let seen = bank.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].headers["idempotency-key"], "order-7");
    let charge: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(charge, json!({ "order": "order-7", "cents": 4200, "attempt": 1 }));
}

// rules: C2.5-34, C2.5-35, A64
#[test]
fn a_card_that_is_refused_is_charged_once_only() {
    let bank = Sink::answering(|_| Reply::Answer(402, "no money".to_owned()));
    let server = orders_charged_at(bank.url()).start();
    place(&server, "order-8", 4200).expect(201);
    let ended = eventually_over(&server, "/orders/order-8");
    assert_eq!(ended["error"], json!({ "name": "PaymentRefused", "message": "no money" }));
    assert_eq!(bank.seen().len(), 1);
}

// rules: C2.5-21, C4.2-2
#[test]
fn a_payment_service_that_stays_down_fails_the_order_after_six_attempts() {
    let bank = Sink::answering(|_| Reply::Answer(503, String::new()));
    let server = orders_charged_at(bank.url()).start();
    place(&server, "order-9", 4200).expect(201);
    let ended = eventually_over(&server, "/orders/order-9");
    assert_eq!(ended["error"], json!({ "name": "Error", "message": "the payment service answered 503" }));
    assert_eq!(bank.seen().len(), 6);
}

/// The example, with its payments at `url`.
pub(crate) fn orders_charged_at(url: &str) -> Dev {
    Dev::example("order-pipeline").config(json!({
        "name": "order-pipeline",
        "vars": { "PAYMENT_URL": url },
        "workflows": [{ "name": "order-workflow", "binding": "ORDERS", "class_name": "OrderWorkflow" }],
    }))
}

#[track_caller]
pub(crate) fn place(server: &Server, id: &str, cents: i64) -> miniflow_tests::Answer {
    server.post("/orders", json!({ "id": id, "item": "lamp", "cents": cents }))
}

#[track_caller]
fn complete(server: &Server, path: &str, status: impl Fn(&Value) -> &Value) -> Value {
    over(server, path, status, "complete")
}

#[track_caller]
fn eventually_over(server: &Server, path: &str) -> Value {
    over(server, path, |answer| answer, "errored")
}

#[track_caller]
fn over(server: &Server, path: &str, status: impl Fn(&Value) -> &Value, wanted: &str) -> Value {
    let patience = Patience::default();
    loop {
        let answer = server.get(path).json();
        let found = status(&answer);
        if found["status"] == "complete" || found["status"] == "errored" {
            assert_eq!(found["status"], wanted, "{found}");
            return found.clone();
        }
        assert!(patience.wait(), "{path}: {found}");
    }
}
