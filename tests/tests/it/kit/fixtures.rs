//! Requests that are recorded once, and answered from files.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use miniflow_test::{InstanceIntrospector, TestWorker};
use miniflow_tests::{Reply, Sink};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::guest;

const TOKEN: &str = "t0ken/with=signs";

async fn asker(token: &str) -> TestWorker {
    guest("introspection").var("TOKEN", token).start().await.unwrap()
}

/// Asks for `/PATH` of `url`, each in a step of this name, with a body.
async fn ask(worker: &TestWorker, url: &str, questions: &[[&str; 3]]) -> InstanceIntrospector {
    let question =
        |[step, path, body]: &[&str; 3]| json!({ "step": step, "url": format!("{url}{path}"), "body": body });
    let params: Vec<_> = questions.iter().map(question).collect();
    worker.workflow("ASKER").unwrap().create(&params).await.unwrap().introspect()
}

async fn answers(worker: &TestWorker, url: &str, questions: &[[&str; 3]]) -> Value {
    let instance = ask(worker, url, questions).await;
    instance.wait_for_status("complete").await.unwrap();
    instance.output().await.unwrap()
}

/// A server that answers its first request with status 500, and others with what they asked for.
async fn moody() -> Sink {
    let count = AtomicUsize::new(0);
    let sink = move || {
        Sink::answering(move |seen| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Answer(500, "busy".to_owned()),
            _ => Reply::Answer(200, format!(r#"{{"asked":"{}", "amount":1.50}}"#, seen.path)),
        })
    };
    // It has a runtime of its own.
    tokio::task::spawn_blocking(sink).await.unwrap()
}

const QUESTIONS: [[&str; 3]; 3] =
    [["charge", "charge", r#"{"cents":1}"#], ["note", "note", "no JSON"], ["charge", "charge", r#"{"cents":1}"#]];

/// Records, and returns the file, the URL that was asked, and what came of it. The server is gone.
async fn recorded(folder: &Path) -> (std::path::PathBuf, String, Value) {
    let (sink, file) = (moody().await, folder.join("deep/inside.json"));
    let worker = asker(TOKEN).await;
    worker.record_outbound("*", &file).unwrap();
    let answers = answers(&worker, sink.url(), &QUESTIONS).await;
    assert_eq!(sink.seen().len(), 4);
    assert_eq!(sink.seen()[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(sink.seen()[0].param("token"), TOKEN);
    (file, sink.url().to_owned(), answers)
}

#[tokio::test]
async fn what_was_recorded_is_answered_without_a_network() {
    let folder = TempDir::new().unwrap();
    let (file, url, before) = recorded(folder.path()).await;
    let charge = r#"{"asked":"/charge", "amount":1.50}"#;
    assert_eq!(before, json!([charge, r#"{"asked":"/note", "amount":1.50}"#, charge]));

    let worker = asker(TOKEN).await;
    worker.replay_outbound("*", &file).unwrap();
    assert_eq!(answers(&worker, &url, &QUESTIONS).await, before);
    // The first attempt has failed here as well.
    assert_eq!(worker.outbound_requests().len(), 4);
    // With another secret it is the same request.
    let worker = asker("another token").await;
    worker.replay_outbound("*", &file).unwrap();
    assert_eq!(answers(&worker, &url, &QUESTIONS).await, before);
}

#[tokio::test]
async fn a_file_is_to_be_read_and_has_no_secrets() {
    let folder = TempDir::new().unwrap();
    let (file, url, _) = recorded(folder.path()).await;
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("t0ken") && !text.to_lowercase().contains("authorization"), "{text}");
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&read["format"], &read["version"]), (&json!("miniflow-fixtures"), &json!(1)));
    let exchanges = read["exchanges"].as_array().unwrap();
    let steps: Vec<_> = exchanges.iter().map(|it| it["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["charge-1", "charge-1", "note-1", "charge-2"]);
    let request = json!({ "method": "POST", "url": format!("{url}charge?token={{{{TOKEN}}}}"), "body": { "json": { "cents": 1 } } });
    assert_eq!((&exchanges[1]["workflow"], &exchanges[1]["request"]), (&json!("asker"), &request));
    assert_eq!(exchanges[2]["request"]["body"], json!({ "text": "no JSON" }));
    assert_eq!((&exchanges[0]["response"]["status"], &exchanges[1]["response"]["status"]), (&json!(500), &json!(200)));
    assert!(text.contains(r#""json": {"asked":"/charge", "amount":1.50}"#), "{text}");
}

#[tokio::test]
async fn a_request_that_was_not_recorded_is_an_error_that_says_in_what_it_differs() {
    let folder = TempDir::new().unwrap();
    let (file, url, _) = recorded(folder.path()).await;
    let shown = file.display();
    let why = async |questions: &[[&str; 3]]| {
        let worker = asker(TOKEN).await;
        worker.replay_outbound("*", &file).unwrap();
        let instance = ask(&worker, &url, questions).await;
        instance.wait_for_status("errored").await.unwrap();
        instance.error().await.unwrap().message
    };
    let of = |path: &str, step: &str| {
        format!("POST {url}{path}?token={{{{TOKEN}}}} of step `{step}` of `asker` is not answered by {shown}: ")
    };
    let record = ". Record it anew: run the test with MINIFLOW_RECORD=1";
    for (questions, expected) in [
        (["charge", "refund", ""], format!("{}nothing is recorded for this URL{record}", of("refund", "charge-1"))),
        (
            ["other", "charge", r#"{"cents":1}"#],
            format!("{}it is recorded as a request of step `charge-2` of `asker`{record}", of("charge", "other-1")),
        ),
        (
            ["charge", "charge", r#"{"cents":2}"#],
            format!("{}it is recorded with another body: {{\"cents\":1}}{record}", of("charge", "charge-1")),
        ),
    ] {
        let said = why(&[questions]).await;
        assert!(said.contains(&expected), "{said}\n{expected}");
    }
    let note = ["note", "note", "no JSON"];
    let worker = asker(TOKEN).await;
    worker.replay_outbound("*", &file).unwrap();
    answers(&worker, &url, &[note]).await;
    let again = ask(&worker, &url, &[note]).await;
    again.wait_for_status("errored").await.unwrap();
    let said = again.error().await.unwrap().message;
    assert!(said.contains(&format!("{}its answer was given already{record}", of("note", "note-1"))), "{said}");
}

#[tokio::test]
async fn what_is_taken_out_of_a_file_is_not_looked_at() {
    let folder = TempDir::new().unwrap();
    let (file, url, _) = recorded(folder.path()).await;
    let mut read: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let mut exchange = read["exchanges"][2].take();
    exchange.as_object_mut().unwrap().remove("step");
    exchange["request"] = json!({ "url": format!("{url}*") });
    exchange["repeat"] = json!(true);
    exchange["response"] = json!({ "status": 200, "body": { "text": "whatever you say, {{TOKEN}}" } });
    read["exchanges"] = json!([exchange]);
    fs::write(&file, read.to_string()).unwrap();
    let worker = asker("a third token").await;
    worker.replay_outbound("*", &file).unwrap();
    let questions = [["a", "anything", "x"], ["b", "else", "y"]];
    assert_eq!(answers(&worker, &url, &questions).await, json!(vec!["whatever you say, a third token"; 2]));
}

#[tokio::test]
async fn a_file_that_is_not_there_or_recorded_twice_is_told() {
    let folder = TempDir::new().unwrap();
    let worker = asker(TOKEN).await;
    let file = folder.path().join("none.json");
    let error = worker.replay_outbound("*", &file).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{} cannot be read: ", file.display())), "{error}");
    assert!(error.ends_with(". Record it: run the test with MINIFLOW_RECORD=1"), "{error}");
    worker.record_outbound("*", &file).unwrap();
    let error = asker(TOKEN).await.record_outbound("*", &file).unwrap_err().to_string();
    assert!(error.ends_with("was recorded by another Worker of this process: give each its own file"), "{error}");
}

/// Set: the address to ask, by a process that a test has started.
const ASKED: &str = "MINIFLOW_TESTS_FIXTURES_ASK";

#[tokio::test]
async fn the_environment_has_it_recorded() {
    if let Ok(url) = std::env::var(ASKED) {
        let worker = asker(TOKEN).await;
        worker.replay_outbound("*", std::env::var("MINIFLOW_TESTS_FIXTURES_FILE").unwrap()).unwrap();
        let expected = json!([r#"{"asked":"/note", "amount":1.50}"#]);
        assert_eq!(answers(&worker, &url, &[["note", "note", ""]]).await, expected);
        return;
    }
    let (folder, sink) = (TempDir::new().unwrap(), moody().await);
    let file = folder.path().join("rates.json");
    // Itself, in a process whose environment is another one.
    let run = |record: &str| {
        let name = "kit::fixtures::the_environment_has_it_recorded";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([name, "--exact"]).env(ASKED, sink.url()).env("MINIFLOW_TESTS_FIXTURES_FILE", &file);
        command.env("MINIFLOW_RECORD", record).output().unwrap()
    };
    assert!(!run("0").status.success());
    assert!(run("1").status.success());
    assert_eq!(sink.seen().len(), 2);
    assert!(run("0").status.success());
    assert_eq!(sink.seen().len(), 2);
}
