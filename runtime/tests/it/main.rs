//! The runtime as its users see it: real threads, real storage, workflows that are closures, time that is moved.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archive;
mod batches;
mod concurrency;
mod crash;
mod cron_clocks;
mod crons;
mod events;
mod footprint;
mod grid;
mod guest;
mod hibernation;
mod limits;
mod migrations;
mod model;
mod mover;
mod operations;
mod pause;
mod reload;
mod replay;
mod requests;
mod retention;
mod rollback;
mod steered;
mod storage;
mod streams;
mod trial;
mod waits;
mod world;
