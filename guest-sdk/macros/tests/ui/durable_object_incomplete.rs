use miniflow_sdk::*;

#[durable_object]
pub struct Counter {
    state: State,
}

impl DurableObject for Counter {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }
}

#[durable_object]
pub struct Changed {
    count: u32,
}

impl DurableObject for Changed {
    fn new(_state: State) -> Self {
        Self { count: 0 }
    }

    async fn fetch(&self, _req: Request) -> Result<Response> {
        Response::ok(self.count.to_string())
    }
}

fn main() {}
