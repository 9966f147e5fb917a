use miniflow_sdk::*;

#[workflow]
async fn run() {}

#[workflow]
enum Either {}

#[workflow]
struct Generic<T> {
    value: T,
}

struct Class;

#[workflow]
impl Class {}

#[workflow(name = "other")]
struct Named;

fn main() {}
