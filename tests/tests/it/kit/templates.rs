//! The tests that a new project has: compiled here, so that the host is compiled once for all of them. They are formatted as a new project is.

#[path = "../../../../templates/cron/tests/worker.rs"]
#[rustfmt::skip]
mod cron;
#[path = "../../../../templates/hello/tests/worker.rs"]
#[rustfmt::skip]
mod hello;
#[path = "../../../../templates/queue/tests/worker.rs"]
#[rustfmt::skip]
mod queue;
#[path = "../../../../templates/workflow/tests/worker.rs"]
#[rustfmt::skip]
mod workflow;
