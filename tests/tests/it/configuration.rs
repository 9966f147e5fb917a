//! What a Worker is given: variables, secrets and environments, by the real program; and `miniflow check`.

use std::path::Path;

use miniflow_tests::{Dev, Server};
use serde_json::{Value, json};

/// The Worker that greets with its variable `GREETING`.
fn hello(config: Value) -> Dev {
    Dev::example("hello").config(config)
}

fn write(dev: &Dev, name: &str, text: &str) {
    std::fs::write(dev.served().join(name), text).unwrap();
}

fn greeting(server: &Server) -> String {
    server.get("/x").expect(200).text().trim_end_matches(", x!\n").to_owned()
}

// rules: C9-9, C9-10
#[test]
fn a_secret_counts_more_than_a_variable_and_a_flag_more_than_both() {
    let dev = hello(json!({ "vars": { "GREETING": "of vars" } }));
    assert_eq!(greeting(&dev.start()), "of vars");
    write(&dev, ".env", "GREETING=\"of env\"\n");
    assert_eq!(greeting(&dev.start()), "of env");
    write(&dev, ".env.local", "export GREETING='of local' # comment\n");
    assert_eq!(greeting(&dev.start()), "of local");
    write(&dev, ".dev.vars", "GREETING=of dev vars\n");
    assert_eq!(greeting(&dev.start()), "of dev vars");
    write(&dev, "other.env", "GREETING=of a named file\n");
    let dev = dev.args(["--env-file", "other.env"]);
    assert_eq!(greeting(&dev.start()), "of a named file");
    let dev = dev.args(["--var", "GREETING:of: a flag"]);
    assert_eq!(greeting(&dev.start()), "of: a flag");
}

// rules: C9-11
#[test]
fn a_secret_is_not_shown() {
    let dev = hello(json!({}));
    write(&dev, ".dev.vars", "GREETING=swordfish\n");
    let server = dev.args(["--log-level", "debug"]).start();
    assert_eq!(greeting(&server), "swordfish");
    let log = server.log();
    assert!(log.contains("GREETING  secret  of .dev.vars"), "{log}");
    assert!(!log.contains("swordfish"), "{log}");
}

// rules: C9-2, C9-3, C9-8
#[test]
fn an_environment_is_chosen_by_flag_or_variable() {
    let config = json!({ "name": "greeter", "vars": { "GREETING": "top" }, "env": {
        "staging": { "vars": { "GREETING": "staging" } }, "production": { "vars": { "GREETING": "production" } },
    } });
    let dev = || hello(config.clone());
    assert_eq!(greeting(&dev().start()), "top");

    let server = dev().args(["-e", "staging"]).start();
    assert_eq!(greeting(&server), "staging");
    assert!(server.log().contains("miniflow greeter-staging\n"), "{}", server.log());

    assert_eq!(greeting(&dev().env("CLOUDFLARE_ENV", "production").start()), "production");
    assert_eq!(greeting(&dev().env("CLOUDFLARE_ENV", "production").args(["-e", "staging"]).start()), "staging");

    let with_secrets = dev().args(["--env", "staging"]);
    write(&with_secrets, ".dev.vars", "GREETING=for all\n");
    assert_eq!(greeting(&with_secrets.start()), "for all");
    write(&with_secrets, ".dev.vars.staging", "GREETING=for staging\n");
    assert_eq!(greeting(&with_secrets.start()), "for staging");
}

// rules: C9-4
#[test]
fn an_unknown_environment_is_refused_with_those_there_are() {
    let dev = hello(json!({ "env": { "staging": {}, "production": {} } })).args(["-e", "stagin"]);
    dev.refused().assert_one_error(&[
        "No environment found in configuration with name \"stagin\".",
        "wrangler.jsonc:1:",
        "did you mean `staging`? The available configured environment names are: [",
    ]);
}

// rules: C9-7
#[test]
fn the_configuration_says_where_it_is_served() {
    // A flag counts more, and one is always given here.
    let server = hello(json!({ "vars": { "GREETING": "Hi" }, "dev": { "port": 1, "ip": "127.0.0.1" } })).start();
    assert!(server.url().starts_with("http://127.0.0.1:") && !server.url().ends_with(":1"), "{}", server.url());
    assert_eq!(greeting(&server), "Hi");
}

#[test]
fn flags_of_wrangler_that_mean_nothing_are_named_in_one_line() {
    let server = hello(json!({ "vars": { "GREETING": "Hi" } })).args(["--minify", "--inspector-port", "9229"]).start();
    assert_eq!(server.lines_with("change nothing here"), ["note: `--inspector-port`, `--minify` change nothing here"]);
}

#[test]
fn keys_that_change_nothing_are_listed_for_those_who_want_to_know() {
    let config =
        json!({ "compatibility_date": "2026-01-01", "routes": ["example.com/*"], "vars": { "GREETING": "Hi" } });
    let log = |level: &str| hello(config.clone()).args(["--log-level", level]).start().stop().1;
    let line = "`compatibility_date`, `routes` change nothing here";
    assert!(log("debug").contains(line), "{}", log("debug"));
    assert!(!log("info").contains(line));
}

#[test]
fn a_workflow_that_is_only_declared_runs_and_is_not_bound() {
    let config = json!({ "exports": { "MyWorkflow": { "type": "workflow", "name": "declared" } } });
    let server = Dev::example("trigger-from-fetch").config(config).start();
    let log = server.log();
    assert!(log.contains("bindings   none") && log.contains("declared  MyWorkflow"), "{log}");
    let api = server.v4();
    let path = api.create("declared", "a", json!({}));
    api.wait_for(&path, "complete");
}

mod check {
    use super::*;

    #[test]
    fn a_worker_that_can_be_served_is_said_to_be_so_and_leaves_nothing_behind() {
        let dev = hello(json!({ "name": "greeter", "vars": { "GREETING": "Hi" } }));
        let checked = dev.checked();
        assert_eq!((checked.code, checked.text.as_str()), (Some(0), "note: `greeter` can be served: 1 variable\n"));
        assert_eq!(names(dev.served()), ["wrangler.jsonc"]);
    }

    #[test]
    fn a_class_that_the_component_lacks_is_one_error() {
        let workflow = |class: &str| json!({ "name": "trigger", "binding": "T", "class_name": class });
        let of = |class: &str| {
            let config = json!({ "workflows": [workflow(class)] });
            Dev::example("trigger-from-fetch").config(config).checked()
        };
        assert_eq!(of("MyWorkflow").code, Some(0));
        let checked = of("MyWorkflows");
        assert_eq!(checked.code, Some(1));
        checked.assert_one_error(&["which the Worker does not export", "did you mean `MyWorkflow`?"]);
    }

    #[test]
    fn what_is_wrong_with_an_environment_is_found_without_running_it() {
        let config = json!({ "vars": { "GREETING": "Hi" }, "env": { "staging": { "vars": 1 } } });
        assert_eq!(hello(config.clone()).checked().code, Some(0));
        let checked = hello(config).args(["-e", "staging"]).checked();
        assert_eq!(checked.code, Some(1));
        assert!(
            checked.text.contains("The field \"env.staging.vars\" should be an object but got 1."),
            "{}",
            checked.text
        );
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}
