//! Checks `queues` of a configuration, with wrangler's words and production's defaults and bounds.

use super::fields::{self, Fields, check_keys};
use super::problem::{Problem, Problems};
use super::raw::{Document, Node};
use super::resolved::{QueueConsumer, QueueProducer};

const BATCH_SIZE: u32 = 10;
const BATCH_SIZE_MAX: u32 = 100;
const BATCH_TIMEOUT_S: u32 = 5;
const BATCH_TIMEOUT_S_MAX: u32 = 60;
const RETRIES: u32 = 3;
const RETRIES_MAX: u32 = 100;
const CONCURRENCY_MAX: u32 = 250;
const DELAY_S_MAX: u32 = 86_400;

/// The queues of a configuration.
#[derive(Debug, Default)]
pub(super) struct Queues {
    pub(super) producers: Vec<QueueProducer>,
    pub(super) consumers: Vec<QueueConsumer>,
}

/// Takes the queues from `document`.
pub(super) fn queues(document: &Document, problems: &mut Problems) -> Queues {
    let Some(node) = document.root.get("queues") else { return Queues::default() };
    let field = document.field("queues");
    let Some(node) = fields::object(document, node, &field, problems) else { return Queues::default() };
    check_keys(document, node, &field, &["consumers", "producers"], problems);
    let mut queues = Queues::default();
    if let Some(list) = node.get("consumers") {
        let field = format!("{field}.consumers");
        for (index, item) in fields::items(document, list, &field, problems).iter().enumerate() {
            queues.consumers.extend(consumer(document, item, format!("{field}[{index}]"), problems));
        }
    }
    if let Some(list) = node.get("producers") {
        for (field, item) in fields::bindings(document, list, &format!("{field}.producers"), "queue", problems) {
            queues.producers.extend(producer(Fields::of_binding(document, item, field, problems)));
        }
    }
    check_consumers(&queues.consumers, problems);
    queues
}

fn producer(mut fields: Fields<'_>) -> Option<QueueProducer> {
    fields.check_keys(&["binding", "queue", "delivery_delay", "remote"]);
    let binding = fields.required("binding", "the name under which the Worker finds the queue, such as `MY_QUEUE`");
    let queue = match fields.node.get("queue") {
        Some(node) => match node.text() {
            Some(queue) if !queue.is_empty() => Some(queue),
            _ => {
                let message = format!(
                    "\"{}\" bindings should optionally have a non-empty string \"queue\" field but got {}.",
                    fields.field,
                    fields.node.to_json()
                );
                fields.error(node, message, "write the name of the queue, such as `my-queue`");
                return None;
            }
        },
        None => None,
    };
    let delivery_delay_s = fields.number("delivery_delay", 0, DELAY_S_MAX);
    fields.check_remote();
    let (node, binding) = binding?;
    Some(QueueProducer {
        binding: binding.to_owned(),
        queue: queue.unwrap_or(binding).to_owned(),
        delivery_delay_s,
        place: Some(fields.place(node)),
    })
}

fn consumer(document: &Document, node: &Node, field: String, problems: &mut Problems) -> Option<QueueConsumer> {
    let mut fields = Fields::of(document, node, field, problems);
    if node.entries().is_none() {
        let message = format!("\"{}\" should be a objects, but got {}", fields.field, node.to_json());
        fields.error(node, message, "write `{ \"queue\": … }`");
        return None;
    }
    fields.check_keys(&[
        "queue",
        "type",
        "max_batch_size",
        "max_batch_timeout",
        "max_retries",
        "dead_letter_queue",
        "max_concurrency",
        "visibility_timeout_ms",
        "retry_delay",
    ]);
    if let Some(kind) = node.get("type").filter(|kind| kind.text() != Some("worker")) {
        let shown = kind.text().map_or_else(|| kind.to_json(), str::to_owned);
        let message = format!(
            "\"{}.type\" has an invalid value \"{shown}\". Only \"worker\" consumers can be configured in your Wrangler \
             configuration.",
            fields.field
        );
        fields.error(kind, message, "leave `type` out");
    }
    let queue = fields.required("queue", "the name of the queue, such as `my-queue`");
    let max_batch_size = fields.number("max_batch_size", 1, BATCH_SIZE_MAX).unwrap_or(BATCH_SIZE);
    let max_batch_timeout_s = fields.number("max_batch_timeout", 0, BATCH_TIMEOUT_S_MAX).unwrap_or(BATCH_TIMEOUT_S);
    let max_retries = fields.number("max_retries", 0, RETRIES_MAX).unwrap_or(RETRIES);
    let dead_letter_queue = fields.optional("dead_letter_queue");
    let max_concurrency = fields.number("max_concurrency", 1, CONCURRENCY_MAX);
    // Of consumers that pull, which are not configured here.
    fields.number("visibility_timeout_ms", 0, u32::MAX);
    let retry_delay_s = fields.number("retry_delay", 0, DELAY_S_MAX).unwrap_or_default();
    let (queue_node, queue) = queue?;
    if let Some((node, _)) = dead_letter_queue.filter(|(_, dead)| *dead == queue) {
        let message = format!("Dead letter queue for queue \"{queue}\" cannot be itself");
        fields.error(node, message, "name another queue, or leave `dead_letter_queue` out");
    }
    Some(QueueConsumer {
        queue: queue.to_owned(),
        max_batch_size,
        max_batch_timeout_s,
        max_retries,
        dead_letter_queue: dead_letter_queue.map(|(_, queue)| queue.to_owned()),
        max_concurrency,
        retry_delay_s,
        place: Some(fields.place(queue_node)),
    })
}

/// Reports a queue that is consumed twice.
fn check_consumers(consumers: &[QueueConsumer], problems: &mut Problems) {
    for (index, consumer) in consumers.iter().enumerate() {
        if let Some(first) = consumers[..index].iter().find(|first| first.queue == consumer.queue) {
            let problem = Problem::error(format!("queue `{}` has more than one consumer", consumer.queue))
                .with_hint("a queue has one consumer: remove the others");
            let problem = consumer.place.iter().fold(problem, |problem, place| problem.at(place.clone()));
            problems.push(first.place.iter().fold(problem, |problem, place| problem.also_at(place.clone())));
        }
    }
}
