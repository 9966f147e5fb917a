//! The OpenAPI documents: the routes, and the types that the handlers read and write.

use std::sync::LazyLock;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::model::{
    Account, CreateBody, CreatedInstance, DeleteMany, DeletedMany, Done, ErrorEntry, EventSent, InstanceDetails, Job,
    ListedInstance, LocalWorker, Membership, PutResult, PutWorkflow, ResultInfo, StatusBody, StatusChanged, StepResult,
    Succeeded, TokenStatus, User, Version, Workflow,
};
use super::query::PER_PAGE_MAX;
use super::routes::{Op, ROUTES, Route};
use super::{LOCAL, Surface, V4};

/// The OpenAPI document of a surface.
#[must_use]
pub fn document(surface: Surface) -> Value {
    // A document describes what is sent, so what may be left out of an answer is not required.
    let mut types = SchemaSettings::openapi3().for_serialize().into_generator();
    let mut bodies = SchemaSettings::openapi3().for_deserialize().into_generator();
    let mut paths = Map::new();
    for route in &ROUTES {
        let Some(path) = route.path(surface) else { continue };
        let path = if path.is_empty() { "/".to_owned() } else { path.replace("+}", "}") };
        let operation = Describe { types: &mut types, bodies: &mut bodies }.operation(route, &path);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut schemas = types.take_definitions(true);
    schemas.extend(bodies.take_definitions(true));
    let (title, description, prefix) = match surface {
        Surface::V4 => {
            ("miniflow: Cloudflare API v4, Workflows", "What `wrangler workflows …` and the official SDKs speak.", V4)
        }
        Surface::Local => ("Local Explorer API", "What `wrangler workflows … --local` speaks.", LOCAL[0]),
    };
    let mut document = json!({
        "openapi": "3.0.3",
        "info": { "title": title, "description": description, "version": env!("CARGO_PKG_VERSION") },
        "servers": [{ "url": prefix }],
        "paths": paths,
        "components": { "schemas": schemas },
    });
    if surface == Surface::V4 {
        document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
        // With a token or, where the server asks for none, without.
        document["security"] = json!([{ "token": [] }, {}]);
    }
    document
}

/// The document as it is served.
pub(super) fn text(surface: Surface) -> &'static str {
    static V4: LazyLock<String> = LazyLock::new(|| document(Surface::V4).to_string());
    static LOCAL: LazyLock<String> = LazyLock::new(|| document(Surface::Local).to_string());
    match surface {
        Surface::V4 => &V4,
        Surface::Local => &LOCAL,
    }
}

struct Describe<'a> {
    types: &'a mut SchemaGenerator,
    bodies: &'a mut SchemaGenerator,
}

impl Describe<'_> {
    fn operation(mut self, route: &Route, path: &str) -> Value {
        let op = route.op;
        let mut operation = json!({
            "operationId": id(op),
            "summary": summary(op),
            "parameters": parameters(op, path),
            "responses": self.responses(op),
        });
        if let Some(body) = self.body(op) {
            operation["requestBody"] = body;
        }
        if op == Op::Document {
            operation["security"] = json!([]);
        }
        operation
    }

    fn responses(&mut self, op: Op) -> Value {
        let failure = self.types.subschema_for::<ErrorEntry>();
        let failure = json!({
            "type": "object",
            "required": ["success", "errors", "messages", "result"],
            "properties": {
                "success": { "type": "boolean", "enum": [false] },
                "errors": { "type": "array", "items": failure, "minItems": 1 },
                "messages": { "type": "array", "items": { "type": "object" } },
                "result": { "nullable": true, "enum": [null] },
            },
        });
        let success = self.success(op);
        json!({
            "200": { "description": "Done", "content": success },
            "default": {
                "description": "Refused: nothing has changed, and `errors` says why",
                "content": { "application/json": { "schema": failure } },
            },
        })
    }

    fn success(&mut self, op: Op) -> Value {
        let json = |schema: Value| json!({ "application/json": { "schema": schema } });
        match op {
            Op::Document => json(json!({ "type": "object" })),
            Op::Subscribe => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
            Op::GetStep => {
                let mut content = json(self.envelope(op));
                content["application/octet-stream"] = json!({ "schema": { "type": "string", "format": "binary" } });
                content
            }
            _ => json(self.envelope(op)),
        }
    }

    fn envelope(&mut self, op: Op) -> Value {
        let result = self.result(op);
        let info = self.types.subschema_for::<ResultInfo>();
        json!({
            "type": "object",
            "required": ["success", "errors", "messages", "result"],
            "properties": {
                "success": { "type": "boolean", "enum": [true] },
                "errors": { "type": "array", "items": { "type": "object" }, "maxItems": 0 },
                "messages": { "type": "array", "items": { "type": "object" } },
                "result": result,
                "result_info": info,
            },
        })
    }

    fn one<T: JsonSchema>(&mut self) -> Value {
        self.types.subschema_for::<T>().to_value()
    }

    fn many<T: JsonSchema>(&mut self) -> Value {
        json!({ "type": "array", "items": self.one::<T>() })
    }

    fn result(&mut self, op: Op) -> Value {
        match op {
            Op::Document | Op::Subscribe | Op::GetGraph => json!({}),
            Op::ListAccounts => self.many::<Account>(),
            Op::GetAccount => self.one::<Account>(),
            Op::ListMemberships => self.many::<Membership>(),
            Op::GetUser => self.one::<User>(),
            Op::VerifyToken => self.one::<TokenStatus>(),
            Op::ListWorkers => self.many::<LocalWorker>(),
            Op::ListWorkflows => self.many::<Workflow>(),
            Op::GetWorkflow => self.one::<Workflow>(),
            Op::PutWorkflow => self.one::<PutResult>(),
            Op::DeleteWorkflow => self.one::<Done>(),
            Op::ListVersions => self.many::<Version>(),
            Op::GetVersion => self.one::<Version>(),
            Op::ListInstances => self.many::<ListedInstance>(),
            Op::CreateInstance => self.one::<CreatedInstance>(),
            Op::CreateMany => self.many::<CreatedInstance>(),
            Op::DeleteMany => self.one::<DeletedMany>(),
            Op::TerminateAll => self.one::<Job>(),
            Op::GetInstance => self.one::<InstanceDetails>(),
            Op::DeleteInstance => self.one::<Succeeded>(),
            Op::GetStep => self.one::<StepResult>(),
            Op::SetStatus => self.one::<StatusChanged>(),
            Op::SendEvent => self.one::<EventSent>(),
        }
    }

    fn body(&mut self, op: Op) -> Option<Value> {
        let (schema, required) = match op {
            Op::CreateInstance => (self.read::<CreateBody>(), false),
            Op::CreateMany => {
                (json!({ "type": "array", "items": self.read::<CreateBody>(), "minItems": 1, "maxItems": 100 }), true)
            }
            Op::DeleteMany => (self.read::<DeleteMany>(), true),
            Op::SetStatus => (self.read::<StatusBody>(), true),
            Op::SendEvent => (json!({ "description": "The payload: any JSON" }), false),
            Op::PutWorkflow => (self.read::<PutWorkflow>(), true),
            _ => return None,
        };
        Some(json!({ "required": required, "content": { "application/json": { "schema": schema } } }))
    }

    fn read<T: JsonSchema>(&mut self) -> Value {
        Schema::to_value(self.bodies.subschema_for::<T>())
    }
}

/// The variable parts of the path, and what may stand in the query.
fn parameters(op: Op, path: &str) -> Value {
    let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = parts
        .map(|name| {
            let mut schema = json!({ "type": "string" });
            if let Some(description) = describe_part(name) {
                schema["description"] = description.into();
            }
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    let mut query = |name: &str, required: bool, schema: Value| {
        parameters.push(json!({ "name": name, "in": "query", "required": required, "schema": schema }));
    };
    let page = json!({ "type": "integer", "minimum": 1 });
    let per_page = json!({ "type": "integer", "minimum": 1, "maximum": PER_PAGE_MAX, "default": 25 });
    match op {
        Op::ListAccounts | Op::ListMemberships | Op::ListVersions => {
            query("page", false, page);
            query("per_page", false, per_page);
        }
        Op::ListWorkflows => {
            query("page", false, page);
            query("per_page", false, per_page);
            query("search", false, json!({ "type": "string", "description": "Part of a name" }));
        }
        Op::ListInstances => {
            query("page", false, page);
            query("per_page", false, per_page);
            query(
                "cursor",
                false,
                json!({ "type": "string", "description": "`result_info.cursor` of the page before" }),
            );
            query("direction", false, json!({ "type": "string", "enum": ["asc", "desc"], "default": "desc" }));
            query("status", false, statuses(&miniflow_runtime::InstanceStatus::ALL));
            for name in ["date_start", "date_end"] {
                query(
                    name,
                    false,
                    json!({ "type": "string", "description": "ISO 8601, in UTC unless it has an offset" }),
                );
            }
        }
        Op::TerminateAll => {
            use miniflow_runtime::InstanceStatus::{Paused, Queued, Running, Waiting, WaitingForPause};
            query("status", false, statuses(&[Queued, Running, Paused, WaitingForPause, Waiting]));
        }
        Op::GetInstance => {
            query("order", false, json!({ "type": "string", "enum": ["asc", "desc"], "default": "asc" }));
            query("simple", false, json!({ "type": "string", "enum": ["true", "false"], "default": "false" }));
        }
        Op::GetStep => {
            query("name", true, json!({ "type": "string", "description": "With its counter, such as `charge-1`" }));
            query("type", true, json!({ "type": "string", "enum": ["step", "waitForEvent"] }));
            query("attempt", false, json!({ "type": "integer", "minimum": 1 }));
        }
        Op::Subscribe => {
            query(
                "cursor",
                false,
                json!({ "type": "integer", "minimum": 0, "description": "The last event that is known" }),
            );
            query("filter", false, json!({ "type": "string", "description": "Types of events, with commas between" }));
        }
        _ => {}
    }
    Value::from(parameters)
}

fn statuses(statuses: &[miniflow_runtime::InstanceStatus]) -> Value {
    let words: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
    json!({ "type": "string", "enum": words })
}

fn describe_part(name: &str) -> Option<&'static str> {
    Some(match name {
        "account_id" => "Any: there is one account",
        "event_type" => "Everything after `/events/`",
        "instance_id" => "Percent-encoded where it has to be, as ids that a schedule made",
        _ => return None,
    })
}

fn id(op: Op) -> String {
    let name = format!("{op:?}");
    name[..1].to_ascii_lowercase() + &name[1..]
}

fn summary(op: Op) -> &'static str {
    match op {
        Op::Document => "This document",
        Op::ListAccounts => "The one account there is",
        Op::GetAccount => "The account",
        Op::ListMemberships => "That whoever asks belongs to the account",
        Op::GetUser => "Whoever asks",
        Op::VerifyToken => "Whether the token is good",
        Op::ListWorkers => "The Workers of the session, with what they are bound to",
        Op::ListWorkflows => "Workflows, with counts of their instances by status",
        Op::GetWorkflow => "A workflow, with counts of its instances by status",
        Op::PutWorkflow => "No change when it is what the configuration says; refused otherwise",
        Op::DeleteWorkflow => "Remove the instances of a workflow",
        Op::ListVersions => "Versions of a workflow: the code that is served",
        Op::GetVersion => "A version of a workflow",
        Op::GetGraph => "Not there: a compiled Worker does not say which steps it has",
        Op::ListInstances => "Instances of a workflow, newest first",
        Op::CreateInstance => "Create an instance",
        Op::CreateMany => "Create up to 100 instances; ids that exist or repeat are left out",
        Op::DeleteMany => "Delete up to 100 instances",
        Op::TerminateAll => "Begin to terminate all instances, or those of one status",
        Op::GetInstance => "An instance, with everything that happened to it",
        Op::DeleteInstance => "Delete an instance",
        Op::GetStep => "What a step came to, whole; a stream as its bytes",
        Op::SetStatus => "Pause, resume, terminate or restart an instance",
        Op::SendEvent => "Send an event to an instance",
        Op::Subscribe => "Follow an instance: its events so far, then each as it happens",
    }
}
