//! A server that is stopped or killed, and started again on the same state.
