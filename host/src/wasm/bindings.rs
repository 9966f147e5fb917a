//! The host's side of the WIT contract, generated from the same files as the SDK's.
//!
//! Types from here are named only in the `host.rs` files of [`crate::bindings`] and where an export is called.

use wasmtime::component::HasData;

use super::state::GuestState;

pub use generated::*;

mod generated {
    wasmtime::component::bindgen!({
        path: "../guest-sdk/wit",
        world: "all",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "miniflow:worker/steps.attempt": crate::bindings::steps::OpenAttempt,
            "miniflow:worker/steps.stored-stream": crate::bindings::steps::OpenStream,
            "miniflow:worker/workflow.subscription": crate::bindings::workflow::OpenSubscription,
        },
    });
}

/// Stands for [`GuestState`] in the generated traits: one marker for all interfaces.
pub struct Guest;

impl HasData for Guest {
    type Data<'a> = &'a mut GuestState;
}

// The interface has types only.
impl miniflow::worker::types::Host for GuestState {}

mod convert {
    use miniflow_runtime::ErrorInfo;
    use miniflow_runtime::engine::duration::DurationSpec;

    use super::miniflow::worker::types::{Duration, Error};

    impl From<Duration> for DurationSpec {
        fn from(duration: Duration) -> Self {
            match duration {
                Duration::Ms(ms) => Self::Ms(ms),
                Duration::Text(text) => Self::Text(text),
            }
        }
    }

    impl From<ErrorInfo> for Error {
        fn from(ErrorInfo { name, message, backtrace }: ErrorInfo) -> Self {
            Self { name, message, backtrace }
        }
    }

    impl From<Error> for ErrorInfo {
        fn from(Error { name, message, backtrace }: Error) -> Self {
            Self { name, message, backtrace }
        }
    }
}
