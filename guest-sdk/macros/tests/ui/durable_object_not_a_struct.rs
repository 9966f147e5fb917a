use miniflow_sdk::*;

#[durable_object]
async fn fetch() {}

#[durable_object]
enum Either {}

#[durable_object]
struct Generic<T> {
    value: T,
}

struct Class;

#[durable_object]
impl Class {}

#[durable_object]
trait Room {}

fn main() {}
