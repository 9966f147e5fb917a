//! A server that is stopped or killed, and started again on the same state.

use std::time::Duration;

use miniflow_runtime::clock::Stopwatch;
use miniflow_tests::{Dev, Reply, Sink, bound, eventually};
use serde_json::json;

/// Nothing of `times` passed twice: one request of this instance with this step.
#[track_caller]
fn assert_ran(sink: &Sink, id: &str, step: &str, times: usize) {
    assert_eq!(sink.count(&[("id", id), ("kind", step)]), times, "runs of `{step}` of `{id}`");
}

// rules: C4.4-2, B1
#[test]
fn a_sleep_survives_a_kill_and_keeps_its_length() {
    let (dev, sink) = (Dev::guest("behaviours"), Sink::start());
    let server = dev.start();
    server.workflow("SLEEPER").create("a", json!({ "sink": sink.url(), "ms": 3000 })).wait_for("waiting");
    server.kill();

    let server = dev.start();
    server.wait_for_line("ready on");
    assert!(server.log().contains("1 picked up again, the next wakes in"), "{}", server.log());
    let output = server.workflow("SLEEPER").instance("a").output();
    let slept = output["after"].as_u64().unwrap() - output["before"].as_u64().unwrap();
    assert!((3000..6000).contains(&slept), "it slept for {slept} ms");
    assert_ran(&sink, "a", "before", 1);
    assert_ran(&sink, "a", "after", 1);
}

// rules: C2.5-10, C4.4-2, B1, B2
#[test]
fn a_sleep_that_ended_while_nothing_ran_is_over_at_the_start() {
    let dev = Dev::guest("behaviours");
    let server = dev.start();
    let created = server.workflow("SLEEP_UNTIL").create("a", json!({ "ms": 1500 }));
    created.wait_for("waiting");
    server.kill();
    // Another Worker on another state says when the time has passed.
    let other = Dev::guest("behaviours").start();
    other.workflow("SLEEP_UNTIL").create("b", json!({ "ms": 1500 })).wait_for("complete");

    let server = dev.start();
    let output = server.workflow("SLEEP_UNTIL").instance("a").output();
    assert!(output["after"].as_u64() > output["until"].as_u64(), "{output}");
}

#[test]
fn a_status_that_was_seen_is_not_taken_back_by_a_kill() {
    for _ in 0..6 {
        let dev = Dev::guest("behaviours");
        let server = dev.start();
        // Short enough for the run to stay in memory: nothing but the answer asks for a commit.
        server.workflow("SLEEPER").create("a", json!({ "ms": 1500 })).wait_for("waiting");
        server.kill();
        // The start reads what is stored: without the sleep it would not know when the instance wakes.
        let log = dev.start().log();
        assert!(log.contains("1 picked up again, the next wakes"), "{log}");
    }
}

// rules: S22, S23, S24, C2.1-6, C2.2-2, A20, A21, A73, A113, A146
#[test]
fn what_is_complete_or_errored_stays_so() {
    let dev = Dev::guest("behaviours");
    let server = dev.start();
    server.workflow("ONE_STEP").create("good", ()).wait_for("complete");
    server.workflow("NON_RETRYABLE").create("bad", json!({ "name": "Broken" })).wait_for("errored");
    server.kill();

    let server = dev.start();
    let good = server.workflow("ONE_STEP").instance("good").status();
    assert_eq!(good, json!({ "status": "complete", "output": { "count": 1 }, "rollback": null }));
    let bad = server.workflow("NON_RETRYABLE").instance("bad").status();
    let error = json!({ "name": "Broken", "message": "beyond repair" });
    assert_eq!(bad, json!({ "status": "errored", "error": error, "rollback": null }));
    assert!(server.log().contains("none to pick up again"), "{}", server.log());
    assert_eq!(server.workflow("ONE_STEP").try_create("good", ()).status, 409, "its id is taken");
}

// rules: C4.3-3, A24
#[test]
fn an_event_sent_before_the_wait_is_found_after_a_kill() {
    // The first attempt never gets its answer, so the instance has not begun to wait.
    let sink = Sink::answering(|seen| if seen.param("k") == "1" { Reply::Never } else { Reply::ok() });
    let dev = Dev::guest("behaviours");
    let server = dev.start();
    let waiter = server.workflow("EVENT_WAITER").create("a", json!({ "sink": sink.url() }));
    sink.wait_for(1, &[("kind", "before")]);
    waiter.send_event("go", json!({ "n": 1 }));
    server.kill();

    let server = dev.start();
    let output = server.workflow("EVENT_WAITER").instance("a").output();
    assert_eq!(output["payload"], json!({ "n": 1 }));
    assert_eq!(output["type"], "go");
}

// rules: C4.3-4, A71, B1
#[test]
fn a_wait_survives_a_kill_and_its_event_comes_after() {
    let dev = Dev::guest("behaviours");
    let server = dev.start();
    let many = server.workflow("MANY_EVENTS").create("a", json!({ "n": 3 }));
    many.wait_for("waiting");
    many.send_event("go", json!("first"));
    server.kill();

    let server = dev.start();
    let many = server.workflow("MANY_EVENTS").instance("a");
    many.send_event("go", json!("second"));
    server.kill();

    let server = dev.start();
    let many = server.workflow("MANY_EVENTS").instance("a");
    many.send_event("go", json!("third"));
    assert_eq!(many.output(), json!({ "payloads": ["first", "second", "third"] }));
}

// rules: B1, B23
#[test]
fn an_attempt_that_a_kill_cut_off_counts_and_the_next_begins_at_once() {
    let sink = Sink::answering(|seen| if seen.param("k") == "1" { Reply::Never } else { Reply::ok() });
    let dev = Dev::guest("behaviours");
    let server = dev.start();
    // A delay nobody would wait for: it is for failures of the body's own.
    let params = json!({ "sink": sink.url(), "fail": 0, "limit": 1, "delay": 3_600_000 });
    server.workflow("FLAKY").create("a", params);
    sink.wait_for(1, &[("id", "a")]);
    // Commits are made in order: once this one is, so is the begin of the attempt.
    server.workflow("ONE_STEP").create("b", ());
    server.kill();

    let server = dev.start();
    assert_eq!(server.workflow("FLAKY").instance("a").output(), json!({ "attempt": 2 }));
}

// rules: B23
#[test]
fn the_last_attempt_that_a_kill_cut_off_is_not_made_up_for() {
    let sink = Sink::answering(|_| Reply::Never);
    let dev = Dev::guest("behaviours");
    let server = dev.start();
    server.workflow("FLAKY").create("a", json!({ "sink": sink.url(), "fail": 0, "limit": 0 }));
    sink.wait_for(1, &[("id", "a")]);
    server.workflow("ONE_STEP").create("b", ());
    server.kill();

    let server = dev.start();
    let error = server.workflow("FLAKY").instance("a").error();
    assert_eq!(error["message"], "The attempt was running when the process ended");
    assert_ran(&sink, "a", "flaky", 1);
}

#[test]
fn instances_whose_workflow_is_gone_are_kept_until_it_returns() {
    let with = |class| json!({ "workflows": [bound(class)] });
    let state = tempfile::tempdir().unwrap();
    let sleeper = Dev::guest("behaviours").config(with("Sleeper")).persist(state.path());
    let server = sleeper.start();
    server.workflow("SLEEPER").create("a", json!({ "ms": 500 })).wait_for("waiting");
    server.kill();

    let other = Dev::guest("behaviours").config(with("OneStep")).persist(state.path());
    let server = other.start();
    assert!(server.log().contains("1 kept, whose workflow is not here any more"), "{}", server.log());
    server.workflow("ONE_STEP").create("a", ()).wait_for("complete");
    server.kill();

    sleeper.start().workflow("SLEEPER").instance("a").wait_for("complete");
}

#[test]
fn an_ephemeral_server_keeps_nothing() {
    let dev = Dev::guest("behaviours").args(["--ephemeral"]);
    let server = dev.start();
    assert!(server.log().contains("in memory, gone when the server stops"), "{}", server.log());
    server.workflow("ONE_STEP").create("a", ()).wait_for("complete");
    server.kill();
    assert_eq!(std::fs::read_dir(dev.state()).unwrap().count(), 0, "the folder given is not used");

    let server = dev.start();
    server.get("/status?wf=ONE_STEP&id=a").expect(404);
}

#[test]
fn state_is_kept_beside_the_configuration_and_out_of_git() {
    let dev = Dev::guest("behaviours").config(json!({})).persist_by_default();
    dev.start().kill();
    let own = dev.served().join(".miniflow");
    assert!(own.join("state").is_dir());
    assert_eq!(std::fs::read_to_string(own.join(".gitignore")).unwrap(), "*\n");
}

#[cfg(unix)]
mod stop {
    use std::cell::Cell;

    use miniflow_tests::Server;

    use super::*;

    /// What is given to a body, a request, and the machine to do it on.
    const SOON: Duration = Duration::from_millis(3500);

    /// Less than is given to a body.
    const AT_ONCE: Duration = Duration::from_millis(1500);

    /// Stops a server `within` that time, or another one: on a busy machine once may take longer for reasons that are not the server's.
    /// Returns what came with the last.
    #[track_caller]
    fn stops<K>(within: Duration, code: i32, server: impl Fn() -> (Server, K)) -> K {
        let mut took = Vec::new();
        loop {
            let (server, kept) = server();
            let watch = Stopwatch::start();
            assert_eq!(server.stop().0.code(), Some(code));
            took.push(watch.elapsed());
            if watch.elapsed() < within {
                return kept;
            }
            assert!(took.len() < 4, "it took {took:?}");
        }
    }

    #[test]
    fn an_idle_server_stops_at_once_with_exit_code_0() {
        stops(AT_ONCE, 0, || {
            let server = Dev::guest("behaviours").start();
            server.workflow("SLEEPER").create("a", json!({ "ms": 60_000 })).wait_for("waiting");
            (server, ())
        });
    }

    #[test]
    fn a_body_that_goes_on_is_cut_off_after_two_seconds_and_its_attempt_does_not_count() {
        let sink = Sink::answering(|_| Reply::Never);
        let dev = Dev::guest("behaviours");
        let begun = Cell::new(0);
        let start = || {
            let server = dev.start();
            if begun.get() == 0 {
                // Not even one more attempt, so one that counted would be the end of it.
                server.workflow("FLAKY").create("a", json!({ "sink": sink.url(), "fail": 0, "limit": 0 }));
            }
            begun.set(begun.get() + 1);
            sink.wait_for(begun.get(), &[("id", "a"), ("k", "1")]);
            (server, ())
        };
        stops(SOON, 0, start);
        start();
    }

    #[test]
    fn a_body_that_ends_in_time_is_recorded() {
        let (dev, sink) = (Dev::guest("behaviours"), Sink::start());
        let server = dev.start();
        server.workflow("FLAKY").create("a", json!({ "sink": sink.url(), "fail": 0, "ms": 300 }));
        sink.wait_for(1, &[("id", "a")]);
        assert_eq!(server.stop().0.code(), Some(0));

        let server = dev.start();
        assert_eq!(server.workflow("FLAKY").instance("a").output(), json!({ "attempt": 1 }));
        assert_ran(&sink, "a", "flaky", 1);
    }

    #[test]
    fn an_answer_that_has_begun_is_sent_to_its_end() {
        let server = Dev::guest("behaviours").start();
        let mut stream = server.exchange("/stream?n=8&ms=50");
        stream.finish();
        assert_eq!(stream.receive().as_deref(), Some("chunk 0\n"));
        server.terminate();
        let rest: Vec<String> = std::iter::from_fn(|| stream.receive()).collect();
        assert_eq!(rest.concat(), "chunk 1\nchunk 2\nchunk 3\nchunk 4\nchunk 5\nchunk 6\nchunk 7\n");
        assert_eq!(server.wait().0.code(), Some(0));
    }

    #[test]
    fn a_request_and_a_body_that_go_on_are_given_their_time_together() {
        let sink = Sink::answering(|_| Reply::Never);
        let asked = stops(SOON, 0, || {
            let before = sink.count(&[]);
            let server = Dev::guest("behaviours").start();
            server.workflow("FLAKY").create("a", json!({ "sink": sink.url(), "fail": 0 }));
            sink.wait_for(before + 1, &[]);
            let client = server.client();
            let url = format!("/fetch?url={}request", sink.url());
            let asked = std::thread::spawn(move || client.get(&url));
            sink.wait_for(before + 2, &[]);
            (server, asked)
        });
        assert!(asked.join().unwrap().is_err(), "nobody answered the Worker, so it had no answer");
    }

    #[test]
    fn whoever_asks_twice_does_not_wait() {
        let sink = Sink::answering(|_| Reply::Never);
        stops(AT_ONCE, 130, || {
            let before = sink.count(&[]);
            let server = Dev::guest("behaviours").start();
            server.workflow("FLAKY").create("a", json!({ "sink": sink.url(), "fail": 0 }));
            sink.wait_for(before + 1, &[]);
            server.terminate();
            let client = server.client();
            // The first is heard once nobody is let in any more.
            eventually("no more connections", || client.get("/").is_err().then_some(()));
            (server, ())
        });
    }
}
