//! Outputs that are streams.

use miniflow_runtime::dispatcher::RestartFrom;
use miniflow_runtime::engine::limits;
use miniflow_runtime::{Begun, InstanceStatus, StepKind, StepOptions, Verdict};

use crate::guest::stream;
use crate::world::{Gate, World, bytes, text, with_id};

const CHUNK: usize = limits::STREAM_CHUNK_BYTES;

// rules: A45
#[tokio::test]
async fn a_restart_removes_what_was_written_before_it_is_written_again() {
    let gate = Gate::default();
    let given = gate.clone();
    let mut world = World::new(move |run, effects| {
        let gate = given.clone();
        async move {
            let read = stream(&run, "a", || async {
                if effects.add("a") == 2 {
                    gate.pass().await;
                }
                vec![CHUNK, 5]
            });
            Ok(bytes(read.await?.to_string()))
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!((text(&report.output.unwrap()), world.storage.chunks()), ((CHUNK + 5).to_string(), 2));
    handle.restart("w", "one", None).await.unwrap();
    world.effects.until("a", 2).await;
    assert_eq!(world.storage.chunks(), 0, "nothing of before is left while it is made again");
    gate.open();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!((text(&report.output.unwrap()), world.storage.chunks()), ((CHUNK + 5).to_string(), 2));
}

// rules: A45
#[tokio::test]
async fn a_restart_from_a_step_removes_what_that_one_and_later_ones_wrote() {
    let gate = Gate::default();
    let given = gate.clone();
    let mut world = World::new(move |run, effects| {
        let gate = given.clone();
        async move {
            let mut read = 0;
            for name in ["a", "b", "c"] {
                read += stream(&run, name, || async {
                    if effects.add(name) == 2 {
                        gate.pass().await;
                    }
                    vec![CHUNK, 5]
                })
                .await?;
            }
            Ok(bytes(read.to_string()))
        }
    });
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!(world.storage.chunks(), 6);
    let from = RestartFrom { name: "b".to_owned(), count: 1, kind: StepKind::Do };
    handle.restart("w", "one", Some(from)).await.unwrap();
    world.effects.until("b", 2).await;
    assert_eq!(world.storage.chunks(), 2, "what `a` wrote is kept, and nothing else");
    gate.open();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!((text(&report.output.unwrap()), world.storage.chunks()), ((3 * (CHUNK + 5)).to_string(), 6));
    assert_eq!(world.effects.order(), "a, b, c, b, c");
}

#[tokio::test]
async fn what_was_written_by_a_body_that_returns_something_else_is_not_kept() {
    let mut world = World::new(|run, _| async move {
        let Begun::Execute(attempt) = run.begin_step("a", StepOptions::default()).await else { unreachable!() };
        attempt.writer().write(&vec![7; CHUNK]).await?;
        let Verdict::Done = attempt.succeed(bytes("1")).await else { unreachable!() };
        stream(&run, "b", || async { vec![CHUNK] }).await.map(|read| bytes(read.to_string()))
    })
    .room(2 * CHUNK as u64);
    let handle = world.start();
    handle.create("w", with_id("one")).await.unwrap();
    let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
    assert_eq!((text(&report.output.unwrap()), world.storage.chunks()), (CHUNK.to_string(), 1));
}

// rules: C3-24
#[tokio::test]
async fn a_stream_is_kept_in_chunks_whatever_its_pieces_are_and_a_piece_has_sixteen_mebibytes_at_most() {
    for (pieces, chunks) in [
        (vec![], 0),
        (vec![1; 3], 1),
        (vec![CHUNK], 1),
        (vec![CHUNK, 1], 2),
        (vec![CHUNK - 1, 2, CHUNK], 3),
        (vec![16 << 20], 64),
        (vec![(16 << 20) + 1], 0),
    ] {
        let fits = pieces.iter().all(|piece| *piece <= 16 << 20);
        let all: usize = pieces.iter().sum();
        let mut world = World::new(move |run, _| {
            let pieces = pieces.clone();
            async move {
                let read = stream(&run, "a", || async { pieces.clone() }).await;
                Ok(bytes(read.map_or_else(|error| error.to_string(), |read| read.to_string())))
            }
        });
        let handle = world.start();
        handle.create("w", with_id("one")).await.unwrap();
        let report = world.drive_to(&handle, "one", InstanceStatus::Complete).await;
        let said = text(&report.output.unwrap());
        if fits {
            assert_eq!((said, world.storage.chunks()), (all.to_string(), chunks));
        } else {
            assert_eq!(
                said,
                "OversizedStreamChunkError: Step a-1 wrote a chunk of 16777217 bytes to its stream output. \
                 A chunk has at most 16777216 bytes (16 MiB)."
            );
        }
    }
}
