//! The clock of a Worker under test.

use std::time::Duration;

use miniflow_runtime::clock::TimeMode;
use miniflow_runtime::engine::duration;
use miniflow_runtime::mover::Moved;
use miniflow_runtime::{Clock as _, Timestamp};

use crate::error::Error;
use crate::running::TestWorker;

/// A length of time: as `"3 days"`, or as a [`Duration`].
pub trait Length {
    /// The length.
    ///
    /// # Errors
    ///
    /// When it is a text that is none.
    fn length(self) -> Result<Duration, Error>;
}

impl Length for Duration {
    fn length(self) -> Result<Duration, Error> {
        Ok(self)
    }
}

impl Length for &str {
    fn length(self) -> Result<Duration, Error> {
        duration::parse(self).map(Duration::from_millis).map_err(|error| Error::Data(error.to_string()))
    }
}

/// The clock of a Worker under test: it goes with the machine's, and is moved.
///
/// By default ([`TimeMode::Skip`]) time is skipped only while the test waits for something of an instance, and only to the ends of sleeps and of
/// delays before attempts. Time-outs of waits for events come when the test moves the clock over them.
#[derive(Clone)]
pub struct Clock(TestWorker);

impl Clock {
    pub(crate) fn new(worker: TestWorker) -> Self {
        Self(worker)
    }

    /// What it says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.0.mover.clock().now()
    }

    /// Moves it by `length`, such as `"3 days"`: from moment to moment, each time until everything has happened that belongs to it.
    ///
    /// # Errors
    ///
    /// When something is at work for too long, or `length` is none.
    pub async fn advance(&self, length: impl Length) -> Result<Moved, Error> {
        let (length, mover) = (length.length()?, self.0.0.mover.clone());
        let advance = async move {
            // What begins at this moment, such as a sleep, has begun before it is counted from.
            mover.advance(Duration::ZERO).await?;
            mover.advance(length).await
        };
        Ok(self.0.0.process.run(advance).await?)
    }

    /// Moves it to the next moment at which something happens by itself, and lets it happen.
    ///
    /// # Errors
    ///
    /// When nothing is to come, or something is at work for too long.
    pub async fn advance_to_next(&self) -> Result<Moved, Error> {
        let mover = self.0.0.mover.clone();
        Ok(self.0.0.process.run(async move { mover.next().await }).await?)
    }

    /// Moves it to `when`.
    ///
    /// # Errors
    ///
    /// When that has passed, or something is at work for too long.
    pub async fn advance_to(&self, when: Timestamp) -> Result<Moved, Error> {
        let mover = self.0.0.mover.clone();
        Ok(self.0.0.process.run(async move { mover.set(when).await }).await?)
    }

    /// Returns when nothing can happen at the present moment any more.
    ///
    /// # Errors
    ///
    /// When something is at work for too long.
    pub async fn settle(&self) -> Result<(), Error> {
        self.advance(Duration::ZERO).await.map(drop)
    }

    /// Lets it go in another way from now on.
    pub fn set_mode(&self, mode: TimeMode) {
        self.0.0.mover.set_mode(mode);
    }
}
