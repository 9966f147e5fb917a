//! The one account there is, and what is bound in the session.

use schemars::JsonSchema;
use serde::Serialize;

/// The account: whatever id a path has, it is this one.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Account {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

impl Account {
    pub(crate) const LOCAL: Self = Self { id: "local", name: "miniflow", kind: "standard" };
}

/// That somebody belongs to the account.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Membership {
    pub(crate) id: &'static str,
    pub(crate) status: &'static str,
    pub(crate) account: Account,
    pub(crate) roles: Vec<&'static str>,
}

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct User {
    pub(crate) id: &'static str,
    pub(crate) email: &'static str,
}

/// Whether the token is good.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenStatus {
    pub(crate) id: &'static str,
    pub(crate) status: &'static str,
}

/// A Worker of the session.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LocalWorker {
    /// Always: other sessions are not asked.
    #[serde(rename = "isSelf")]
    pub(crate) is_self: bool,
    pub(crate) name: String,
    pub(crate) bindings: LocalBindings,
}

/// What a Worker is bound to, by kind.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct LocalBindings {
    pub(crate) workflows: Vec<WorkflowBinding>,
}

/// A workflow that a Worker is bound to.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkflowBinding {
    /// Its name.
    pub(crate) id: String,
    pub(crate) binding_name: String,
    pub(crate) class_name: String,
    pub(crate) script_name: String,
}
