//! The names of bindings: each can be written as a word of code, and no two are the same, whatever they are bound to.

use std::collections::BTreeMap;

use super::problem::{Problem, Problems};
use super::raw::{Document, Node};

/// Where bindings of one kind have their names.
enum Names {
    /// They are the keys of an object.
    Keys,
    /// They stand under this key of each object of a list.
    InEach(&'static str),
    /// There is one, under `binding` of an object.
    One,
    /// They are the texts of a list.
    Texts,
}

use Names::{InEach, Keys, One, Texts};

/// Every kind of binding: its place in a configuration, where names are there, and what wrangler calls the kind.
const KINDS: &[(&str, Names, &str)] = &[
    ("data_blobs", Keys, "Data Blob"),
    ("durable_objects.bindings", InEach("name"), "Durable Object"),
    ("kv_namespaces", InEach("binding"), "KV Namespace"),
    ("send_email", InEach("name"), "Send Email"),
    ("queues.producers", InEach("binding"), "Queue"),
    ("d1_databases", InEach("binding"), "D1 Database"),
    ("vectorize", InEach("binding"), "Vectorize Index"),
    ("ai_search_namespaces", InEach("binding"), "AI Search Namespace"),
    ("ai_search", InEach("binding"), "AI Search"),
    ("websearch", One, "Web Search"),
    ("agent_memory", InEach("binding"), "Agent Memory"),
    ("hyperdrive", InEach("binding"), "Hyperdrive Config"),
    ("r2_buckets", InEach("binding"), "R2 Bucket"),
    ("logfwdr.bindings", InEach("name"), "logfwdr"),
    ("services", InEach("binding"), "Worker"),
    ("analytics_engine_datasets", InEach("binding"), "Analytics Engine Dataset"),
    ("text_blobs", Keys, "Text Blob"),
    ("browser", One, "Browser Run"),
    ("ai", One, "AI"),
    ("images", One, "Images"),
    ("stream", One, "Stream"),
    ("media", One, "Media"),
    ("version_metadata", One, "Worker Version Metadata"),
    ("unsafe.bindings", InEach("name"), "Unsafe Metadata"),
    ("vars", Keys, "Environment Variable"),
    ("wasm_modules", Keys, "Wasm Module"),
    ("dispatch_namespaces", InEach("binding"), "Dispatch Namespace"),
    ("mtls_certificates", InEach("binding"), "mTLS Certificate"),
    ("workflows", InEach("binding"), "Workflow"),
    ("pipelines", InEach("binding"), "Pipeline"),
    ("secrets_store_secrets", InEach("binding"), "Secrets Store Secret"),
    ("artifacts", InEach("binding"), "Artifacts"),
    ("unsafe_hello_world", InEach("binding"), "Hello World"),
    ("flagship", InEach("binding"), "Flagship"),
    ("ratelimits", InEach("name"), "Rate Limit"),
    ("worker_loaders", InEach("binding"), "Worker Loader"),
    ("vpc_services", InEach("binding"), "VPC Service"),
    ("vpc_networks", InEach("binding"), "VPC Network"),
    ("assets", One, "Assets"),
    ("secrets.required", Texts, "Secret"),
];

/// Reports every name that is no identifier, and every name that two bindings have.
pub(super) fn check(document: &Document, problems: &mut Problems) {
    let mut uses: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for (path, names, kind) in KINDS {
        let Some(node) = path.split('.').try_fold(&document.root, |node, key| node.get(key)) else { continue };
        for (name, offset) in names.of(node) {
            uses.entry(name).or_default().push((kind, offset));
        }
    }
    for (name, mut uses) in uses {
        uses.sort_by_key(|(_, offset)| *offset);
        if !is_identifier(name) {
            problems.push(
                Problem::error(format!("a binding cannot be called {name:?}"))
                    .at(document.place(uses[0].1))
                    .with_hint("use letters, digits and `_`, and do not begin with a digit: code says `env.NAME`"),
            );
        }
        if let Some(message) = of_repeated(name, &uses) {
            let (last, earlier) = uses.split_last().expect("a name is only in the map with a use");
            let problem = Problem::error(message)
                .at(document.place(last.1))
                .with_hint("Bindings must have unique names, so that they can all be referenced in the worker.");
            problems
                .push(earlier.iter().fold(problem, |problem, (_, offset)| problem.also_at(document.place(*offset))));
        }
    }
}

/// Returns whether code can say `env.NAME`.
pub(crate) fn is_identifier(name: &str) -> bool {
    let starts = |character: char| character.is_alphabetic() || matches!(character, '_' | '$');
    name.starts_with(starts) && name.chars().all(|character| starts(character) || character.is_alphanumeric())
}

impl Names {
    fn of<'a>(&self, node: &'a Node) -> Vec<(&'a str, usize)> {
        let text = |node: &'a Node| Some((node.text()?, node.offset));
        match self {
            Keys => {
                let entries = node.entries().unwrap_or_default();
                entries.iter().map(|entry| (entry.key.as_str(), entry.key_offset)).collect()
            }
            InEach(key) => {
                node.items().unwrap_or_default().iter().filter_map(|item| item.get(key)).filter_map(text).collect()
            }
            One => node.get("binding").and_then(text).into_iter().collect(),
            Texts => node.items().unwrap_or_default().iter().filter_map(text).collect(),
        }
    }
}

/// Says that `name` is used more than once, if it is.
fn of_repeated(name: &str, uses: &[(&str, usize)]) -> Option<String> {
    let mut kinds: Vec<&str> = Vec::new();
    for (kind, _) in uses {
        if !kinds.contains(kind) {
            kinds.push(kind);
        }
    }
    kinds.sort_by_key(|kind| KINDS.iter().position(|(_, _, known)| known == kind));
    match kinds.as_slice() {
        [_] if uses.len() == 1 => None,
        [kind] => Some(format!("{name} assigned to multiple {kind} bindings.")),
        [first, second] => Some(format!("{name} assigned to {first} and {second} bindings.")),
        [first @ .., last] => Some(format!("{name} assigned to {}, and {last} bindings.", first.join(", "))),
        [] => None,
    }
}
