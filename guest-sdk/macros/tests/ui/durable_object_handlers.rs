use miniflow_sdk::*;

#[durable_object(websocket)]
struct Chat;

#[durable_object(fetch, alarms)]
struct Alarmed;

#[durable_object(name = "Other")]
struct Named;

fn main() {}
