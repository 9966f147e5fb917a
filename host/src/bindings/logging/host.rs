//! `logging` of the WIT contract.

use super::Level;
use crate::wasm::GuestState;
use crate::wasm::bindings::miniflow::worker::logging::{Host, Level as WitLevel};

impl Host for GuestState {
    fn log(&mut self, level: WitLevel, message: String) -> wasmtime::Result<()> {
        let level = match level {
            WitLevel::Debug => Level::Debug,
            WitLevel::Info => Level::Info,
            WitLevel::Log => Level::Log,
            WitLevel::Warn => Level::Warn,
            WitLevel::Error => Level::Error,
        };
        self.console().log(level, message);
        Ok(())
    }
}
