//! What to run, and with what: reads the configuration of a Worker.
//!
//! [`load`] takes the PATH of the command line (a folder, a configuration file, a `Cargo.toml` or a `.wasm` file) and
//! returns the [`Project`] it means, or every problem found, each with its place in the file.
//!
//! Two steps: JSONC and TOML are read into one tree that remembers where everything stands (`raw`), and the tree is
//! checked and turned into types (`resolved`). Diagnostics that wrangler also has carry its words.
//!
//! Never reads environment variables, never starts a process, never writes, and never looks into a component.

mod problem;

mod jsonc;
mod raw;
mod toml;

pub(crate) mod nearest;

mod options;

mod environment;
mod fields;
mod keys;
mod manifest;
mod names;
mod source;
mod validate;

mod dev;
mod dotenv;
mod exports;
mod object_classes;
mod objects;
mod queues;
mod secrets;
mod stores;
mod triggers;
mod workflows;

mod classes;
mod crons;
mod load;
mod resolved;

pub use classes::BoundClasses;
pub(crate) use dev::parse_ip;
pub use load::load;
pub(crate) use names::is_identifier;
pub(crate) use nearest::nearest;
pub use options::LoadOptions;
pub use problem::{Part, Place, Position, Problem, Problems, Severity};
pub use resolved::{
    BuildCommand, ClassStorage, DevSettings, DurableObjectBinding, DurableObjectClass, KvBinding, Project,
    QueueConsumer, QueueProducer, Secret, ServiceBinding, Source, Var, WorkflowEntry,
};

#[cfg(test)]
mod tests;
