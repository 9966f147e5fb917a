//! `environment` of the WIT contract.

use crate::bindings::Bound;
use crate::wasm::GuestState;
use crate::wasm::bindings::miniflow::worker::environment::{Binding, Host, Variable};

impl Host for GuestState {
    fn get_variable(&mut self, name: String) -> wasmtime::Result<Option<Variable>> {
        Ok(match self.bound().get(&name) {
            Some(Bound::Text(text)) => Some(Variable::Text(text.clone())),
            Some(Bound::Json(json)) => Some(Variable::Json(json.clone())),
            _ => None,
        })
    }

    fn bindings(&mut self) -> wasmtime::Result<Vec<Binding>> {
        let binding = |(name, bound): (&str, &Bound)| Binding { name: name.to_owned(), kind: bound.kind().to_owned() };
        Ok(self.bound().iter().map(binding).collect())
    }
}
