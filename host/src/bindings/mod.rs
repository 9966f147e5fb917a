//! What a guest may call, one folder per kind: `mod.rs` says what it is, `host.rs` puts the generated traits of the WIT
//! contract on it. Only the `host.rs` files know generated types.
//!
//! What has an effect, or an answer that may change, asks [`miniflow_runtime::Run::blocks`] first when it is called in a run: new code is
//! tried on what is recorded, and such a trial leaves no trace.
//!
//! Never does: import another binding. They meet in [`crate::wasm::Services`].

use std::collections::BTreeMap;
use std::sync::Arc;

pub mod arrival;
pub mod durable_object;
pub mod environment;
pub mod kv;
pub mod logging;
pub mod queue;
pub mod steps;
pub mod workflow;
pub(crate) mod writer;

/// What stands behind a name that is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A variable whose value is a text.
    Text(String),
    /// A variable of any other value, as JSON.
    Json(String),
    /// A workflow, by its name.
    Workflow(String),
    /// The Durable Objects of a class.
    DurableObject(Arc<durable_object::Namespace>),
    /// Another Worker, by its name.
    Service(String),
    /// A queue to send messages to.
    Queue(queue::BoundQueue),
    /// Keys and values: the id of a KV namespace.
    Kv(String),
    /// Something of another Worker, which is not there.
    Absent {
        /// What it would be: as [`Bound::kind`].
        kind: &'static str,
        /// What is missing, and what to do.
        why: String,
    },
}

impl Bound {
    /// The word for this kind in messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Json(_) => "variable",
            Self::Workflow(_) => "workflow",
            Self::DurableObject(_) => "durable object",
            Self::Service(_) => "service",
            Self::Queue(_) => "queue",
            Self::Kv(_) => "KV namespace",
            Self::Absent { kind, .. } => kind,
        }
    }
}

/// The names a Worker can use, from its configuration. Nothing of the machine's environment is among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings(Arc<BTreeMap<String, Bound>>);

impl Bindings {
    /// What `name` is bound to.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bound> {
        self.0.get(name)
    }

    /// All names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bound)> {
        self.0.iter().map(|(name, bound)| (name.as_str(), bound))
    }

    /// The names of one kind as a sentence for error messages, such as "`A` and `B`"; none when there is none.
    #[must_use]
    pub fn list(&self, kind: &str) -> Option<String> {
        let names: Vec<_> =
            self.iter().filter(|(_, bound)| bound.kind() == kind).map(|(name, _)| format!("`{name}`")).collect();
        match names.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
        }
    }
}

impl FromIterator<(String, Bound)> for Bindings {
    fn from_iter<I: IntoIterator<Item = (String, Bound)>>(iter: I) -> Self {
        Self(Arc::new(iter.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_one_kind_only() {
        let bound = |names: &[(&str, Bound)]| {
            names.iter().map(|(name, bound)| ((*name).to_owned(), bound.clone())).collect::<Bindings>().list("workflow")
        };
        let workflow = || Bound::Workflow("orders".to_owned());
        assert_eq!(bound(&[("A", Bound::Text(String::new()))]), None);
        assert_eq!(bound(&[("A", workflow())]).as_deref(), Some("`A`"));
        assert_eq!(
            bound(&[("C", workflow()), ("A", workflow()), ("B", Bound::Json("1".to_owned())), ("D", workflow())])
                .as_deref(),
            Some("`A`, `C` and `D`")
        );
    }
}
