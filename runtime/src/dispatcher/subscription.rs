//! Following an instance: what is recorded of it, then each fact when it is durable.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::ApiError;
use super::core::{Core, chain};
use super::message::{InstanceKey, Reply};
use super::requests::refuse;
use crate::engine::Stamped;
use crate::engine::events::{InstanceEvent, Projector};
use crate::storage::Storage;

/// The entries of an instance in the order of its journal, in portions as they were committed.
pub(crate) type Feed = (Arc<str>, Arc<[u8]>, mpsc::UnboundedReceiver<Arc<[Stamped]>>);

/// Who follows an instance: gets every portion. Bounded by the journal it follows.
pub(super) type Follower = mpsc::UnboundedSender<Arc<[Stamped]>>;

impl<S: Storage> Core<S> {
    /// Sends the journal, which must be committed, and whatever is committed from now on.
    pub(super) fn follow(&mut self, key: InstanceKey, reply: Reply<Feed>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let found = self.storage.load(key).and_then(|found| {
            let mut entries = Vec::new();
            self.storage.journal(key, &mut |stamped| entries.push(stamped))?;
            Ok(found.map(|(fixed, _)| (fixed, entries)))
        });
        match found {
            Ok(Some((fixed, entries))) => {
                let _ = sender.send(entries.into());
                self.subscribers.entry(key).or_default().push(sender);
                let feed = (Arc::from(fixed.id), Arc::from(&fixed.payload[..]), receiver);
                // The asker may have gone.
                let _ = reply.send(Ok(feed));
            }
            Ok(None) => refuse(reply, ApiError::not_found()),
            Err(error) => {
                tracing::error!(instance.key = key, error = %chain(&error), "cannot read a journal");
                refuse(reply, ApiError::internal());
            }
        }
    }

    /// These entries of the instance are durable now.
    pub(super) fn publish(&mut self, key: InstanceKey, entries: Vec<Stamped>) {
        if let Some(followers) = self.subscribers.get_mut(&key) {
            let entries: Arc<[Stamped]> = entries.into();
            followers.retain(|follower| follower.send(Arc::clone(&entries)).is_ok());
            if followers.is_empty() {
                self.subscribers.remove(&key);
            }
        }
    }
}

/// The events of one instance: those recorded, then each as it happens. Ends after the instance's end, or when it is deleted.
pub struct Subscription {
    instance_id: Arc<str>,
    feed: mpsc::UnboundedReceiver<Arc<[Stamped]>>,
    projector: Projector,
    ready: std::collections::VecDeque<InstanceEvent>,
    /// The last event its reader has.
    cursor: u64,
    filter: Option<Vec<String>>,
    ended: bool,
}

/// What a subscriber wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// The last event it has. None: from the beginning.
    pub cursor: Option<u64>,
    /// Types of events. None: all. The end of the instance ends the subscription in any case.
    pub filter: Option<Vec<String>>,
}

impl Subscription {
    pub(super) fn new((instance_id, payload, feed): Feed, options: SubscribeOptions) -> Self {
        Self {
            instance_id,
            feed,
            projector: Projector::new(payload),
            ready: std::collections::VecDeque::new(),
            cursor: options.cursor.unwrap_or(0),
            filter: options.filter,
            ended: false,
        }
    }

    /// Id of the instance.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// The next event, as soon as there is one; none after the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<InstanceEvent> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                // Of an instance that was restarted since, the end that came before is not the end.
                self.ended = event.kind.is_end();
                if self.ended && !self.ready.is_empty() {
                    self.ended = false;
                }
                let wanted = self.filter.as_ref().is_none_or(|types| types.iter().any(|t| t == event.kind.name()));
                if event.id > self.cursor && wanted {
                    return Some(event);
                }
            }
            if self.ended {
                return None;
            }
            for stamped in self.feed.recv().await?.iter() {
                self.projector.take(stamped, &mut self.ready);
            }
        }
    }
}
