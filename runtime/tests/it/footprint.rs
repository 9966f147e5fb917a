//! What is recorded is not held in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use miniflow_runtime::dispatcher::CronOptions;
use miniflow_runtime::engine::limits;
use miniflow_runtime::storage::SqliteStorage;
use miniflow_runtime::testing::{ScriptedRunner, SimClock};
use miniflow_runtime::{Bytes, Dispatcher, DurationSpec, Handle, InstanceStatus, Options, WorkflowDefinition};

use crate::guest::step;
use crate::world::{START, with_id};

/// Counts the buffers that are alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Buffer(Arc<AtomicUsize>);

impl Alive {
    fn buffer(&self) -> Bytes {
        self.0.fetch_add(1, Ordering::SeqCst);
        Bytes::from_owner(Buffer(Arc::clone(&self.0)))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        b"\"what takes room\""
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn until(handle: &Handle, wanted: InstanceStatus) {
    for _ in 0..1_000_000 {
        if handle.status("w", "one").await.unwrap().status == wanted {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never {wanted}: {:?}", handle.status("w", "one").await);
}

// rules: B31
#[tokio::test]
async fn outputs_and_events_that_nobody_waits_for_are_on_the_disk_only() {
    const MANY: usize = 300;
    let (alive, most) = (Alive::default(), Arc::new(AtomicUsize::new(0)));
    let (made, seen) = (alive.clone(), Arc::clone(&most));
    let runner = ScriptedRunner::new().class("W", move |run, _| {
        let (alive, most) = (made.clone(), Arc::clone(&seen));
        async move {
            run.sleep("nap", DurationSpec::Text("1 day".into())).await?;
            for n in 0..MANY {
                step(&run, &format!("s{n}"), |_| std::future::ready(Ok(alive.buffer()))).await?;
                most.fetch_max(alive.count(), Ordering::SeqCst);
            }
            Ok(Bytes::from_static(b"1"))
        }
    });
    let clock = SimClock::at(START);
    let dispatcher = Dispatcher::start(Options {
        storage: SqliteStorage::in_memory().unwrap(),
        reader: None,
        clock: Arc::new(clock.clone()),
        runner: Arc::new(runner),
        workflows: vec![WorkflowDefinition::new("w", "W", "worker")],
        account_concurrency: limits::CONCURRENCY_ACCOUNT_MAX,
        crons: CronOptions::default(),
    })
    .unwrap();
    let handle = dispatcher.handle();
    handle.create("w", with_id("one")).await.unwrap();
    until(&handle, InstanceStatus::Waiting).await;
    for _ in 0..MANY {
        handle.send_event("w", "one", "go", alive.buffer()).await.unwrap();
    }
    while handle.overview().await.unwrap().resident > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(alive.count(), 0, "events of an instance that sleeps");
    clock.advance_ms(24 * 3600 * 1000);
    until(&handle, InstanceStatus::Complete).await;
    assert!(most.load(Ordering::SeqCst) < 10, "{most:?} outputs were in memory together");
    dispatcher.shutdown(std::time::Duration::ZERO).await;
    assert_eq!(alive.count(), 0);
}
