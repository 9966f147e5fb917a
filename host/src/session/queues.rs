//! The queues of a session: what is sent to, and what is consumed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Member;
use super::connect::View;
use crate::bindings::Bound;
use crate::bindings::queue::BoundQueue;
use crate::bindings::queue::store::BatchRule;
use crate::config::{Problem, Problems, Project, QueueConsumer};
use crate::triggers::queue::{ConsumerOptions, Consumption};
use crate::wasm::Generation;

/// Complains of a Worker that is to consume queues and cannot.
pub(super) fn check(project: &Project, generation: &Generation) -> Result<(), Problems> {
    let Some(first) = project.queue_consumers.first().filter(|_| !generation.has_queue()) else { return Ok(()) };
    let queue = &first.queue;
    let problem = Problem::error(format!(
        "the Worker `{}` is to consume the queue `{queue}`, and has no handler for messages",
        project.name
    ));
    let problem = match &first.place {
        Some(place) => problem.at(place.clone()),
        None => problem,
    };
    Err(problem.with_hint("add a function with `#[event(queue)]`, or remove the consumer").into())
}

/// Complains about queues that two Workers consume.
pub(super) fn unique(views: &[View<'_>], problems: &mut Problems) {
    let mut consumers: BTreeMap<&str, &str> = BTreeMap::new();
    for project in views.iter().map(|view| view.project) {
        for consumer in &project.queue_consumers {
            // Twice in one configuration is told where that is read.
            if let Some(other) = consumers.insert(&consumer.queue, &project.name)
                && other != project.name
            {
                let problem = Problem::error(format!(
                    "the Workers `{other}` and `{}` both consume the queue `{}`",
                    project.name, consumer.queue
                ));
                let problem = match &consumer.place {
                    Some(place) => problem.at(place.clone()),
                    None => problem,
                };
                problems.push(problem.with_hint("a queue has one consumer: remove the other"));
            }
        }
    }
}

/// What the names of a Worker's queues stand for.
pub(super) fn bound(project: &Project) -> impl Iterator<Item = (String, Bound)> {
    project.queue_producers.iter().map(|producer| {
        let delay_s = producer.delivery_delay_s.unwrap_or_default();
        (producer.binding.clone(), Bound::Queue(BoundQueue { queue: producer.queue.clone(), delay_s }))
    })
}

/// What the Workers consume.
pub(super) fn consumptions(members: &[Arc<Member>]) -> Vec<Consumption> {
    let of = |member: &Arc<Member>| {
        let worker = member.name().to_owned();
        let consumers = member.project.queue_consumers.iter();
        consumers.map(move |consumer| Consumption { worker: worker.clone(), options: options(consumer) }).collect()
    };
    members.iter().flat_map::<Vec<_>, _>(of).collect()
}

/// Whether any of them has to do with queues.
pub(super) fn are_used(members: &[Arc<Member>]) -> bool {
    let uses = |project: &Project| !project.queue_producers.is_empty() || !project.queue_consumers.is_empty();
    members.iter().any(|member| uses(&member.project))
}

fn options(consumer: &QueueConsumer) -> ConsumerOptions {
    ConsumerOptions {
        queue: consumer.queue.clone(),
        batch: BatchRule {
            size_max: consumer.max_batch_size,
            timeout_ms: u64::from(consumer.max_batch_timeout_s) * 1000,
        },
        retries_max: consumer.max_retries,
        retry_delay_s: consumer.retry_delay_s,
        dead_letter_queue: consumer.dead_letter_queue.clone(),
        concurrency_max: consumer.max_concurrency.and_then(|limit| usize::try_from(limit).ok()),
    }
}
