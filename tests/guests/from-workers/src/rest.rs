//! Time and errors.

use std::time::Duration;

use miniflow_sdk::*;
use serde_json::json;

pub(crate) async fn all() -> Result<Response> {
    console_debug!("what is left");
    let n = Date::now().as_millis();
    let same = Date::new(DateInit::Millis(n)).as_millis() == n;
    let duration = Duration::from_millis(1);
    Delay::from(duration).await;
    let passed = Date::now().as_millis() > n;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some("x".into()));
    let mut used = Request::new_with_init("http://name.invalid/", &init)?;
    let _ = used.bytes().await?;
    let io = Err(std::io::Error::other("io"));
    let errors = [
        Err("text".into()),
        used.bytes().await.map(drop),
        serde_json::from_str::<()>("{").map_err(Error::from),
        io.map_err(Error::from),
    ];
    let kinds: Vec<_> = errors
        .into_iter()
        .map(|outcome| match outcome {
            Err(Error::RustError(s)) => s,
            Err(Error::BodyUsed) => "used".to_owned(),
            Err(Error::SerdeJsonError(_)) => "json".to_owned(),
            _ => "another".to_owned(),
        })
        .collect();
    Response::from_json(&json!({ "same": same, "passed": passed, "kinds": kinds }))
}
