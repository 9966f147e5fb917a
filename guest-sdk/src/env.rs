//! [`Env`]: what the configuration binds to this Worker.
//!
//! A name is looked up when asked for, and a name that is not bound is an error that lists the names that are. A Worker
//! never sees the environment of the machine.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::bindings::miniflow::worker::environment::{self, Binding, Variable};
use crate::{Error, Fetcher, KvStore, ObjectNamespace, Queue, Result, Workflow, host};

/// The bindings of the Worker. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Env {}

impl Env {
    pub(crate) fn new() -> Self {
        Self {}
    }

    /// Returns the variable `name`: `vars` of the configuration, or a `.dev.vars` or `.env` file. One that is not text is
    /// given as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when no variable of that name is bound.
    pub fn var(&self, name: &str) -> Result<Var> {
        match self.variable(name)? {
            Variable::Text(text) | Variable::Json(text) => Ok(Var(text)),
        }
    }

    /// Returns the secret `name`. Locally a secret is a variable like any other.
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when no variable of that name is bound.
    pub fn secret(&self, name: &str) -> Result<Secret> {
        self.var(name)
    }

    /// Returns the variable `name` as a `T`. A text is read as JSON if it is that, because files such as `.dev.vars` hold
    /// only text, and is taken as it stands otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when no variable of that name is bound; a JSON error when it is not a `T`.
    pub fn object_var<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        decode_variable(self.variable(name)?)
    }

    /// Returns the workflow bound as `name`.
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when no workflow of that name is bound.
    pub fn workflow(&self, name: &str) -> Result<Workflow> {
        host::required("`Env::workflow`");
        bound(name, "workflow")?;
        Ok(Workflow::bound_as(name))
    }

    /// Returns the queue bound as `name`, to send messages to.
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when no queue of that name is bound.
    pub fn queue(&self, name: &str) -> Result<Queue> {
        host::required("`Env::queue`");
        bound(name, "queue")?;
        Ok(Queue::bound_as(name))
    }

    /// Returns the KV namespace bound as `name`.
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when no KV namespace of that name is bound.
    pub fn kv(&self, name: &str) -> Result<KvStore> {
        host::required("`Env::kv`");
        bound(name, "KV namespace")?;
        Ok(KvStore::bound_as(name))
    }

    /// Returns the Durable Objects of the class bound as `name`.
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when no Durable Object of that name is bound.
    pub fn durable_object(&self, name: &str) -> Result<ObjectNamespace> {
        host::required("`Env::durable_object`");
        bound(name, "durable object")?;
        Ok(ObjectNamespace::bound_as(name))
    }

    /// Returns the Worker bound as `name`.
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when no service of that name is bound.
    pub fn service(&self, name: &str) -> Result<Fetcher> {
        host::required("`Env::service`");
        bound(name, "service")?;
        Ok(Fetcher::bound_as(name))
    }

    fn variable(&self, name: &str) -> Result<Variable> {
        host::required("`Env::var`");
        environment::get_variable(name).ok_or_else(|| not_bound(name, "variable", &environment::bindings()))
    }
}

/// The value of a variable; [`to_string`](ToString::to_string) gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct Var(String);

/// The value of a secret.
pub type Secret = Var;

impl AsRef<str> for Var {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Var {
    /// Hides the value: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Var(…)")
    }
}

fn decode_variable<T: DeserializeOwned>(variable: Variable) -> Result<T> {
    match variable {
        Variable::Json(json) => Ok(serde_json::from_str(&json)?),
        Variable::Text(text) => {
            serde_json::from_str(&text).or_else(|error| match serde_json::from_value(serde_json::Value::String(text)) {
                Ok(value) => Ok(value),
                Err(_) => Err(error.into()),
            })
        }
    }
}

/// Checks that `name` is bound, and as a `kind`.
fn bound(name: &str, kind: &str) -> Result<()> {
    let bound = environment::bindings();
    if bound.iter().any(|binding| binding.name == name && binding.kind == kind) {
        Ok(())
    } else {
        Err(not_bound(name, kind, &bound))
    }
}

fn not_bound(name: &str, kind: &str, bound: &[Binding]) -> Error {
    if let Some(other) = bound.iter().find(|binding| binding.name == name) {
        return Error::BindingError(format!("`{name}` is bound as a {}, not as a {kind}", other.kind));
    }
    let names: Vec<String> =
        bound.iter().filter(|binding| binding.kind == kind).map(|binding| format!("`{}`", binding.name)).collect();
    Error::BindingError(if names.is_empty() {
        format!("no {kind} `{name}` is bound: the configuration binds no {kind} at all")
    } else {
        format!("no {kind} `{name}` is bound: there is {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> Vec<Binding> {
        [("API_URL", "variable"), ("ORDERS", "workflow"), ("REFUNDS", "workflow")]
            .map(|(name, kind)| Binding { name: name.into(), kind: kind.into() })
            .into()
    }

    // rules: C2.1-33
    #[test]
    fn an_unbound_name_lists_what_is_bound_of_that_kind() {
        assert_eq!(
            not_bound("ORDER", "workflow", &bound()).to_string(),
            "no workflow `ORDER` is bound: there is `ORDERS`, `REFUNDS`"
        );
    }

    #[test]
    fn a_name_of_another_kind_says_of_which() {
        assert_eq!(
            not_bound("API_URL", "workflow", &bound()).to_string(),
            "`API_URL` is bound as a variable, not as a workflow"
        );
    }

    #[test]
    fn a_variable_decodes_from_json_and_from_text() {
        assert_eq!(decode_variable::<Vec<u8>>(Variable::Json("[1,2]".into())).unwrap(), [1, 2]);
        assert_eq!(decode_variable::<Vec<u8>>(Variable::Text("[1,2]".into())).unwrap(), [1, 2]);
        assert_eq!(decode_variable::<String>(Variable::Text("plain".into())).unwrap(), "plain");
        assert!(decode_variable::<u8>(Variable::Text("plain".into())).is_err());
    }
}
