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
        // The guest stands still while its storage works, although that is on another thread.
        imports: {
            "miniflow:worker/object-storage.get": async | trappable,
            "miniflow:worker/object-storage.put": async | trappable,
            "miniflow:worker/object-storage.delete": async | trappable,
            "miniflow:worker/object-storage.delete-all": async | trappable,
            "miniflow:worker/object-storage.list": async | trappable,
            "miniflow:worker/object-storage.begin": async | trappable,
            "miniflow:worker/object-storage.commit": async | trappable,
            "miniflow:worker/object-storage.rollback": async | trappable,
            "miniflow:worker/object-storage.sync": async | trappable,
            "miniflow:worker/object-storage.get-alarm": async | trappable,
            "miniflow:worker/object-storage.set-alarm": async | trappable,
            "miniflow:worker/object-storage.delete-alarm": async | trappable,
            "miniflow:worker/object-sql.exec": async | trappable,
            "miniflow:worker/object-sql.database-size": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "wasi:clocks/types": wasmtime_wasi::p3::bindings::clocks::types,
            "wasi:http/types": wasmtime_wasi_http::p3::bindings::http::types,
            "miniflow:worker/steps.attempt": crate::bindings::steps::OpenAttempt,
            "miniflow:worker/steps.stored-stream": crate::bindings::steps::OpenStream,
            "miniflow:worker/queue.batch": crate::bindings::queue::OpenBatch,
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
