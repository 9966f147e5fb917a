//! Events: to an instance, and of one.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use miniflow_runtime::dispatcher::SubscribeOptions;

use super::names;
use crate::api::Context;
use crate::api::envelope::Reply;
use crate::api::failure::Failure;
use crate::api::model::{EventSent, Json};
use crate::api::request::Call;
use crate::bindings::workflow::event::to_json;

/// Sends an event; its payload is the body, null when there is none.
pub(super) async fn send(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let (workflow, id) = names(call);
    let payload: Option<Json> = call.json()?;
    let payload =
        payload.map_or_else(|| Bytes::from_static(b"null"), |json| Bytes::from(Box::<str>::from(json).into_string()));
    let sent = context.handle().send_event(workflow, id, call.parameter(2), payload).await;
    if let Err(error) = sent {
        return Err(context.refused(error, workflow, id).await);
    }
    Reply::of(&EventSent { instance_id: id.to_owned(), timestamp: context.now(), success: true })
}

/// Follows an instance to its end: one event a message, in the form that guests get.
pub(super) async fn subscribe(context: &Context<'_>, call: &Call) -> Result<Reply, Failure> {
    let (workflow, id) = names(call);
    // A browser that connects again says where it was.
    let seen = call.headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let cursor = match call.query.text("cursor").or(seen) {
        None => None,
        Some(text) => match text.parse() {
            Ok(cursor) => Some(cursor),
            Err(_) => return Err(Failure::Invalid(format!("cursor: `{text}` is not the id of an event"))),
        },
    };
    let filter = call.query.list("filter");
    let options = SubscribeOptions { cursor, filter: (!filter.is_empty()).then_some(filter) };
    let subscription = match context.handle().subscribe(workflow, id, options).await {
        Ok(subscription) => subscription,
        Err(error) => return Err(context.refused(error, workflow, id).await),
    };
    let events = stream::unfold(subscription, async |mut subscription| {
        let event = subscription.next().await?;
        let mut message = format!("id: {}\ndata: ", event.id).into_bytes();
        message.extend(to_json(subscription.instance_id(), &event));
        message.extend(b"\n\n");
        Some((Bytes::from(message), subscription))
    });
    Ok(Reply::Events(events.boxed()))
}
