use miniflow_sdk::*;

#[durable_object]
pub struct Forgotten {
    state: State,
}

fn main() {}
