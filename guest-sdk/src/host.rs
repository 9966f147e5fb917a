//! The line between a Worker and a native build of the same crate.
//!
//! A Worker's crate compiles and unit-tests natively, but there is no host behind the imports then. What needs one
//! says so by name instead of failing inside generated code.

/// Panics in a native build with a text that names `what` was asked for.
#[inline]
pub(crate) fn required(what: &str) {
    if cfg!(not(target_family = "wasm")) {
        panic!(
            "{what} needs the host of a Worker; this is a native build (test the logic around it, or run the Worker)"
        );
    }
}
