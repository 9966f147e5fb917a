//! Workers of one session, side by side: each reaches what its own configuration binds, and nothing of another by guessing a name.

use http::Request;
use http_body_util::{BodyExt as _, Empty};
use miniflow_tests::{Answer, Dev, Server};
use serde_json::{Value, json};

/// The error of a request that a guest could not do.
#[track_caller]
fn error(server: &Server, path: &str, body: Value) -> String {
    let answer = server.post(path, body);
    assert!(answer.status.is_client_error() || answer.status.is_server_error(), "{}", answer.text());
    answer.json()["error"].as_str().unwrap().to_owned()
}

/// A request from outside with the header by which guests reach each other.
fn get_with(server: &Server, path: &str, route: &str) -> Answer {
    let request = Request::builder().header("miniflow-route", route).body(Empty::new().boxed()).unwrap();
    server.client().request(path, request).unwrap()
}

/// A header that leads to an object, as the host makes it.
fn object_route(binding: &str, id: &str) -> String {
    format!("object%20{binding}%20{id}")
}

#[test]
fn anothers_queue_is_not_reached_by_its_name_nor_by_its_binding() {
    let worker = |name: &str, binding: &str, queue: &str| {
        let queues = json!({ "producers": [{ "binding": binding, "queue": queue }] });
        Dev::guest("queues").config(json!({ "name": name, "queues": queues }))
    };
    let server = worker("shop", "MAIL", "mail").beside(worker("bank", "LEDGER", "ledger")).start();
    for guess in ["LEDGER", "ledger", "bank", "bank.LEDGER", "mail", ""] {
        for (path, body) in [("/send", json!({ "messages": [1] })), ("/send", json!({ "messages": [1, 2] }))] {
            let refused = error(&server, &format!("{path}?to={guess}"), body);
            assert_eq!(refused, format!("no queue `{guess}` is bound: there is `MAIL`"));
        }
        let refused = error(&server, &format!("/metrics?to={guess}"), json!({}));
        assert_eq!(refused, format!("no queue `{guess}` is bound: there is `MAIL`"));
    }
}

/// The guest `objects` with a class of its own, and what `more` says.
fn with_objects(name: &str, binding: &str, more: &Value) -> Dev {
    let mut config = json!({
        "name": name,
        "vars": { "NAME": name },
        "durable_objects": { "bindings": [{ "name": binding, "class_name": "Keeper" }] },
        "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Keeper"] }],
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    Dev::guest("objects").config(config)
}

#[test]
fn anothers_object_is_not_reached_by_its_binding_its_id_or_a_forged_header() {
    let services = json!({ "services": [{ "binding": "BANK", "service": "bank" }] });
    let server = with_objects("shop", "ROOM", &services).beside(with_objects("bank", "VAULT", &json!({}))).start();
    let increment = json!([{ "op": "increment", "key": "n" }]);
    // Its id, as the other Worker tells it, and an object that is there.
    let id = server.get("/service/BANK/ids/VAULT?name=a").expect(200).json()["named"].as_str().unwrap().to_owned();
    let kept = || server.post("/service/BANK/run/VAULT/a", increment.clone()).expect(200).json();
    assert_eq!(kept(), json!([1]));

    for guess in ["VAULT", "Keeper", "bank", "bank.VAULT"] {
        let refused = error(&server, &format!("/run/{guess}/a"), increment.clone());
        assert_eq!(refused, format!("no durable object `{guess}` is bound: there is `ROOM`"));
    }
    let foreign = "Durable Object ID is not valid for this namespace.";
    assert_eq!(error(&server, &format!("/run-id/ROOM/{id}"), increment.clone()), foreign);
    // What the SDK does not let through, written by hand.
    for (route, why) in [
        (object_route("ROOM", &id), foreign),
        (object_route("VAULT", &id), "there is no binding `VAULT`"),
        (object_route("BANK", &id), "binding `BANK` is a service"),
        ("service%20VAULT".to_owned(), "there is no binding `VAULT`"),
        ("service%20bank".to_owned(), "there is no binding `bank`"),
        ("service%20ROOM".to_owned(), "binding `ROOM` is a durable object"),
        ("nonsense".to_owned(), "there is no binding ``"),
        (String::new(), "there is no binding ``"),
    ] {
        let path = format!("/forged?route={route}&url=http://inside.test/whoami");
        let refused = server.get(&path).expect(500).json()["error"].as_str().unwrap().to_owned();
        assert!(refused.contains(why), "{route}: {refused}");
    }
    // Its own bindings are what it may name, in this way too.
    let own = server.get("/forged?route=service%20BANK&url=http://inside.test/whoami").expect(200).json();
    assert_eq!(own["status"], 200);
    // From outside such a header is nothing.
    for route in [format!("object ROOM {id}"), "service BANK".to_owned()] {
        let answer = get_with(&server, "/whoami", &route).expect(200).json();
        assert_eq!((&answer["worker"], &answer["route"]), (&json!("shop"), &Value::Null));
    }
    assert_eq!(kept(), json!([2]), "nobody else was there");
}

#[test]
fn anothers_variables_secrets_and_services_are_not_reached_and_neither_is_the_machines_environment() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets.env");
    std::fs::write(&secrets, "KEY=hidden\n").unwrap();
    let services = json!({ "vars": { "NAME": "shop" }, "services": [{ "binding": "BANK", "service": "bank" }] });
    let bank =
        json!({ "vars": { "NAME": "bank", "LIMIT": "5" }, "services": [{ "binding": "BACKEND", "service": "shop" }] });
    let server = with_objects("shop", "ROOM", &services)
        .beside(with_objects("bank", "VAULT", &bank))
        .args(["--env-file".into(), secrets.into_os_string()])
        .env("MACHINE_KEY", "of the machine")
        .start();
    assert_eq!(server.get("/variable/NAME").expect(200).text(), "shop");
    assert_eq!(server.get("/service/BANK/variable/LIMIT").expect(200).text(), "5");
    let refused = |path: &str| server.get(path).expect(500).json()["error"].as_str().unwrap().to_owned();
    for guess in ["LIMIT", "bank.LIMIT", "MACHINE_KEY", "PATH", "ROOM", "BANK", ""] {
        for kind in ["variable", "secret"] {
            let error = refused(&format!("/{kind}/{guess}"));
            assert!(error.contains(&format!("`{guess}`")), "{kind} {guess}: {error}");
            assert!(!error.contains("of the machine") && !error.contains("LIMIT`,"), "{kind} {guess}: {error}");
        }
    }
    for guess in ["BACKEND", "bank", "shop", ""] {
        let error = refused(&format!("/service/{guess}/whoami"));
        assert_eq!(error, format!("no service `{guess}` is bound: there is `BANK`"));
    }
    assert_eq!(refused("/service/ROOM/whoami"), "`ROOM` is bound as a durable object, not as a service");
}

#[test]
fn a_header_passed_on_through_a_service_leads_nowhere_either() {
    let services = json!({ "services": [{ "binding": "BANK", "service": "bank" }] });
    let server = with_objects("shop", "ROOM", &services).beside(with_objects("bank", "VAULT", &json!({}))).start();
    // The header that a client sends to the first Worker is not with the request that this one passes on.
    let answer = get_with(&server, "/service/BANK/whoami", "service BANK").expect(200).json();
    assert_eq!((&answer["worker"], &answer["route"]), (&json!("bank"), &Value::Null));
}

#[test]
fn anothers_workflow_is_not_reached_by_its_name_nor_by_its_binding() {
    let worker = |name: &str, binding: &str, workflow: &str| {
        let entry = json!({ "name": workflow, "binding": binding, "class_name": "OneStep" });
        Dev::guest("behaviours").config(json!({ "name": name, "workflows": [entry] }))
    };
    let shop = worker("shop", "ORDERS", "orders");
    let server = shop.beside(worker("bank", "TRANSFERS", "transfers")).start();
    let _ = server.local_api().post("transfers/instances", json!({ "id": "a" })).expect(200);
    for guess in ["TRANSFERS", "transfers", "bank", "OneStep"] {
        let workflow = server.workflow(guess);
        let refused = workflow.try_create("b", ()).expect(404).json()["error"].as_str().unwrap().to_owned();
        assert_eq!(refused, format!("no workflow `{guess}` is bound: there is `ORDERS`"));
        assert!(!server.get(&format!("/status?wf={guess}&id=a")).status.is_success());
        assert!(!workflow.instance("a").operate("terminate").status.is_success());
        assert!(!workflow.instance("a").try_send_event("go", ()).status.is_success());
    }
    // An id of another's workflow is none of one's own.
    assert!(server.workflow("ORDERS").instance("a").gone());
    let there = server.local_api().get("transfers/instances/a").expect(200).json();
    assert_eq!(there["result"]["status"], "complete", "{there}");
}
