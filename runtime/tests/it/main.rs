//! The runtime as its users see it: real threads, real storage, workflows that are closures, time that is moved.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crash;
mod hibernation;
mod replay;
mod requests;
mod storage;
mod world;
