//! Journals as files, for `miniflow journal export`.

use http::StatusCode;
use miniflow_runtime::Handle;
use serde_json::json;

use crate::session::Session;
use crate::verify::bundle::Bundle;
use crate::verify::export::{ExportError, export};

/// Takes journals out of the state of a session. Cheap to clone.
#[derive(Clone)]
pub struct Journals {
    runtime: Handle,
    session: Session,
}

impl Journals {
    /// Of the instances in `runtime`, whose code is that of `session`.
    #[must_use]
    pub fn new(runtime: Handle, session: Session) -> Self {
        Self { runtime, session }
    }

    /// The answer to a request with this query: `id`, and `workflow` if there are several.
    pub(super) async fn export(&self, query: Option<&str>) -> (StatusCode, String) {
        let (mut id, mut workflow) = (None, None);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "id" => id = Some(value.into_owned()),
                "workflow" => workflow = Some(value.into_owned()),
                _ => {}
            }
        }
        let Some(id) = id else {
            return refused(
                StatusCode::BAD_REQUEST,
                "`id` is missing",
                "pass `?id=ID`, and `&workflow=NAME` if needed",
            );
        };
        let read = self.runtime.read(move |archive| match export(archive, workflow.as_deref(), &id) {
            Err(ExportError::Storage(error)) => Err(error),
            other => Ok(other),
        });
        match read.await {
            Ok(Ok(bundle)) => (StatusCode::OK, self.with_code(bundle).to_json()),
            Ok(Err(error)) => refused(StatusCode::NOT_FOUND, &error.to_string(), error.hint()),
            Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string(), "the log says why"),
        }
    }

    /// Nothing is added to the journal of a workflow that is not there any more.
    fn with_code(&self, bundle: Bundle) -> Bundle {
        let definitions = self.session.definitions();
        let Some(definition) = definitions.iter().find(|definition| definition.name == bundle.workflow.name) else {
            return bundle;
        };
        let members = self.session.members();
        let member = members.iter().find(|member| member.name() == definition.worker);
        match (member, self.session.slot(&definition.worker).get()) {
            (Some(member), Some(generation)) => bundle.with_code(definition, &member.project, &generation),
            _ => bundle,
        }
    }
}

fn refused(status: StatusCode, error: &str, hint: &str) -> (StatusCode, String) {
    (status, json!({ "error": error, "hint": hint }).to_string())
}
