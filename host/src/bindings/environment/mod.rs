//! Variables of the Worker's configuration, as the guest reads them.
//!
//! Promises: what is bound and nothing else. Never does: read the machine's environment.

mod host;
