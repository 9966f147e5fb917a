//! The tests that the examples have: compiled here, so that the host is compiled once for all of them.

#[path = "../../../../examples/from-cron/tests/worker.rs"]
mod from_cron;
#[path = "../../../../examples/from-durable-object/tests/worker.rs"]
mod from_durable_object;
#[path = "../../../../examples/from-queue/tests/worker.rs"]
mod from_queue;
#[path = "../../../../examples/from-schedule/tests/worker.rs"]
mod from_schedule;
#[path = "../../../../examples/hello/tests/worker.rs"]
mod hello;
#[path = "../../../../examples/order-pipeline/tests/worker.rs"]
mod order_pipeline;
#[path = "../../../../examples/parent-child/tests/worker.rs"]
mod parent_child;
#[path = "../../../../examples/trigger-from-fetch/tests/worker.rs"]
mod trigger_from_fetch;
