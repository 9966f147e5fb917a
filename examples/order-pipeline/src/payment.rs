//! Charging a card: the client, and a stand-in for the service that fails often enough to be interesting.

use miniflow_sdk::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The attempts that the stand-in refuses.
const REFUSED_ATTEMPTS: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Charge {
    order: String,
    cents: i64,
    attempt: u32,
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    receipt: String,
}

/// Charges the card and returns the receipt.
pub async fn charge(url: &str, order: &str, cents: i64, attempt: u32) -> Result<String> {
    let charge = Charge { order: order.to_owned(), cents, attempt };
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(serde_json::to_string(&charge)?.into()));
    // A service that sees the same key again charges only once: a step may be cut off after the request was sent.
    init.headers.set("idempotency-key", order)?;
    init.headers.set("content-type", "application/json")?;

    let mut response = Fetch::Request(Request::new_with_init(url, init)?).send().await?;
    match response.status_code() {
        200 => Ok(response.json::<Receipt>().await?.receipt),
        // Trying again does not make a bad request good.
        400..500 => Err(NonRetryableError::new(response.text().await?).with_name("PaymentRefused").into()),
        status => Err(format!("the payment service answered {status}").into()),
    }
}

/// Answers `POST /fake-payment`: 503 for the first attempts of each order, then a receipt.
pub async fn fake_service(mut req: Request, _ctx: RouteContext<()>) -> Result<Response> {
    let charge: Charge = req.json().await?;
    if charge.attempt <= REFUSED_ATTEMPTS {
        return Response::error("try again later", 503);
    }
    Response::from_json(&json!({ "receipt": format!("charge-of-{}", charge.order) }))
}
