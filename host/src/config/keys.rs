//! The top-level keys of a configuration: where each may stand, and what becomes of it.

use super::raw::Node;

/// Where a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// An environment has that of the top level unless it has its own.
    Inherited,
    /// An environment has its own or none.
    PerEnvironment,
    /// Only at the top level.
    TopLevel,
}

/// Returns where the key `key` counts; nothing if wrangler does not know it either.
pub(super) fn scope(key: &str) -> Option<Scope> {
    KEYS.iter().find(|(known, _)| *known == key).map(|(_, scope)| *scope)
}

/// Returns every known key.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

/// Returns every key that an environment can have.
pub(super) fn of_environments() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(|(_, scope)| *scope != Scope::TopLevel).map(|(key, _)| *key)
}

/// Returns the keys of `config` that are right where they are and change nothing in a local run.
pub(super) fn without_effect(config: &Node) -> Vec<String> {
    let entries = config.entries().unwrap_or_default().iter().map(|entry| entry.key.clone());
    entries.filter(|key| NO_EFFECT.contains(&key.as_str())).collect()
}

/// Returns what `config` asks for and this version does not run, once each. What is empty asks for nothing.
pub(super) fn not_run(config: &Node) -> Vec<String> {
    let asked_for = |path: &&&str| {
        let keys: Vec<&str> = path.split('.').collect();
        is_asked_for(config, &keys)
    };
    NOT_RUN.iter().filter(asked_for).map(|path| (*path).to_owned()).collect()
}

fn is_asked_for(node: &Node, path: &[&str]) -> bool {
    match path {
        [] => !node.is_empty(),
        [key, rest @ ..] => match key.strip_suffix("[]") {
            Some(list) => {
                let items = node.get(list).and_then(Node::items).unwrap_or_default();
                items.iter().any(|item| is_asked_for(item, rest))
            }
            None => node.get(key).is_some_and(|value| is_asked_for(value, rest)),
        },
    }
}

/// What would change something and is not run. To make one run is to remove its line.
const NOT_RUN: &[&str] = &[
    "workflows[].jurisdiction",
    // Nobody works on these.
    "triggers.events",
    "agent_memory",
    "ai",
    "ai_search",
    "ai_search_namespaces",
    "analytics_engine_datasets",
    "artifacts",
    "assets",
    "browser",
    "cloudchamber",
    "connect",
    "containers",
    "d1_databases",
    "data_blobs",
    "dispatch_namespaces",
    "flagship",
    "hyperdrive",
    "images",
    "logfwdr",
    "media",
    "mtls_certificates",
    "pages_build_output_dir",
    "pipelines",
    "r2_buckets",
    "ratelimits",
    "secrets_store_secrets",
    "send_email",
    "site",
    "stream",
    "text_blobs",
    "unsafe",
    "unsafe_hello_world",
    "vectorize",
    "version_metadata",
    "vpc_networks",
    "vpc_services",
    "wasm_modules",
    "websearch",
    "worker_loaders",
];

/// What concerns deployment, or the bundling of JavaScript.
const NO_EFFECT: &[&str] = &[
    "$schema",
    "access",
    "account_id",
    "addresses",
    "alias",
    "base_dir",
    "cache",
    "compatibility_date",
    "compatibility_flags",
    "compliance_region",
    "define",
    "dependencies_instrumentation",
    "find_additional_modules",
    "first_party_worker",
    "jsx_factory",
    "jsx_fragment",
    "keep_names",
    "keep_vars",
    "logpush",
    "minify",
    "no_bundle",
    "observability",
    "placement",
    "preserve_file_names",
    "preview_urls",
    "previews",
    "python_modules",
    "route",
    "routes",
    "rules",
    "send_metrics",
    "streaming_tail_consumers",
    "tail_consumers",
    "tsconfig",
    "upload_source_maps",
    "workers_dev",
];

const KEYS: &[(&str, Scope)] = &[
    ("access", Scope::Inherited),
    ("account_id", Scope::Inherited),
    ("assets", Scope::Inherited),
    ("base_dir", Scope::Inherited),
    ("build", Scope::Inherited),
    ("cache", Scope::Inherited),
    ("compatibility_date", Scope::Inherited),
    ("compatibility_flags", Scope::Inherited),
    ("compliance_region", Scope::Inherited),
    ("exports", Scope::Inherited),
    ("find_additional_modules", Scope::Inherited),
    ("first_party_worker", Scope::Inherited),
    ("jsx_factory", Scope::Inherited),
    ("jsx_fragment", Scope::Inherited),
    ("keep_names", Scope::Inherited),
    ("limits", Scope::Inherited),
    ("logfwdr", Scope::Inherited),
    ("logpush", Scope::Inherited),
    ("main", Scope::Inherited),
    ("migrations", Scope::Inherited),
    ("minify", Scope::Inherited),
    ("name", Scope::Inherited),
    ("no_bundle", Scope::Inherited),
    ("observability", Scope::Inherited),
    ("placement", Scope::Inherited),
    ("preserve_file_names", Scope::Inherited),
    ("preview_urls", Scope::Inherited),
    ("previews", Scope::Inherited),
    ("python_modules", Scope::Inherited),
    ("route", Scope::Inherited),
    ("routes", Scope::Inherited),
    ("rules", Scope::Inherited),
    ("triggers", Scope::Inherited),
    ("tsconfig", Scope::Inherited),
    ("upload_source_maps", Scope::Inherited),
    ("workers_dev", Scope::Inherited),
    ("agent_memory", Scope::PerEnvironment),
    ("ai", Scope::PerEnvironment),
    ("ai_search", Scope::PerEnvironment),
    ("ai_search_namespaces", Scope::PerEnvironment),
    ("analytics_engine_datasets", Scope::PerEnvironment),
    ("artifacts", Scope::PerEnvironment),
    ("browser", Scope::PerEnvironment),
    ("cloudchamber", Scope::PerEnvironment),
    ("connect", Scope::PerEnvironment),
    ("containers", Scope::PerEnvironment),
    ("d1_databases", Scope::PerEnvironment),
    ("define", Scope::PerEnvironment),
    ("dispatch_namespaces", Scope::PerEnvironment),
    ("durable_objects", Scope::PerEnvironment),
    ("flagship", Scope::PerEnvironment),
    ("hyperdrive", Scope::PerEnvironment),
    ("images", Scope::PerEnvironment),
    ("kv_namespaces", Scope::PerEnvironment),
    ("media", Scope::PerEnvironment),
    ("mtls_certificates", Scope::PerEnvironment),
    ("pipelines", Scope::PerEnvironment),
    ("queues", Scope::PerEnvironment),
    ("r2_buckets", Scope::PerEnvironment),
    ("ratelimits", Scope::PerEnvironment),
    ("secrets", Scope::PerEnvironment),
    ("secrets_store_secrets", Scope::PerEnvironment),
    ("send_email", Scope::PerEnvironment),
    ("services", Scope::PerEnvironment),
    ("stream", Scope::PerEnvironment),
    ("streaming_tail_consumers", Scope::PerEnvironment),
    ("tail_consumers", Scope::PerEnvironment),
    ("unsafe", Scope::PerEnvironment),
    ("unsafe_hello_world", Scope::PerEnvironment),
    ("vars", Scope::PerEnvironment),
    ("vectorize", Scope::PerEnvironment),
    ("version_metadata", Scope::PerEnvironment),
    ("vpc_networks", Scope::PerEnvironment),
    ("vpc_services", Scope::PerEnvironment),
    ("websearch", Scope::PerEnvironment),
    ("worker_loaders", Scope::PerEnvironment),
    ("workflows", Scope::PerEnvironment),
    ("$schema", Scope::TopLevel),
    ("addresses", Scope::TopLevel),
    ("alias", Scope::TopLevel),
    ("data_blobs", Scope::TopLevel),
    ("dependencies_instrumentation", Scope::TopLevel),
    ("dev", Scope::TopLevel),
    ("env", Scope::TopLevel),
    ("keep_vars", Scope::TopLevel),
    ("pages_build_output_dir", Scope::TopLevel),
    ("send_metrics", Scope::TopLevel),
    ("site", Scope::TopLevel),
    ("text_blobs", Scope::TopLevel),
    ("wasm_modules", Scope::TopLevel),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_every_key_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let docs = std::fs::read_to_string(path).expect("the documentation is there");
        let (read, rest) = docs.split_once("## What is not run").expect("there is such a section");
        let (not_run, no_effect) = rest.split_once("## What changes nothing").expect("there is such a section");
        let says = |section: &str, key: &str| {
            [format!("`{key}`"), format!("`{key}.")].iter().any(|word| section.contains(word))
        };
        for (key, _) in KEYS {
            let is_not_run = NOT_RUN.iter().any(|path| path == key);
            let section = if NO_EFFECT.contains(key) {
                no_effect
            } else if is_not_run && !says(read, key) {
                not_run
            } else {
                read
            };
            assert!(says(section, key), "{key}");
        }
    }

    #[test]
    fn every_key_of_the_tables_is_known() {
        let first = |path: &&'static str| path.split(['.', '[']).next().unwrap_or_default();
        for key in NO_EFFECT.iter().chain(NOT_RUN).map(first) {
            assert!(scope(key).is_some(), "{key}");
        }
    }
}
