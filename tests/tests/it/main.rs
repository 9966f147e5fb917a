//! miniflow as its users have it: the real program, real Workers, HTTP and signals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a random test says its seed")]

mod api;
mod bad_input;
mod bench_worker;
mod cli;
mod clients;
mod configuration;
mod conformance;
mod connections;
mod crash;
mod crash_bindings;
mod cron_commands;
mod crons;
mod crowd;
mod edge;
mod edits;
mod examples;
mod extremes;
mod from_workers;
mod http;
mod isolation;
#[cfg(unix)]
mod keys;
mod kit;
mod kv;
mod limits;
mod messages;
mod network;
mod new;
mod objects;
mod operations;
mod outputs;
mod queues;
mod readme;
mod reload;
mod reload_bindings;
mod reload_checks;
mod restart;
mod rollback;
mod scheduled;
mod sdk_bindings;
mod services;
mod sessions;
mod state;
mod terminal;
mod tidy;
mod time;
mod tls;
mod verify;
mod workflows;
