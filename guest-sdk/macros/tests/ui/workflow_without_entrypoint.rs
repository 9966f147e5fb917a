use miniflow_sdk::*;

#[workflow]
pub struct Forgotten {
    env: Env,
}

fn main() {}
