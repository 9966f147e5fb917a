//! What is refused, and how each surface says it. Numbers and texts that a client sees are here and nowhere else.
//!
//! Codes are the documented ones where there are any; where none is documented (bad bodies and queries of the local API, refusals that
//! depend on the status, routes that do not exist) they are ours, as docs/conformance.md says.

use http::{Method, Response, StatusCode};
use miniflow_runtime::ApiError;

use super::Surface;
use super::envelope;
use super::model::ErrorEntry;
use crate::triggers::http::Body;

/// A request that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no such workflow.
    UnknownWorkflow(String),
    /// There is no such instance.
    UnknownInstance(String),
    /// There is no such step, or no such attempt of it.
    UnknownStep(String),
    /// There is no such version.
    UnknownVersion,
    /// Versions of these Workers have no graph.
    NoGraph,
    /// The id of a new instance is in use.
    Taken,
    /// The body, or something in the query or path, makes no sense.
    Invalid(String),
    /// The first day of a range is after its last.
    Dates,
    /// The body is too large.
    TooLarge { bytes_max: usize },
    /// What is asked for is not possible now.
    Refused(String),
    /// There is no such route.
    NoRoute,
    /// There is, but not with this method.
    Method(Method),
    /// The request has not brought the token.
    Unauthorized,
    /// The request does not come from this machine.
    Foreign(&'static str),
    /// Something went wrong that is not the asker's business.
    Internal,
}

impl Failure {
    /// What the runtime refused, about this workflow and instance.
    pub(super) fn of(error: ApiError, workflow: &str, instance: &str) -> Self {
        match error.code {
            "workflow.not_found" => Self::UnknownWorkflow(workflow.to_owned()),
            "instance.not_found" => Self::UnknownInstance(instance.to_owned()),
            "instance.already_exists" => Self::Taken,
            "instance.invalid_id" | "body" | "workflow.invalid_event_type" | "subscription" => {
                Self::Invalid(error.message)
            }
            "instance.cannot_terminate" | "instance.cannot_restart" | "instance.cannot_send_event" => {
                Self::Refused(error.message)
            }
            _ => Self::Internal,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownWorkflow(_)
            | Self::UnknownInstance(_)
            | Self::UnknownStep(_)
            | Self::UnknownVersion
            | Self::NoGraph
            | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Taken | Self::Refused(_) => StatusCode::CONFLICT,
            Self::Invalid(_) | Self::Dates => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Foreign(_) => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn entry(&self, surface: Surface) -> ErrorEntry {
        let (code, message) = match surface {
            Surface::V4 => self.v4(),
            Surface::Local => self.local(),
        };
        ErrorEntry { code, message }
    }

    fn v4(&self) -> (u32, String) {
        let api = |code, name: &str| (code, format!("workflows.api.error.{name}"));
        match self {
            Self::UnknownWorkflow(_) => api(10200, "workflow.not_found"),
            Self::UnknownInstance(_) => api(10400, "instance.not_found"),
            Self::Taken => api(10405, "instance.already_exists"),
            Self::UnknownVersion => api(10300, "version.not_found"),
            Self::NoGraph => (10300, "The graph of a compiled Worker is not known".to_owned()),
            Self::NoRoute => api(7003, "not_found"),
            Self::Internal => api(10001, "internal_server"),
            Self::Invalid(_) | Self::Dates | Self::TooLarge { .. } => (10002, self.message()),
            Self::UnknownStep(_) => (10400, self.message()),
            Self::Refused(_) => (10001, self.message()),
            Self::Method(_) => (7001, self.message()),
            Self::Unauthorized | Self::Foreign(_) => (10000, self.message()),
        }
    }

    fn local(&self) -> (u32, String) {
        let code = match self {
            Self::UnknownWorkflow(_) | Self::UnknownInstance(_) | Self::UnknownStep(_) | Self::UnknownVersion => 10501,
            Self::Taken => 10405,
            Self::Dates => 10502,
            Self::Internal | Self::Unauthorized | Self::Foreign(_) => 10000,
            Self::Invalid(_)
            | Self::TooLarge { .. }
            | Self::Refused(_)
            | Self::NoGraph
            | Self::NoRoute
            | Self::Method(_) => 10001,
        };
        (code, self.message())
    }

    fn message(&self) -> String {
        match self {
            Self::UnknownWorkflow(name) => format!("Workflow '{name}' not found."),
            Self::UnknownInstance(id) => format!("Workflow instance '{id}' not found."),
            Self::UnknownStep(name) => format!("Step '{name}' not found."),
            Self::UnknownVersion => "Version not found.".to_owned(),
            Self::NoGraph => "The graph of a compiled Worker is not known.".to_owned(),
            Self::Taken => miniflow_runtime::engine::text::ALREADY_EXISTS.to_owned(),
            Self::Invalid(text) | Self::Refused(text) => text.clone(),
            Self::Dates => "'date_start' must not be after 'date_end'.".to_owned(),
            Self::TooLarge { bytes_max } => format!("(body) The body is larger than {bytes_max} bytes"),
            Self::NoRoute => "404 Not Found".to_owned(),
            Self::Method(method) => format!("Method {method} not available for that URI."),
            Self::Unauthorized => "Authentication error".to_owned(),
            Self::Foreign(why) => (*why).to_owned(),
            Self::Internal => "Internal server error".to_owned(),
        }
    }

    pub(super) fn response(&self, surface: Surface) -> Response<Body> {
        match (surface, self) {
            // As the official local emulator does.
            (Surface::Local, Self::NoRoute | Self::Method(_)) => {
                envelope::text(StatusCode::NOT_FOUND, "404 Not Found".to_owned())
            }
            (Surface::Local, Self::Foreign(why)) => {
                envelope::text(StatusCode::FORBIDDEN, format!("403 Forbidden: {why}\n"))
            }
            _ => envelope::failure(self.status(), &self.entry(surface)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(surface: Surface, error: (&'static str, &str)) -> (u16, u32, String) {
        let error = ApiError { code: error.0, message: error.1.to_owned() };
        let failure = Failure::of(error, "orders", "one");
        let ErrorEntry { code, message } = failure.entry(surface);
        (failure.status().as_u16(), code, message)
    }

    #[test]
    fn each_surface_has_its_codes() {
        let check = |error, v4: (u16, u32, &str), local: (u16, u32, &str)| {
            for (surface, (status, code, message)) in [(Surface::V4, v4), (Surface::Local, local)] {
                assert_eq!(told(surface, error), (status, code, message.to_owned()));
            }
        };
        check(
            ("workflow.not_found", "x"),
            (404, 10200, "workflows.api.error.workflow.not_found"),
            (404, 10501, "Workflow 'orders' not found."),
        );
        check(
            ("instance.not_found", "x"),
            (404, 10400, "workflows.api.error.instance.not_found"),
            (404, 10501, "Workflow instance 'one' not found."),
        );
        check(
            ("instance.already_exists", "x"),
            (409, 10405, "workflows.api.error.instance.already_exists"),
            (409, 10405, "(instance.already_exists) Instance already exists"),
        );
        for code in ["instance.invalid_id", "body", "workflow.invalid_event_type"] {
            check((code, "(x) bad"), (400, 10002, "(x) bad"), (400, 10001, "(x) bad"));
        }
        for code in ["instance.cannot_terminate", "instance.cannot_send_event", "instance.cannot_restart"] {
            check((code, "(x) no"), (409, 10001, "(x) no"), (409, 10001, "(x) no"));
        }
        check(
            ("internal", "x"),
            (500, 10001, "workflows.api.error.internal_server"),
            (500, 10000, "Internal server error"),
        );
    }
}
