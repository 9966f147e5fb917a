//! Which operation a request asks for. The one list of routes: the OpenAPI documents are made of it too.

use http::Method;
use percent_encoding::percent_decode_str;

use super::Surface;
use super::failure::Failure;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Document,
    ListAccounts,
    GetAccount,
    ListMemberships,
    GetUser,
    VerifyToken,
    ListWorkers,
    ListWorkflows,
    GetWorkflow,
    PutWorkflow,
    DeleteWorkflow,
    ListVersions,
    GetVersion,
    GetGraph,
    ListInstances,
    CreateInstance,
    CreateMany,
    DeleteMany,
    TerminateAll,
    GetInstance,
    DeleteInstance,
    GetStep,
    SetStatus,
    SendEvent,
    Subscribe,
}

impl Op {
    /// Whether anybody may ask, without a token: it says nothing about the session.
    pub(super) fn is_open(self) -> bool {
        self == Self::Document
    }
}

/// Where a route is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    V4,
    /// Below an account.
    Account,
    Local,
    /// Below an account, and of the local API.
    Both,
}

/// One route.
pub(super) struct Route {
    pub(super) op: Op,
    on: On,
    pub(super) method: Method,
    /// `{name}` is one part of a path, `{name+}` the rest of it.
    path: &'static str,
}

impl Route {
    /// The whole path below the prefix of `surface`; none when it is not there.
    pub(super) fn path(&self, surface: Surface) -> Option<String> {
        match (surface, self.on) {
            (Surface::V4, On::V4) | (Surface::Local, On::Local | On::Both) => Some(self.path.to_owned()),
            (Surface::V4, On::Account | On::Both) => Some(format!("{ACCOUNT}{}", self.path)),
            _ => None,
        }
    }
}

const ACCOUNT: &str = "/accounts/{account_id}";

const fn route(op: Op, on: On, method: Method, path: &'static str) -> Route {
    Route { op, on, method, path }
}

/// Every route. Of two that fit, the first counts.
pub(super) const ROUTES: [Route; 26] = [
    route(Op::Document, On::V4, Method::GET, ""),
    route(Op::Document, On::Local, Method::GET, ""),
    route(Op::ListAccounts, On::V4, Method::GET, "/accounts"),
    route(Op::GetAccount, On::Account, Method::GET, ""),
    route(Op::ListMemberships, On::V4, Method::GET, "/memberships"),
    route(Op::GetUser, On::V4, Method::GET, "/user"),
    route(Op::VerifyToken, On::V4, Method::GET, "/user/tokens/verify"),
    route(Op::ListWorkers, On::Local, Method::GET, "/local/workers"),
    route(Op::ListWorkflows, On::Both, Method::GET, "/workflows"),
    route(Op::GetWorkflow, On::Both, Method::GET, "/workflows/{workflow_name}"),
    route(Op::PutWorkflow, On::Account, Method::PUT, "/workflows/{workflow_name}"),
    route(Op::DeleteWorkflow, On::Both, Method::DELETE, "/workflows/{workflow_name}"),
    route(Op::ListVersions, On::Both, Method::GET, "/workflows/{workflow_name}/versions"),
    route(Op::GetVersion, On::Both, Method::GET, "/workflows/{workflow_name}/versions/{version_id}"),
    route(Op::GetGraph, On::Both, Method::GET, "/workflows/{workflow_name}/versions/{version_id}/graph"),
    route(Op::ListInstances, On::Both, Method::GET, "/workflows/{workflow_name}/instances"),
    route(Op::CreateInstance, On::Both, Method::POST, "/workflows/{workflow_name}/instances"),
    route(Op::CreateMany, On::Both, Method::POST, "/workflows/{workflow_name}/instances/batch"),
    route(Op::DeleteMany, On::Both, Method::POST, "/workflows/{workflow_name}/instances/batch/delete"),
    route(Op::TerminateAll, On::Both, Method::PUT, "/workflows/{workflow_name}/instances/terminate"),
    route(Op::GetInstance, On::Both, Method::GET, "/workflows/{workflow_name}/instances/{instance_id}"),
    route(Op::DeleteInstance, On::Both, Method::DELETE, "/workflows/{workflow_name}/instances/{instance_id}"),
    route(Op::GetStep, On::Both, Method::GET, "/workflows/{workflow_name}/instances/{instance_id}/step"),
    route(Op::SetStatus, On::Both, Method::PATCH, "/workflows/{workflow_name}/instances/{instance_id}/status"),
    route(Op::Subscribe, On::Both, Method::GET, "/workflows/{workflow_name}/instances/{instance_id}/subscribe"),
    route(
        Op::SendEvent,
        On::Both,
        Method::POST,
        "/workflows/{workflow_name}/instances/{instance_id}/events/{event_type+}",
    ),
];

/// The route that a request was found to ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) op: Op,
    /// The variable parts of the path, decoded, without the account.
    pub(super) parameters: Vec<String>,
}

/// Finds the route of `path`, which is what comes after the prefix of `surface`.
pub(super) fn find(surface: Surface, method: &Method, path: &str) -> Result<Found, Failure> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    // wrangler writes `instances/` when it looks for the latest.
    let parts = parts.strip_suffix(&[""]).unwrap_or(&parts);
    let mut other_method = false;
    for route in &ROUTES {
        let Some(pattern) = route.path(surface) else { continue };
        let Some(parameters) = matched(&pattern, parts) else { continue };
        if route.method == *method {
            let parameters = parameters?;
            return Ok(Found { op: route.op, parameters });
        }
        other_method = true;
    }
    Err(if other_method { Failure::Method(method.clone()) } else { Failure::NoRoute })
}

/// The variable parts of a path that fits the pattern; an error when they are not text.
fn matched(pattern: &str, parts: &[&str]) -> Option<Result<Vec<String>, Failure>> {
    let mut parts = parts;
    let mut raw = Vec::new();
    for expected in pattern.split('/').skip(1) {
        if expected.ends_with("+}") {
            if parts.is_empty() {
                return None;
            }
            raw.push(parts.join("/"));
            parts = &[];
            continue;
        }
        let (part, rest) = parts.split_first()?;
        parts = rest;
        match expected {
            "{account_id}" => {}
            variable if variable.starts_with('{') => raw.push((*part).to_owned()),
            literal if literal == *part => {}
            _ => return None,
        }
    }
    if !parts.is_empty() {
        return None;
    }
    let decode = |part: &String| percent_decode_str(part).decode_utf8().map(std::borrow::Cow::into_owned);
    let not_text = |_| Failure::Invalid("(path) A part of the path is not UTF-8".to_owned());
    Some(raw.iter().map(decode).collect::<Result<_, _>>().map_err(not_text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(method: &Method, path: &str) -> Result<(Op, Vec<String>), Failure> {
        find(Surface::V4, method, path).map(|found| (found.op, found.parameters))
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for surface in [Surface::V4, Surface::Local] {
            for route in &ROUTES {
                let Some(path) = route.path(surface) else { continue };
                assert_eq!(find(surface, &route.method, &path).unwrap().op, route.op, "{path}");
            }
        }
    }

    #[test]
    fn parts_of_a_path_are_decoded_each_by_itself() {
        let path = "/accounts/a/workflows/orders/instances/%2A%2F5%20%2A%20%2A%20%2A%20%2A-1786599900000";
        let id = "*/5 * * * *-1786599900000";
        assert_eq!(v4(&Method::GET, path).unwrap(), (Op::GetInstance, texts(&["orders", id])));
        // The same without encoding is a path that leads nowhere.
        let raw = "/accounts/a/workflows/orders/instances/*/5 * * * *-1786599900000";
        assert_eq!(v4(&Method::GET, raw), Err(Failure::NoRoute));
        assert!(matches!(v4(&Method::GET, "/accounts/a/workflows/%ff"), Err(Failure::Invalid(_))));
    }

    #[test]
    fn everything_after_events_is_the_type() {
        let events = "/accounts/a/workflows/w/instances/i/events";
        let (op, parameters) = v4(&Method::POST, &format!("{events}/a/b%20c")).unwrap();
        assert_eq!((op, parameters), (Op::SendEvent, texts(&["w", "i", "a/b c"])));
        assert_eq!(v4(&Method::POST, events), Err(Failure::NoRoute));
    }

    #[test]
    fn a_slash_at_the_end_changes_nothing() {
        let path = "/accounts/a/workflows/w/instances/";
        assert_eq!(v4(&Method::GET, path).unwrap(), (Op::ListInstances, texts(&["w"])));
        assert_eq!(find(Surface::Local, &Method::GET, "/").unwrap().op, Op::Document);
        assert_eq!(v4(&Method::GET, "/accounts/a/workflows/w/instances//"), Ok((Op::GetInstance, texts(&["w", ""]))));
    }

    #[test]
    fn what_is_not_there_is_told_from_what_is_there_with_another_method() {
        assert_eq!(v4(&Method::GET, "/zones"), Err(Failure::NoRoute));
        assert_eq!(v4(&Method::DELETE, "/accounts"), Err(Failure::Method(Method::DELETE)));
        assert_eq!(v4(&Method::POST, "/accounts/a/workflows/w/instances/batch").unwrap().0, Op::CreateMany);
        assert_eq!(v4(&Method::GET, "/accounts/a/workflows/w/instances/batch").unwrap().0, Op::GetInstance);
    }
}
