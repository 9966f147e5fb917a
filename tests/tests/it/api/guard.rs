//! Who is answered.

use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use miniflow_tests::{Api, Dev, Server};
use serde_json::json;

use super::behaviours;

fn both(server: &Server) -> [Api; 2] {
    [server.v4(), server.local_api()]
}

// rules: A126
#[test]
fn a_page_of_another_origin_drives_nothing() {
    let server = behaviours();
    for api in both(&server) {
        for (name, value) in [
            ("origin", "https://example.com"),
            ("origin", "null"),
            ("origin", "http://localhost.example.com"),
            ("origin", "http://sub.localhost:8787"),
            ("host", "example.com"),
            ("host", "sub.localhost"),
        ] {
            let page = api.clone().header(name, value);
            let _ = page.post("one-step/instances", json!({ "id": "stolen" })).expect(403);
            let _ = page.get("").expect(403);
            let preflight = page.send(Method::OPTIONS, "one-step/instances", ()).expect(403);
            assert!(!preflight.headers.contains_key("access-control-allow-origin"), "{name}: {value}");
        }
    }
    assert_eq!(server.v4().result("one-step/instances"), json!([]));
}

// rules: A129
#[test]
fn the_host_of_a_route_reaches_the_worker_and_drives_nothing() {
    let config = json!({
        "name": "shop",
        "routes": ["shop.example.com/*"],
        "workflows": [miniflow_tests::bound("OneStep")],
    });
    let server = Dev::guest("behaviours").config(config).start();
    for api in both(&server) {
        let by_route = api.clone().header("host", "shop.example.com");
        let _ = by_route.post("one-step/instances", json!({ "id": "stolen" })).expect(403);
        let _ = by_route.get("").expect(403);
        let page = api.header("origin", "https://shop.example.com");
        let _ = page.post("one-step/instances", json!({ "id": "stolen" })).expect(403);
    }
    assert_eq!(server.v4().result("one-step/instances"), json!([]));
    // What it asks of the Worker is for the Worker to say.
    let request = Request::post("/").header("host", "shop.example.com").body(Full::from("{}").boxed()).unwrap();
    let _ = server.client().request("/create?wf=ONE_STEP&id=ordered", request).unwrap().expect(200);
    let made = server.v4().result("one-step/instances");
    assert_eq!((made.as_array().unwrap().len(), &made[0]["id"]), (1, &json!("ordered")));
}

// rules: A126, A127
#[test]
fn a_page_of_this_machine_is_answered_and_told_so() {
    let server = behaviours();
    for api in both(&server) {
        for origin in ["http://localhost:3000", "http://127.0.0.1:8787", "https://[::1]"] {
            let page = api.clone().header("origin", origin);
            let answer = page.get("").expect(200);
            assert_eq!(answer.headers["access-control-allow-origin"], origin);
            let refusal = page.get("none").expect(404);
            assert_eq!(refusal.headers["access-control-allow-origin"], origin);
            let preflight = page.send(Method::OPTIONS, "one-step/instances", ()).expect(204);
            assert_eq!(preflight.headers["access-control-allow-origin"], origin);
            assert_eq!(preflight.headers["access-control-allow-methods"], "GET, POST, PUT, PATCH, DELETE, OPTIONS");
            assert_eq!(preflight.headers["access-control-max-age"], "86400");
            let allowed = preflight.headers["access-control-allow-headers"].to_str().unwrap();
            assert!(allowed.contains("Content-Type") && allowed.contains("cf-r2-custom-metadata"), "{allowed}");
            assert!(preflight.body.is_empty());
        }
        let preflight = api.send(Method::OPTIONS, "one-step/instances", ()).expect(204);
        assert_eq!(preflight.headers["access-control-allow-origin"], "*");
        assert!(!api.get("").expect(200).headers.contains_key("access-control-allow-origin"));
    }
}

#[test]
fn with_a_token_version_4_asks_for_it() {
    let server = Dev::guest("behaviours").args(["--api-token", "s3cret"]).start();
    let v4 = server.v4();
    v4.get("").refused(401, 10000, "Authentication error");
    v4.post("one-step/instances", json!({ "instance_id": "a" })).refused(401, 10000, "Authentication error");
    for wrong in ["Bearer wrong", "Bearer", "s3cret"] {
        v4.clone().header("authorization", wrong).get("").refused(401, 10000, "Authentication error");
    }
    server.get("/client/v4/user/tokens/verify").refused(401, 10000, "Authentication error");
    server.get("/client/v4/nowhere").refused(401, 10000, "Authentication error");
    let with = v4.clone().header("authorization", "Bearer s3cret");
    assert_eq!(with.result("one-step/instances"), json!([]), "nothing of that was done");
    // Whoever has it may call this machine as they like; a page elsewhere stays a page elsewhere.
    let _ = with.clone().header("host", "box.lan:8787").get("").expect(200);
    let _ = with.header("origin", "https://example.com").get("").expect(403);
    // The local API is for this machine alone, and asks for none.
    let _ = server.local_api().get("").expect(200);
    let _ = server.local_api().header("host", "box.lan").get("").expect(403);
}

#[test]
fn an_address_that_others_reach_takes_a_token_or_somebody_who_means_it() {
    let open = || Dev::guest("behaviours").args(["--ip", "0.0.0.0"]);
    let parts = ["everybody who reaches 0.0.0.0 could drive", "--api-token", "--allow-anyone"];
    open().refused().assert_one_error(&parts);
    for args in [["--api-token", "t"].as_slice(), &["--allow-anyone"]] {
        let server = open().args(args).start();
        assert_eq!(server.local_api().result("one-step")["name"], "one-step");
    }
}

// rules: A128
#[test]
fn reserved_paths_are_never_the_workers() {
    let server = behaviours();
    for page in ["/cdn-cgi/local/explorer", "/cdn-cgi/local/explorer/"] {
        let text = server.get(page).expect(404).text();
        assert!(text.contains("wrangler workflows") && text.contains("/cdn-cgi/local/explorer/api"), "{text}");
    }
    server.get("/client/v4/zones").refused(404, 7003, "workflows.api.error.not_found");
    server.post("/client/v4/user", ()).refused(405, 7001, "Method POST not available for that URI.");
    assert!(server.get("/cdn-cgi/local/explorerfoo").expect(404).text().starts_with("404 Not Found"));
}
