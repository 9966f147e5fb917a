//! schemathesis makes requests of the OpenAPI documents: no answer is the server's fault, each is as the document says.

use std::process::Command;

use miniflow_tests::Dev;
use serde_json::json;

use super::{installed, text};

/// Requests of each route at most, so that it is over in a minute.
const EXAMPLES: &str = "20";

#[test]
fn answers_are_as_the_documents_say() {
    let Some(clients) = installed() else { return };
    for (root, prefix) in [("/client/v4", "/accounts/{account_id}"), ("/cdn-cgi/local/explorer/api", "")] {
        let server = Dev::guest("behaviours").start();
        server.v4().create("many-steps", "a", json!({ "n": 2 }));
        let url = format!("{}{root}", server.url());
        // In its own folder: it keeps what it has found.
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[parameters]\n\"path.workflow_name\" = [\"many-steps\", \"one-step\"]\n\"path.instance_id\" = [\"a\", \"b\"]\n{}",
            if prefix.is_empty() { "" } else { "\"path.account_id\" = \"local\"\n" },
        );
        std::fs::write(folder.path().join("schemathesis.toml"), config).unwrap();
        let mut st = Command::new(clients.join("venv/bin/st"));
        // One worker: the parser of some Pythons fails in two threads at once.
        st.current_dir(folder.path())
            .args(["run", &url, "--url", &url, "--max-examples", EXAMPLES, "--seed", "1", "--no-color"])
            // An instance that waits is followed for as long as it waits.
            .args(["--exclude-path-regex", "subscribe$", "--phases", "examples,coverage,fuzzing"])
            .args([
                "--checks",
                "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            ])
            .args(["--generation-database", "none", "--request-timeout", "20", "--workers", "1"]);
        let output = st.output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{root}:\n{said}");
        assert!(said.contains("passed"), "it has run nothing:\n{said}");
    }
}
