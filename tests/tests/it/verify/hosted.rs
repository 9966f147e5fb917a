//! `miniflow test PATH -- COMMAND`: tests in any language, and introspection over HTTP.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use miniflow_tests::{Answer, Client, build, eventually, program, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Said, run};

/// A command that is served, of which the test plays the part: it says where the server is, and ends when it is told.
struct Hosted {
    folder: TempDir,
    client: Client,
    program: JoinHandle<Said>,
}

/// Where the command of a test says what it was given.
const SCRIPT: &str = r#"cd "$0" && printf %s "$MINIFLOW_URL" > half && mv half url
until [ -e code ]; do sleep 0.02; done; exit "$(cat code)""#;

fn guest(name: &str) -> PathBuf {
    let folder = repository().join("tests/guests").join(name);
    build(&folder);
    folder
}

impl Hosted {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let (folder, worker) = (TempDir::new().unwrap(), guest(name));
        let mut all = vec!["test", worker.to_str().unwrap(), "--no-build"];
        all.extend(arguments);
        all.extend(["--", "sh", "-c", SCRIPT, folder.path().to_str().unwrap()]);
        let all: Vec<_> = all.into_iter().map(ToOwned::to_owned).collect();
        let program = std::thread::spawn(move || run(all));
        let file = folder.path().join("url");
        let url = eventually("the command is told where the server is", || {
            assert!(!program.is_finished(), "it has ended");
            fs::read_to_string(&file).ok()
        });
        Self { folder, client: Client::new(&url), program }
    }

    fn ask(&self, call: &Value) -> Answer {
        self.client.post("/cdn-cgi/local/miniflow/introspect", call.clone()).unwrap()
    }

    fn asked(&self, call: &Value) -> Value {
        self.ask(call).expect(200).json()
    }

    /// A call of the instance `id`.
    fn of(&self, id: &str, call: &Value) -> Answer {
        self.ask(&json!({ "binding": "MODERATOR", "instance": id, "timeoutMs": 30_000, "call": call }))
    }

    /// Creates an instance through the REST API.
    fn create(&self, id: &str, params: &Value) {
        let body = json!({ "instance_id": id, "params": params });
        self.client.post("/client/v4/accounts/local/workflows/moderator/instances", body).unwrap().expect(200);
    }

    /// Has the command end with this code, and returns what miniflow said.
    fn end(self, code: i32) -> Said {
        fs::write(self.folder.path().join("code"), code.to_string()).unwrap();
        self.program.join().unwrap()
    }
}

#[test]
fn the_exit_code_is_the_one_of_the_command() {
    for code in [0, 7] {
        let hosted = Hosted::start("introspection", &[]);
        assert_eq!(hosted.client.get("/").unwrap().expect(200).text(), "hello");
        let said = hosted.end(code);
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{}", said.err);
    }
}

#[test]
fn idle_time_is_skipped_and_nothing_goes_to_the_network() {
    let hosted = Hosted::start("introspection", &[]);
    let napped = hosted.client.get("/nap?ms=86400000").unwrap().expect(200).json();
    assert!(napped.as_u64().unwrap() >= 86_400_000, "{napped}");
    let error =
        hosted.client.get("/relay?url=https://bank.example/charge").unwrap().expect(200).json()["error"].clone();
    let expected = "GET https://bank.example/charge was not sent: tests have no network. Answer it with `--stub FILE`";
    assert!(error.as_str().unwrap().contains(expected), "{error}");
    hosted.end(0).code(0);
}

#[test]
fn a_stub_answers_in_the_place_of_the_network() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("stubs.json");
    fs::write(&file, r#"[{ "url": "https://bank.example/*", "status": 402, "json": { "no": "money" } }]"#).unwrap();
    let hosted = Hosted::start("introspection", &["--stub", file.to_str().unwrap()]);
    let relayed = hosted.client.get("/relay?url=https://bank.example/charge").unwrap().expect(200).json();
    assert_eq!(relayed, json!({ "status": 402, "body": r#"{"no":"money"}"# }));
    hosted.end(0).code(0);
}

#[test]
fn an_instance_is_introspected_over_http() {
    let hosted = Hosted::start("introspection", &[]);
    let listed = hosted.client.get("/cdn-cgi/local/miniflow/introspect").unwrap().expect(200).json();
    assert_eq!(
        listed["workflows"][0],
        json!({ "binding": "MODERATOR", "workflow": "moderator", "worker": "introspection" })
    );
    let scan = json!({ "name": "AI content scan", "index": 1 });
    let said = json!({ "modify": [
        { "disableSleeps": true },
        { "disableRetryDelays": [scan] },
        { "mockStepError": { "step": "AI content scan", "error": { "name": "Busy", "message": "no model" }, "times": 1 } },
        { "forceStepTimeout": { "step": scan, "times": 1 } },
        { "mockStepResult": { "step": scan, "value": 50 } },
        { "mockEvent": { "type": "moderation-decision", "payload": { "by": "Ada" } } },
    ]});
    assert_eq!(hosted.of("a", &said).expect(200).json(), json!({}));
    hosted.create("a", &json!({}));
    let result = hosted.of("a", &json!({ "waitForStepResult": "AI content scan" })).expect(200).json();
    assert_eq!(result, json!({ "result": 50 }));
    let status = hosted.of("a", &json!({ "waitForStatus": "complete" })).expect(200).json();
    assert_eq!(status, json!({ "status": "complete" }));
    let output = hosted.of("a", &json!("getOutput")).expect(200).json();
    assert_eq!(output, json!({ "output": { "status": "moderated", "decision": { "by": "Ada" } } }));
    hosted.of("a", &json!("dispose")).expect(200);
    let gone = hosted.of("a", &json!("getOutput")).expect(404).json();
    assert_eq!(gone["code"], "instance.not_found");

    hosted.of("b", &json!({ "modify": [{ "mockStepResult": { "step": scan, "value": 50 } }, { "forceEventTimeout": "await moderation event" }] }))
        .expect(200);
    hosted.create("b", &json!({}));
    hosted.of("b", &json!({ "waitForStatus": "errored" })).expect(200);
    let error = hosted.of("b", &json!("getError")).expect(200).json();
    assert_eq!(error["error"]["name"], "WorkflowTimeoutError");
    hosted.end(0).code(0);
}

#[test]
fn every_instance_to_come_is_introspected_over_http() {
    let hosted = Hosted::start("introspection", &[]);
    let begin = json!({ "binding": "MODERATOR", "call": "introspect" });
    let session = hosted.asked(&begin)["session"].clone();
    let of = |call: Value| json!({ "binding": "MODERATOR", "session": session, "call": call });
    let twice = hosted.ask(&begin).expect(400).json();
    let text = r#"Workflow "moderator" already has an active introspection session for binding "MODERATOR"."#;
    assert_eq!(twice, json!({ "error": text, "code": "introspection.misuse" }));
    let said = json!({ "modifyAll": [{ "mockStepResult": { "step": "AI content scan", "value": 0 } }] });
    hosted.asked(&of(said));
    hosted.create("one", &json!({}));
    hosted.create("two", &json!({}));
    assert_eq!(hosted.asked(&of(json!("get"))), json!({ "instances": ["one", "two"] }));
    for id in ["one", "two"] {
        hosted.of(id, &json!({ "waitForStatus": "complete" })).expect(200);
        assert_eq!(hosted.of(id, &json!("getOutput")).json()["output"]["status"], "auto_approved");
    }
    hosted.asked(&of(json!("dispose")));
    let ended = hosted.ask(&of(json!("get"))).expect(400).json();
    let text = r#"Workflow "moderator" does not have an active introspection session for this introspector."#;
    assert_eq!(ended["error"], text);
    hosted.of("one", &json!("getOutput")).expect(404);
    hosted.end(0).code(0);
}

#[test]
fn a_stream_is_mocked_and_read_over_http() {
    let hosted = Hosted::start("introspection", &[]);
    let of = |call: Value| json!({ "binding": "STREAMER", "instance": "a", "call": call });
    // `mocked stream`, in two pieces.
    let said =
        json!({ "modify": [{ "mockStepStream": { "step": "report", "pieces": ["bW9ja2Vk", "IHN0cmVhbQ=="] } }] });
    hosted.asked(&of(said));
    let body = json!({ "instance_id": "a" });
    hosted.client.post("/client/v4/accounts/local/workflows/streamer/instances", body).unwrap().expect(200);
    let streamed = hosted.asked(&of(json!({ "waitForStepResult": "report" })));
    assert_eq!(streamed, json!({ "stream": "bW9ja2VkIHN0cmVhbQ==" }));
    hosted.asked(&of(json!({ "waitForStatus": "complete" })));
    assert_eq!(hosted.asked(&of(json!("getOutput")))["output"]["text"], "mocked stream");
    hosted.end(0).code(0);
}

#[test]
fn a_call_that_has_no_answer_says_why() {
    let hosted = Hosted::start("introspection", &[]);
    let no_binding =
        hosted.ask(&json!({ "binding": "NOTHING", "instance": "a", "call": "getOutput" })).expect(404).json();
    assert!(no_binding["error"].as_str().unwrap().starts_with(r#"No Workflow binding named "NOTHING" found in "#));
    for (call, part) in [
        (
            json!({ "binding": "MODERATOR", "instance": "", "call": "getOutput" }),
            "Workflow binding and instance id are required.",
        ),
        (json!({ "binding": "", "call": "introspect" }), "Workflow binding is required."),
        (json!({ "binding": "MODERATOR", "call": "get" }), "the `session` is missing"),
        (json!({ "binding": "MODERATOR", "call": "getOutput" }), "this is a call of an `instance`"),
        (json!({ "binding": "MODERATOR", "instance": "a", "call": "introspect" }), "leave `instance` out"),
        (json!({ "binding": "MODERATOR", "instance": "a", "session": 1, "call": "dispose" }), "and not of both"),
        (json!({ "binding": "MODERATOR", "instance": "a", "call": "fly" }), "unknown variant `fly`"),
        (
            json!({ "binding": "MODERATOR", "instance": "a", "call": { "modify": [{ "disableSleeps": false }] } }),
            "`false` does nothing",
        ),
        (
            json!({ "binding": "MODERATOR", "instance": "a", "call": { "waitForStatus": "done" } }),
            "`done` is no status",
        ),
        (json!([]), "the body is no call"),
    ] {
        let said = hosted.ask(&call).expect(400).json();
        assert!(said["error"].as_str().unwrap().contains(part), "{said}");
    }
    let wait =
        json!({ "binding": "MODERATOR", "instance": "a", "timeoutMs": 20, "call": { "waitForStatus": "complete" } });
    let vain = hosted.ask(&wait).expect(504).json();
    let text = "gave up after 20ms waiting for status `complete` of the instance a: there is no such instance";
    assert_eq!(vain, json!({ "error": text, "code": "introspection.gave_up" }));
    let fails = json!({ "modify": [{ "mockStepError": { "step": "AI content scan", "error": { "name": "NonRetryableError", "message": "no" } } }] });
    hosted.of("a", &fails).expect(200);
    hosted.create("a", &json!({}));
    let failed = hosted.of("a", &json!({ "waitForStepResult": "AI content scan" })).expect(409).json();
    assert_eq!((&failed["code"], &failed["cause"]["message"]), (&json!("introspection.step_failed"), &json!("no")));
    hosted.of("a", &json!({ "waitForStatus": "errored" })).expect(200);
    let other = hosted.of("a", &json!({ "waitForStatus": "complete" })).expect(409).json();
    assert_eq!(other["code"], "introspection.unreachable");
    hosted.end(0).code(0);
}

#[test]
fn a_command_that_cannot_be_started_is_told() {
    let worker = guest("verify");
    let said = run(["test", worker.to_str().unwrap(), "--no-build", "--", "there-is-no-such-program"]);
    said.one_error(2, &["could not start `there-is-no-such-program`", "a line for a shell is `-- sh -c 'LINE'`"]);
    let said = run(["test", worker.to_str().unwrap(), "--crash-matrix", "--", "true"]);
    said.code(2);
    assert!(said.err.contains("cannot be used with"), "{}", said.err);
}

#[cfg(unix)]
#[test]
fn a_server_that_is_stopped_ends_its_command() {
    let (folder, worker) = (TempDir::new().unwrap(), guest("introspection"));
    // It does not end when it is asked to.
    let script = format!("{}\n{SCRIPT}", "trap '' TERM INT");
    let child = Command::new(program())
        .args([
            "test",
            worker.to_str().unwrap(),
            "--no-build",
            "--",
            "sh",
            "-c",
            &script,
            folder.path().to_str().unwrap(),
        ])
        .env("MINIFLOW_CACHE_DIR", program().with_file_name("miniflow-tests-cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = folder.path().join("url");
    let url = eventually("the command is told where the server is", || fs::read_to_string(&url).ok());
    let client = Client::new(&url);
    client.get("/").unwrap().expect(200);
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    // As a shell says that it was killed.
    assert_eq!(output.status.code(), Some(137));
    assert!(client.get("/").is_err());
}

#[test]
fn introspection_is_for_tests() {
    let server = miniflow_tests::Dev::guest("introspection").start();
    let answer = server.client().post("/cdn-cgi/local/miniflow/introspect", json!({})).unwrap().expect(404);
    assert!(answer.text().contains("`miniflow test -- COMMAND`"), "{}", answer.text());
}
