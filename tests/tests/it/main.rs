//! miniflow as its users have it: the real program, real Workers, HTTP and signals.

mod bad_input;
mod crash;
mod examples;
mod readme;
mod restart;
