//! Checks `kv_namespaces` and `services` of a configuration, with wrangler's words.

use super::fields::{self, Fields};
use super::problem::Problems;
use super::raw::Document;
use super::resolved::{KvBinding, ServiceBinding};

/// Takes the KV namespaces from `document`.
pub(super) fn kv_namespaces(document: &Document, problems: &mut Problems) -> Vec<KvBinding> {
    let Some(node) = document.root.get("kv_namespaces") else { return Vec::new() };
    let mut namespaces = Vec::new();
    for (field, item) in fields::bindings(document, node, &document.field("kv_namespaces"), "kv_namespaces", problems) {
        let mut fields = Fields::of_binding(document, item, field, problems);
        fields.check_keys(&["binding", "id", "preview_id", "remote"]);
        let binding = fields.required("binding", "the name under which the Worker finds it, such as `MY_KV`");
        // It can be left out, and then it is made when the Worker is deployed.
        let id = match item.get("id") {
            Some(_) => fields.required("id", "the id of the namespace").filter(|(_, id)| !id.is_empty()),
            None => binding,
        };
        // A local run is what it is for.
        let preview = fields.optional("preview_id").filter(|(_, id)| !id.is_empty());
        fields.check_remote();
        if let Some((node, "")) = item.get("id").and_then(|node| Some((node, node.text()?))) {
            let message =
                format!("\"{}\" bindings should have a string \"id\" field but got {}.", fields.field, item.to_json());
            fields.error(node, message, "write the id of the namespace, or leave `id` out");
        }
        if let (Some((node, binding)), Some((_, id))) = (binding, preview.or(id)) {
            let place = Some(fields.place(node));
            namespaces.push(KvBinding { binding: binding.to_owned(), id: id.to_owned(), place });
        }
    }
    namespaces
}

/// Takes the service bindings from `document`.
pub(super) fn services(document: &Document, problems: &mut Problems) -> Vec<ServiceBinding> {
    let Some(node) = document.root.get("services") else { return Vec::new() };
    let mut services = Vec::new();
    for (field, item) in fields::bindings(document, node, &document.field("services"), "services", problems) {
        let mut fields = Fields::of_binding(document, item, field, problems);
        fields.check_keys(&["binding", "service", "environment", "entrypoint", "props", "dev", "remote"]);
        let binding = fields.required("binding", "the name under which the Worker finds it, such as `BILLING`");
        let service = fields.required("service", "the name of the other Worker, such as `billing`");
        let entrypoint = of_type_string(&mut fields, "entrypoint");
        of_type_string(&mut fields, "environment");
        fields.check_remote();
        if let (Some((_, binding)), Some((node, service))) = (binding, service) {
            services.push(ServiceBinding {
                binding: binding.to_owned(),
                service: service.to_owned(),
                entrypoint,
                place: Some(fields.place(node)),
            });
        }
    }
    services
}

/// Returns the text under `key`, if it is there. wrangler has the words of a required field.
fn of_type_string(fields: &mut Fields<'_>, key: &str) -> Option<String> {
    fields.node.get(key)?;
    fields.required(key, "a text, or leave it out").map(|(_, text)| text.to_owned())
}
