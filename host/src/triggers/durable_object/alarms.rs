//! One timer for the alarms of all objects.

use std::sync::{Arc, Weak};

use miniflow_runtime::{Clock, Timestamp};

use super::objects::Shared;
use crate::bindings::durable_object::Alarms;

/// Wakes objects when their alarms go off, for as long as there are any.
pub(super) async fn ring(alarms: Alarms, clock: Arc<dyn Clock>, objects: Weak<Shared>) {
    loop {
        let next = alarms.next();
        if next == Timestamp::MAX {
            // A sleep that never ends would be a moment that the clock could be moved to.
            alarms.changed().await;
            continue;
        }
        let due = clock.due(next);
        // Cancel-safe: what is due stays so until it is taken.
        tokio::select! {
            hold = due => {
                let Some(objects) = objects.upgrade() else { return };
                for (object, alarm) in alarms.take_due(clock.now()) {
                    objects.wake(object, alarm, clock.hold());
                }
                drop(hold);
            }
            () = alarms.changed() => {}
        }
    }
}
