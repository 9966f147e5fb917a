//! [`WorkflowInstanceSubscription`]: following what happens to an instance.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures::future::LocalBoxFuture;
use futures::{FutureExt, Stream};

use super::WorkflowInstanceEvent;
use crate::bindings::miniflow::worker::workflow as wit;
use crate::{Error, Result};

/// The events of an instance: those that are recorded, then each as it happens, up to its end. It is a
/// [`Stream`](futures::Stream) as well.
///
/// ```no_run
/// # use miniflow_sdk::*;
/// # async fn f(instance: WorkflowInstance) -> Result<()> {
/// let mut events = instance.subscribe(SubscribeOptions::new()).await?;
/// while let Some(event) = events.next().await? {
///     if let WorkflowInstanceEventKind::StepCompleted { step_name, .. } = event.kind {
///         console_log!("{step_name} is done");
///     }
/// }
/// # Ok(()) }
/// ```
#[must_use = "events are read only when asked for"]
pub struct WorkflowInstanceSubscription {
    /// None after the end.
    source: Option<Rc<dyn Source>>,
    /// The read on its way. Kept here, so that giving up `next` loses no event.
    reading: Option<Reading>,
}

type Reading = LocalBoxFuture<'static, Option<Vec<u8>>>;

/// Where events come from: the host, or a test.
trait Source {
    fn read(self: Rc<Self>) -> Reading;
}

impl Source for wit::Subscription {
    fn read(self: Rc<Self>) -> Reading {
        async move { self.next().await }.boxed_local()
    }
}

impl WorkflowInstanceSubscription {
    pub(super) fn of(subscription: wit::Subscription) -> Self {
        Self { source: Some(Rc::new(subscription)), reading: None }
    }

    /// Returns the next event; none after the last. May be given up and called again without losing one.
    ///
    /// # Errors
    ///
    /// When what the host gives is not an event.
    pub async fn next(&mut self) -> Result<Option<WorkflowInstanceEvent>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await.transpose()
    }
}

impl Stream for WorkflowInstanceSubscription {
    type Item = Result<WorkflowInstanceEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(source) = self.source.clone() else { return Poll::Ready(None) };
        let reading = self.reading.get_or_insert_with(|| source.read());
        let read = ready!(reading.as_mut().poll(context));
        self.reading = None;
        if read.is_none() {
            self.source = None;
        }
        Poll::Ready(read.map(|json| decode(&json)))
    }
}

fn decode(json: &[u8]) -> Result<WorkflowInstanceEvent> {
    serde_json::from_slice(json)
        .map_err(|error| Error::from(format!("an event of the instance cannot be read: {error}")))
}

impl fmt::Debug for WorkflowInstanceSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowInstanceSubscription").field("is_over", &self.source.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// Events, and moments at which there is none yet.
    #[derive(Default)]
    struct Script(RefCell<VecDeque<Option<&'static str>>>);

    impl Source for Script {
        fn read(self: Rc<Self>) -> Reading {
            poll_fn(move |_| match self.0.borrow_mut().pop_front() {
                Some(Some(json)) => Poll::Ready(Some(json.into())),
                Some(None) => Poll::Pending,
                None => Poll::Ready(None),
            })
            .boxed_local()
        }
    }

    fn subscription(script: impl Into<VecDeque<Option<&'static str>>>) -> WorkflowInstanceSubscription {
        WorkflowInstanceSubscription { source: Some(Rc::new(Script(RefCell::new(script.into())))), reading: None }
    }

    const QUEUED: &str = r#"{"instanceId":"a","eventId":1,"timestamp":5,"type":"workflow_queued"}"#;

    #[test]
    fn events_come_until_the_end() {
        let mut events = subscription([Some(QUEUED)]);
        let mut next = || events.next().now_or_never().expect("it is there").unwrap();
        assert_eq!(next().map(|event| event.event_id), Some(1));
        assert_eq!(next(), None);
        assert_eq!(next(), None);
    }

    #[test]
    fn giving_up_a_read_loses_no_event() {
        let mut events = subscription([None, Some(QUEUED)]);
        assert!(events.next().now_or_never().is_none());
        assert!(events.reading.is_some());
        assert!(events.next().now_or_never().is_some_and(|event| matches!(event, Ok(Some(_)))));
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        let error = subscription([Some("{}")]).next().now_or_never().unwrap().unwrap_err().to_string();
        assert!(error.starts_with("an event of the instance cannot be read:"), "{error}");
    }
}
