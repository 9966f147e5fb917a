//! Every operation on an instance of every status.

use std::fmt::Write as _;
use std::sync::Arc;

use miniflow_runtime::dispatcher::{RestartFrom, SubscribeOptions};
use miniflow_runtime::engine::RollbackOptions;
use miniflow_runtime::{ApiError, Bytes, CreateOptions, ErrorInfo, Handle, InstanceStatus, Run, StepKind};

use crate::guest::{Saga, step};
use crate::world::{Effects, World, boom, bytes, text, with_id};

const OPERATIONS: [&str; 11] = [
    "pause",
    "resume",
    "terminate",
    "terminate, rollback",
    "restart",
    "restart from",
    "restart from unknown",
    "send_event",
    "status",
    "subscribe",
    "delete",
];

/// How an instance comes to a status: what its params say.
const STATUSES: [(InstanceStatus, &str); 9] = [
    (InstanceStatus::Queued, "return"),
    (InstanceStatus::Running, "body"),
    (InstanceStatus::Waiting, "wait"),
    (InstanceStatus::WaitingForPause, "body"),
    (InstanceStatus::Paused, "wait"),
    (InstanceStatus::RollingBack, "undo"),
    (InstanceStatus::Complete, "return"),
    (InstanceStatus::Errored, "fail"),
    (InstanceStatus::Terminated, "wait"),
];

/// A step with a compensation, which is held for ever unless the instance is to fail at once; then what the params say.
async fn script(saga: Saga) -> Result<Bytes, ErrorInfo> {
    let what = text(&saga.run.event().payload);
    let held = what != "fail";
    let undo = move |_| async move {
        if held {
            std::future::pending::<()>().await;
        }
        Ok(())
    };
    saga.step_undone_by("a", RollbackOptions::default(), undo).await?;
    match what.as_str() {
        "body" => {
            saga.effects.add("held");
            step(&saga.run, "b", |_| std::future::pending()).await
        }
        "wait" => saga.run.wait_for_event("w", "go", None).await.map(|event| event.payload),
        "return" => Ok(bytes("1")),
        _ => Err(boom()),
    }
}

fn world() -> World {
    World::saga(|run: Arc<Run>, effects: Effects, handlers| script(Saga { run, effects, handlers }))
}

async fn operate(handle: &Handle, id: &str, operation: &str) -> Result<String, ApiError> {
    let from = |name: &str| Some(RestartFrom { name: name.into(), count: 1, kind: StepKind::Do });
    let done = match operation {
        "pause" => handle.pause("w", id).await,
        "resume" => handle.resume("w", id).await,
        "terminate" => handle.terminate("w", id, false).await,
        "terminate, rollback" => handle.terminate("w", id, true).await,
        "restart" => handle.restart("w", id, None).await,
        "restart from" => handle.restart("w", id, from("a")).await,
        "restart from unknown" => handle.restart("w", id, from("z")).await,
        "send_event" => handle.send_event("w", id, "go", bytes("2")).await,
        "status" => return handle.status("w", id).await.map(|report| report.status.to_string()),
        "subscribe" => handle.subscribe("w", id, SubscribeOptions::default()).await.map(drop),
        "delete" => handle.delete("w", id).await,
        other => panic!("{other}"),
    };
    done.map(|()| "ok".to_owned())
}

/// An instance `one` that has come to this status.
async fn bring(world: &World, handle: &Handle, status: InstanceStatus, params: &str) {
    let create = |id, params| CreateOptions { params: Some(bytes(params)), ..with_id(id) };
    if status == InstanceStatus::Queued {
        handle.create("w", create("first", "body")).await.unwrap();
        world.reach(handle, "first", InstanceStatus::Running).await;
    }
    handle.create("w", create("one", params)).await.unwrap();
    match status {
        InstanceStatus::WaitingForPause => {
            world.effects.until("held", 1).await;
            world.settle(handle).await;
            handle.pause("w", "one").await.unwrap();
        }
        InstanceStatus::Paused | InstanceStatus::Terminated => {
            world.reach(handle, "one", InstanceStatus::Waiting).await;
            operate(handle, "one", if status == InstanceStatus::Paused { "pause" } else { "terminate" }).await.unwrap();
        }
        InstanceStatus::Queued => {}
        _ => {
            world.settle(handle).await;
        }
    }
    world.reach(handle, "one", status).await;
}

// rules: S27, S29, C2.2-5, C2.2-10, C2.2-11, C2.2-15, C2.2-20, C2.2-22, C2.3-2, C2.3-3, C2.3-8, A79, A83, B15
#[tokio::test]
async fn every_operation_on_every_status() {
    let mut table = String::new();
    for (status, params) in STATUSES {
        for operation in OPERATIONS {
            let mut world = world();
            if status == InstanceStatus::Queued {
                world = world.limit(1);
            }
            let handle = world.start();
            bring(&world, &handle, status, params).await;
            let journal = world.storage.entries("one");
            let outcome = operate(&handle, "one", operation).await;
            if outcome.is_err() {
                assert_eq!(world.storage.entries("one"), journal, "what is refused leaves nothing behind");
            }
            world.settle(&handle).await;
            let after = match handle.status("w", "one").await {
                Ok(report) => report.status.to_string(),
                Err(error) => error.code.to_owned(),
            };
            let outcome = outcome.unwrap_or_else(|error| error.message);
            writeln!(table, "{:<17} {operation:<21} {after:<19} {outcome}", status.as_str()).unwrap();
            world.kill().await;
        }
        table.push('\n');
    }
    let mut world = world();
    let handle = world.start();
    for operation in OPERATIONS {
        let error = operate(&handle, "nobody", operation).await.unwrap_err();
        writeln!(table, "{:<17} {operation:<21} {:<19} {}", "not existing", error.code, error.message).unwrap();
    }
    insta::assert_snapshot!(table);
}
