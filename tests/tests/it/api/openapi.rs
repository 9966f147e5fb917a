//! The documents of both APIs.

use miniflow::api::{Surface, document};
use miniflow_tests::repository;
use serde_json::Value;

use super::behaviours;

const KEPT: [(Surface, &str, &str); 2] = [
    (Surface::V4, "openapi-v4.json", "/client/v4"),
    (Surface::Local, "openapi-local.json", "/cdn-cgi/local/explorer/api"),
];

#[test]
fn the_documents_in_the_repository_are_those_of_this_version() {
    for (surface, name, _) in KEPT {
        let path = repository().join("docs").join(name);
        let text = format!("{}\n", serde_json::to_string_pretty(&document(surface)).unwrap());
        if std::env::var_os("MINIFLOW_WRITE_DOCS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "docs/{name} is not up to date: run the test with MINIFLOW_WRITE_DOCS=1");
    }
}

// rules: A128
#[test]
fn each_api_describes_itself_at_its_root() {
    let server = behaviours();
    for (surface, _, root) in KEPT {
        for path in [root.to_owned(), format!("{root}/")] {
            assert_eq!(server.get(&path).expect(200).json(), document(surface), "{path}");
        }
    }
    assert_eq!(server.get("/cdn-cgi/local/explorer/api").json()["info"]["title"], "Local Explorer API");
}

#[test]
fn every_reference_of_a_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    for (surface, name, _) in KEPT {
        let document = document(surface);
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{name}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} of {name}");
        }
    }
}
