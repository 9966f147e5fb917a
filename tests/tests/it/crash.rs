//! The process is killed with work in flight, and started again: nothing is lost, nothing recorded runs again.
//!
//! What happened is counted outside of the process, by a bank that is charged. Moments are chosen by a seed that is printed;
//! `MINIFLOW_TEST_SEED` sets it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use miniflow_tests::{Client, Dev, Patience, Reply, Seen, Server, Sink, bound};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::examples::orders_charged_at;

/// An attempt that a kill cuts off counts: with five retries, as all steps here have, there is one left after so many.
const KILLS: usize = 5;

pub(crate) fn random() -> StdRng {
    let seed = match std::env::var("MINIFLOW_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    };
    println!("MINIFLOW_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn charge(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

fn order_of(seen: &Seen) -> String {
    charge(seen)["order"].as_str().unwrap().to_owned()
}

fn receipt(seen: &Seen) -> Reply {
    Reply::Answer(200, json!({ "receipt": format!("receipt-of-{}", order_of(seen)) }).to_string())
}

fn charges(bank: &Sink, order: &str) -> usize {
    bank.seen().iter().filter(|seen| order_of(seen) == order).count()
}

fn charges_of_all(bank: &Sink) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for seen in bank.seen() {
        *times.entry(order_of(&seen)).or_default() += 1;
    }
    times
}

/// Places an order and approves it in advance, as somebody does who asks again until there is an answer.
fn place_approved(client: &Client, order: &str) -> bool {
    let placed = client.post("/orders", json!({ "id": order, "item": "lamp", "cents": 4200 }));
    let exists = placed.is_ok_and(|answer| answer.status == 201 || answer.text().contains("already_exists"));
    exists && approve(client, order)
}

fn approve(client: &Client, order: &str) -> bool {
    let approved = client.post(&format!("/orders/{order}/approve"), json!({ "by": "Ada" }));
    approved.is_ok_and(|answer| answer.status == 200 || answer.text().contains("cannot_send_event"))
}

/// Whether the charge is recorded: the order sleeps, waits, or is through.
fn is_charged(client: &Client, order: &str) -> bool {
    let status = client.get(&format!("/orders/{order}"));
    status.is_ok_and(|answer| {
        answer.status == 200 && ["waiting", "complete"].iter().any(|s| answer.json()["status"] == *s)
    })
}

#[track_caller]
fn assert_shipped(server: &Server, orders: &[String]) {
    let patience = Patience::default();
    for order in orders {
        let status = loop {
            let status = server.get(&format!("/orders/{order}")).expect(200).json();
            if status["status"] == "complete" || status["status"] == "errored" {
                break status;
            }
            assert!(patience.wait(), "{order} is still {status}");
        };
        let receipt = format!("receipt-of-{order}");
        let output = json!({ "outcome": "shipped", "receipt": receipt, "approved_by": "Ada" });
        assert_eq!(status, json!({ "status": "complete", "output": output, "rollback": null }), "{order}");
    }
}

// rules: C4.1-1, B1
#[test]
fn hundreds_of_orders_in_flight_complete_after_a_kill_without_being_touched() {
    const ORDERS: usize = 400;
    // Every second order is being charged when the process dies: the bank keeps it waiting until then.
    let is_slow = |order: &str| order.ends_with(['1', '3', '5', '7', '9']);
    let is_open = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&is_open);
    let bank = Sink::answering(move |seen| {
        if is_slow(&order_of(seen)) && !open.load(Ordering::SeqCst) { Reply::Never } else { receipt(seen) }
    });
    let dev = orders_charged_at(bank.url());
    let orders: Vec<String> = (0..ORDERS).map(|number| format!("order-{number}")).collect();
    let (first, last) = orders.split_at(ORDERS - 60);

    let server = dev.start();
    let client = server.client();
    std::thread::scope(|scope| {
        for part in first.chunks(ORDERS / 4) {
            scope.spawn(|| assert!(part.iter().all(|order| place_approved(&client, order))));
        }
    });
    bank.wait_for(first.len(), &[]);
    // Whose charge is known to be recorded is not charged again.
    let recorded: Vec<&String> = first.iter().filter(|order| is_charged(&client, order)).collect();
    // These are anywhere.
    assert!(last.iter().all(|order| place_approved(&client, order)));
    let log = server.kill();
    let before = charges_of_all(&bank);
    is_open.store(true, Ordering::SeqCst);
    let ended: usize = log.lines().filter(|line| line.ends_with(" complete")).count();
    assert!(ended <= ORDERS / 2, "at most {ended} had ended");

    let server = dev.start();
    assert_shipped(&server, &orders);
    let times = charges_of_all(&bank);
    for order in first {
        // A charge that was under way is made once more, with the same key.
        let expected = if is_slow(order) { 1..=1 } else { 0..=1 };
        let again = times[order] - before[order];
        assert!(expected.contains(&again), "{order} was charged {again} times after the kill");
    }
    for order in last {
        assert!((1..=2).contains(&times[order]), "{order} was charged {} times", times[order]);
    }
    for order in recorded {
        assert_eq!(times[order], 1, "{order} was charged again although that was recorded");
    }
    let log = log + &server.kill();
    for order in &orders {
        let ends = log.lines().filter(|line| line.ends_with(&format!("order-workflow/{order} complete"))).count();
        assert!(ends <= 1, "{order} ended {ends} times");
    }
}

// rules: C4.1-1, B1
#[test]
fn orders_survive_kills_at_random_moments() {
    let mut random = random();
    let bank = Arc::new(Sink::answering(receipt));
    let dev = orders_charged_at(bank.url());
    let mut orders: Vec<String> = Vec::new();
    let mut unsure: Vec<String> = Vec::new();
    // How often each order had been charged when its charge was first seen to be recorded.
    let mut recorded: BTreeMap<String, usize> = BTreeMap::new();

    for kill in 0..KILLS {
        let server = dev.start();
        let client = server.client();
        let new: Vec<String> = (0..40).map(|number| format!("order-{kill}-{number}")).collect();
        let wait_for = bank.seen().len() + random.random_range(1..=new.len());
        let all: Vec<&String> = orders.iter().chain(&new).collect();
        std::thread::scope(|scope| {
            // They are placed until the server is gone.
            let placing =
                scope.spawn(|| new.iter().filter(|order| !place_approved(&client, order)).collect::<Vec<_>>());
            let looking = scope.spawn(|| look(&client, &all, &bank));
            bank.wait_for(wait_for, &[]);
            server.kill();
            unsure.extend(placing.join().unwrap().into_iter().cloned());
            for (order, times) in looking.join().unwrap() {
                recorded.entry(order).or_insert(times);
            }
        });
        orders.extend(new);
    }

    let server = dev.start();
    // Who had no answer asks again.
    for order in &unsure {
        assert!(place_approved(&server.client(), order), "{order}");
    }
    assert_shipped(&server, &orders);
    for (order, times) in &recorded {
        assert_eq!(charges(&bank, order), *times, "{order} was charged again although that was recorded");
    }
    let total = bank.seen().len();
    assert!(!recorded.is_empty(), "no kill came after a charge");
    // A kill costs at most what was under way: each order repeats its charge once per kill.
    for order in &orders {
        assert!((1..=1 + KILLS).contains(&charges(&bank, order)), "{order}: {} charges", charges(&bank, order));
    }
    println!("{total} charges for {} orders, {} seen to be recorded in time", orders.len(), recorded.len());
}

/// Looks at the orders until the server is gone; returns those whose charge was recorded, with how often they were charged.
fn look(client: &Client, orders: &[&String], bank: &Sink) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    while client.get("/").is_ok() {
        for order in orders {
            if !found.contains_key(*order) && is_charged(client, order) {
                found.insert((*order).clone(), charges(bank, order));
            }
        }
    }
    found
}

// rules: C4.1-1, B1
#[test]
fn no_step_runs_again_once_the_next_one_has_begun() {
    check_steps(&Dev::guest("behaviours"), 40, 12);
}

// rules: B1
#[test]
fn a_queue_survives_kills_and_everybody_has_their_turn() {
    let mut workflow = bound("ManySteps");
    workflow["concurrency"] = json!({ "limit": 3 });
    check_steps(&Dev::guest("behaviours").config(json!({ "workflows": [workflow] })), 60, 6);
}

/// Kills instances of `steps` steps each at random moments, and looks at the order in which their bodies ran.
#[track_caller]
fn check_steps(dev: &Dev, instances: usize, steps: usize) {
    let mut random = random();
    let sink = Sink::start();
    let ids: Vec<String> = (0..instances).map(|number| format!("i{number}")).collect();
    let server = dev.start();
    let params = json!({ "sink": sink.url(), "n": steps });
    server.workflow("MANY_STEPS").create_all(ids.iter().cloned(), &params);
    let mut server = Some(server);
    for _ in 0..KILLS {
        let running = server.take().unwrap_or_else(|| dev.start());
        let seen = sink.seen().len();
        // Each body runs at least once, so there are at least so many to come.
        let left = (instances * steps).saturating_sub(seen);
        if left > 1 {
            sink.wait_for(seen + random.random_range(1..=(left / 3).max(1)), &[]);
        }
        running.kill();
    }

    let server = dev.start();
    for id in &ids {
        assert_eq!(server.workflow("MANY_STEPS").instance(id).output(), json!({ "steps": steps }));
    }
    let seen = sink.seen();
    for id in &ids {
        let ran: Vec<usize> = seen.iter().filter(|seen| seen.param("id") == id).map(step_number).collect();
        let mut expected = 1;
        for step in &ran {
            // The one that was under way, or the next.
            assert!(*step == expected || *step + 1 == expected, "{id} ran its steps in the order {ran:?}");
            expected = step + 1;
        }
        assert_eq!(expected, steps + 1, "{id} ran its steps in the order {ran:?}");
        assert!(ran.len() <= steps + KILLS, "{id} ran its steps in the order {ran:?}");
    }
}

fn step_number(seen: &Seen) -> usize {
    seen.param("kind").strip_prefix("step-").unwrap().parse().unwrap()
}
