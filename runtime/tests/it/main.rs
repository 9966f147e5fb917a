//! The runtime as its users see it: real threads, real storage, workflows that are closures, time that is moved.

mod crash;
mod hibernation;
mod replay;
mod requests;
mod storage;
mod world;
