//! A component without anything a dev server could call: what it says about such a thing is tested with it.

#[unsafe(no_mangle)]
pub extern "C" fn answer() -> u32 {
    42
}
