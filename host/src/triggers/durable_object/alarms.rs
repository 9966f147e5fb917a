//! One timer for the alarms of all objects.

use std::sync::{Arc, Weak};

use futures::FutureExt as _;
use miniflow_runtime::clock::Hold;
use miniflow_runtime::{Clock, Timestamp};

use super::objects::Shared;
use crate::bindings::durable_object::Alarms;

/// Wakes objects when their alarms go off, for as long as there are any.
pub(super) async fn ring(alarms: Alarms, clock: Arc<dyn Clock>, objects: Weak<Shared>) {
    // The moment that was waited for is not over until nothing is left of it.
    let mut moment: Option<Hold> = None;
    loop {
        let looks = alarms.take_hold();
        for (object, alarm) in alarms.take_due(clock.now()) {
            let Some(objects) = objects.upgrade() else { return };
            clock.note_due(&format_args!("the alarm of {} goes off", object.place()));
            objects.wake(object, alarm, clock.hold());
        }
        let next = alarms.next();
        if next == Timestamp::MAX {
            drop((moment.take(), looks));
            // A sleep that never ends would be a moment that the clock could be moved to.
            alarms.changed().await;
            continue;
        }
        let mut due = clock.due(next);
        // Asked once before the clock is let go, so that it knows of this moment when it looks for the next.
        if let Some(hold) = (&mut due).now_or_never() {
            moment = Some(hold);
            continue;
        }
        drop((moment.take(), looks));
        moment = tokio::select! {
            biased;
            hold = &mut due => Some(hold),
            // The moment may come meanwhile: the clock is held before nobody waits for it any more.
            () = alarms.changed() => Some(clock.hold()),
        };
    }
}
