//! The account and who asks: there is one of each, whatever id or token comes.

use crate::api::Context;
use crate::api::envelope::Reply;
use crate::api::failure::Failure;
use crate::api::model::{
    Account, LocalBindings, LocalWorker, Membership, ResultInfo, TokenStatus, User, WorkflowBinding,
};
use crate::api::request::Call;
use crate::config::WorkflowEntry;
use crate::session::Member;

pub(super) fn accounts(call: &Call) -> Result<Reply, Failure> {
    page(call, vec![Account::LOCAL])
}

pub(super) fn account() -> Result<Reply, Failure> {
    Reply::of(&Account::LOCAL)
}

pub(super) fn memberships(call: &Call) -> Result<Reply, Failure> {
    let membership =
        Membership { id: "local", status: "accepted", account: Account::LOCAL, roles: vec!["Super Administrator"] };
    page(call, vec![membership])
}

pub(super) fn user() -> Result<Reply, Failure> {
    Reply::of(&User { id: "local", email: "developer@localhost" })
}

pub(super) fn token() -> Result<Reply, Failure> {
    Reply::of(&TokenStatus { id: "local", status: "active" })
}

/// The Workers of the session, with the workflows that each is bound to.
pub(super) fn workers(context: &Context<'_>) -> Result<Reply, Failure> {
    let worker = |member: &std::sync::Arc<Member>| {
        let binding = |entry: &WorkflowEntry| {
            Some(WorkflowBinding {
                id: entry.name.clone(),
                binding_name: entry.binding.clone()?,
                class_name: entry.class_name.clone(),
                script_name: entry.script_name.clone().unwrap_or_else(|| member.name().to_owned()),
            })
        };
        LocalWorker {
            is_self: true,
            name: member.name().to_owned(),
            bindings: LocalBindings { workflows: member.workflows.iter().filter_map(binding).collect() },
        }
    };
    Reply::of(&context.catalog().members().iter().map(worker).collect::<Vec<_>>())
}

/// Clients ask for page after page until one is empty.
fn page<T: serde::Serialize>(call: &Call, all: Vec<T>) -> Result<Reply, Failure> {
    let page = call.query.page()?;
    let total = all.len() as u64;
    let items = page.of(all);
    let info = ResultInfo::of_page(page, items.len(), total);
    Reply::page(&items, Some(info))
}
