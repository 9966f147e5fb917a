//! Where problems are said to be.

use super::{Folder, PACKAGE, json, toml};

// rules: A171
#[test]
fn a_problem_in_jsonc_has_its_line_and_column() {
    let folder = json(
        "{\n  // The name that users see: «ü».\n  \"name\": \"fine\",\n  /* « */ \"main\": 1,\n  \"vars\": { \"B\": 1 },\n  \
         \"workflows\": [\n    { \"name\": \"n\", \"binding\": \"B\", \"class_name\": \"C\", },\n  ],\n}\n",
    );
    assert_eq!(
        folder.said(),
        "error: Expected \"main\" to be of type string but got 1.\n  --> wrangler.jsonc:4:19\n  hint: write a string\n\
         error: B assigned to Environment Variable and Workflow bindings.\n  --> wrangler.jsonc:7:31\n  \
         also: wrangler.jsonc:5:13\n  \
         hint: Bindings must have unique names, so that they can all be referenced in the worker."
    );
}

// rules: A171
#[test]
fn a_problem_in_toml_has_its_line_and_column() {
    let folder = toml(
        "name = \"fine\"\nmain = 1 # «\n\n[vars]\nB = 1\nSINCE = 2025-12-19\n\n[[workflows]]\nname = \"n\"\n\
         binding = \"B\"\nclass_name = \"C\"\n\n[[workflows]]\nname = \"m\"\n",
    );
    let said = folder.said();
    assert_eq!(
        said,
        r#"error: "workflows[1]" bindings should have a string "binding" field but got {"name":"m"}.
  --> wrangler.toml:13:1
  hint: add `binding`: the name under which the Worker finds the workflow, such as `MY_WORKFLOW`
error: "workflows[1]" bindings should have a string "class_name" field but got {"name":"m"}.
  --> wrangler.toml:13:1
  hint: add `class_name`: the class that the Worker exports, such as `MyWorkflow`
error: Expected "main" to be of type string but got 1.
  --> wrangler.toml:2:8
  hint: write a string
error: The field "vars.SINCE" is a TOML date, which is not supported. Please use a string instead, e.g. SINCE = "2025-12-19".
  --> wrangler.toml:6:9
  hint: write "2025-12-19"
error: B assigned to Environment Variable and Workflow bindings.
  --> wrangler.toml:10:11
  also: wrangler.toml:5:1
  hint: Bindings must have unique names, so that they can all be referenced in the worker."#
    );
}

#[test]
fn sections_of_toml_are_found_however_they_are_written() {
    for (text, line, column) in [
        ("[build]\nx = 1\n", 2, 1),
        ("build.x = 1\n", 1, 7),
        ("build = { x = 1 }\n", 1, 11),
        ("[[workflows]]\nname=\"n\"\nbinding=\"B\"\nclass_name=\"C\"\n[workflows.limits]\nx = 1\n", 6, 1),
    ] {
        let said = toml(text).said();
        assert!(said.contains(&format!("wrangler.toml:{line}:{column}\n")), "{text}: {said}");
    }
    for (text, line, column) in [
        ("[[workflows]]\nname=\"n\"\nbinding=\"B\"\nclass_name=\"C\"\nlimits.steps = 0\n", 5, 16),
        ("[workflows]\nname = \"n\"\n", 1, 1),
        ("[workflows.n]\nbinding = \"B\"\n", 1, 2),
    ] {
        let said = toml(text).said();
        assert!(said.contains(&format!("wrangler.toml:{line}:{column}\n")), "{text}: {said}");
    }
}

#[test]
fn a_syntax_error_has_its_line_and_column() {
    for (text, line, column) in [
        ("{\n  \"name\": \"a\"\n  \"main\": \"b\"\n}", 2, 14),
        ("{\n  \"name\": \"a\",\n  \"vars\": { \"A\": }\n}", 3, 18),
        ("{\n  name: \"a\"\n}", 2, 3),
        ("{\n  \"name\": 'a'\n}", 2, 11),
        ("{\n  \"name\": \"a\",\n", 1, 1),
        ("{} {}", 1, 4),
        ("{ \"name\": \"a }", 1, 11),
        ("{ /* \"name\": 1 }", 1, 3),
        ("{ \"a\": 0x10 }", 1, 8),
        ("{ \"a\": NaN }", 1, 8),
    ] {
        let said = json(text).said();
        assert!(said.starts_with("error: invalid JSON: "), "{text}: {said}");
        assert!(said.contains(&format!("\n  --> wrangler.jsonc:{line}:{column}\n  hint: ")), "{text}: {said}");
    }
    for (text, line, column) in [
        ("name = \"a\"\nmain = b\n", 2, 8),
        ("name = \"a\nmain = 1\n", 1, 10),
        ("[vars\nA = 1\n", 1, 6),
        ("name = 1\nname = 2\n", 2, 1),
    ] {
        let said = toml(text).said();
        assert!(said.starts_with("error: invalid TOML: "), "{text}: {said}");
        assert!(said.contains(&format!("\n  --> wrangler.toml:{line}:{column}\n  hint: ")), "{text}: {said}");
    }
}

#[test]
fn every_syntax_error_of_toml_is_reported() {
    let said = toml("name = a\nmain = \"x\"\nvars = b\n").said();
    assert!(said.contains("wrangler.toml:1:8\n") && said.contains("wrangler.toml:3:8\n"), "{said}");
}

// rules: S11
#[test]
fn comments_and_trailing_commas_are_fine_in_json_too() {
    let text = "// one\n{ /* two */ \"name\": \"a\", \"vars\": { \"A\": [1,], }, }\n// three";
    let folder = Folder::with(&[("wrangler.json", text), ("Cargo.toml", PACKAGE)]);
    assert_eq!(folder.said(), "");
}

#[test]
fn a_byte_order_mark_moves_nothing() {
    for name in ["wrangler.jsonc", "wrangler.toml"] {
        let folder = Folder::with(&[("Cargo.toml", PACKAGE)]);
        folder.write(name, b"\xef\xbb\xbf=");
        assert!(folder.said().contains(&format!("{name}:1:1\n")), "{}", folder.said());
    }
}

#[test]
fn text_that_is_not_utf_8_is_said_to_be_so() {
    let folder = Folder::with(&[("Cargo.toml", PACKAGE)]);
    folder.write("wrangler.toml", b"name = \"a\"\nmain = \"\xff\"\n");
    assert_eq!(folder.said(), "error: not UTF-8 text\n  --> wrangler.toml:2:9\n  hint: save the file as UTF-8");
}

#[test]
fn lines_that_end_with_carriage_return_are_counted_once() {
    let said = json("{\r\n  \"main\": 1\r\n}").said();
    assert!(said.contains("wrangler.jsonc:2:11\n"), "{said}");
}
