//! What PATH means.

use std::path::Path;

use super::super::load;
use super::{Folder, PACKAGE, loaded};
use crate::config::{LoadOptions, Source};

const CONFIG: &str = "{ \"name\": \"of-the-config\" }";
const HINT: &str = "hint: PATH is a folder with a `wrangler.jsonc` (or `.json`, `.toml`) or a `Cargo.toml`, one of these \
                    files, or a `.wasm` file";

#[test]
fn a_folder_with_a_configuration_is_that() {
    for (name, text) in
        [("wrangler.jsonc", CONFIG), ("wrangler.json", CONFIG), ("wrangler.toml", "name = \"of-the-config\"")]
    {
        let folder = Folder::with(&[(name, text), ("Cargo.toml", PACKAGE)]);
        let project = loaded(&folder);
        assert_eq!(project.name, "of-the-config");
        assert_eq!(project.root, folder.path());
        assert_eq!(project.config.as_deref(), Some(&*folder.path().join(name)));
        assert_eq!(project.source, Source::Crate { manifest: folder.path().join("Cargo.toml") });
        assert_eq!(project.workflows, Some(Vec::new()));
        assert!(project.warnings.is_empty());

        let same = load(&folder.path().join(name), &LoadOptions::default()).expect("the file itself is fine too");
        assert_eq!(same, project);
    }
}

#[test]
fn of_two_configurations_the_one_wrangler_takes_is_read() {
    for (present, read) in [
        (["wrangler.json", "wrangler.jsonc"], "wrangler.json"),
        (["wrangler.jsonc", "wrangler.toml"], "wrangler.jsonc"),
        (["wrangler.toml", "wrangler.json"], "wrangler.json"),
    ] {
        let folder = Folder::with(&[(present[0], ""), (present[1], ""), ("Cargo.toml", PACKAGE)]);
        assert_eq!(loaded(&folder).config, Some(folder.path().join(read)));
        let other = present.iter().find(|name| **name != read).expect("there are two");
        assert_eq!(
            folder.said(),
            format!(
                "warning: `{other}` is not read, because there is a `{read}`\n  \
                 hint: remove one of them, or pass the file that is meant"
            )
        );
    }
}

#[test]
fn a_folder_with_a_package_only_is_that() {
    let folder = Folder::with(&[("Cargo.toml", PACKAGE)]);
    let project = loaded(&folder);
    assert_eq!(project.name, "of-the-package");
    assert_eq!(project.root, folder.path());
    assert_eq!(project.config, None);
    assert_eq!(project.source, Source::Crate { manifest: folder.path().join("Cargo.toml") });
    assert_eq!(project.workflows, None, "every class is bound");

    assert_eq!(load(&folder.path().join("Cargo.toml"), &LoadOptions::default()), Ok(project));
}

#[test]
fn a_wasm_file_is_run_as_it_is() {
    let folder = Folder::with(&[("my-worker.WASM", ""), ("wrangler.jsonc", CONFIG)]);
    let file = folder.path().join("my-worker.WASM");
    let project = load(&file, &LoadOptions::default()).expect("a file is fine");
    assert_eq!(project.name, "my-worker");
    assert_eq!(project.root, folder.path());
    assert_eq!(project.source, Source::Wasm(file));
    assert_eq!(project.config, None);
    assert_eq!(project.workflows, None);
}

#[test]
fn a_path_that_means_nothing_says_what_would() {
    let folder = Folder::with(&[("empty/README.md", ""), ("index.ts", "")]);
    assert_eq!(folder.said_of("missing"), format!("error: `missing` does not exist\n  {HINT}"));
    assert_eq!(folder.said_of("missing.wasm"), format!("error: `missing.wasm` does not exist\n  {HINT}"));
    assert_eq!(folder.said_of("index.ts"), format!("error: `index.ts` cannot be run\n  {HINT}"));
    // The hint may also be a project above the folder for temporary files.
    let said = folder.said_of("empty");
    assert!(said.starts_with("error: `empty` has no `wrangler.jsonc` and no `Cargo.toml`\n  hint: "), "{said}");
}

#[test]
fn a_folder_inside_of_a_project_names_the_project() {
    let folder = Folder::with(&[("wrangler.jsonc", CONFIG), ("src/inner/lib.rs", "")]);
    assert_eq!(
        folder.said_of("src/inner"),
        "error: `src/inner` has no `wrangler.jsonc` and no `Cargo.toml`\n  hint: did you mean `FOLDER`?"
    );
}

#[test]
fn a_workspace_is_not_a_worker() {
    let text = "[workspace]\nmembers = [\"one\", \"two\"]\n";
    let folder = Folder::with(&[("Cargo.toml", text)]);
    assert_eq!(
        folder.said(),
        "error: this `Cargo.toml` has no `[package]` with a `name`\n  --> Cargo.toml\n  \
         hint: it is a workspace: name the member that is the Worker (one, two)"
    );
    let folder = Folder::with(&[("Cargo.toml", "[package\n")]);
    assert!(folder.said().starts_with("error: invalid TOML: "), "{}", folder.said());
    let folder = Folder::with(&[("Cargo.toml", ""), ("wrangler.jsonc", "")]);
    assert!(folder.said().starts_with("error: this `Cargo.toml` has no `[package]`"), "{}", folder.said());
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_says_so() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::with(&[("wrangler.jsonc", CONFIG)]);
    let file = folder.path().join("wrangler.jsonc");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).expect("permissions are set");
    // Root reads everything.
    if std::fs::read(&file).is_err() {
        let said = folder.said();
        assert!(said.starts_with("error: could not read `wrangler.jsonc`: "), "{said}");
    }
}

#[test]
fn places_are_shown_relative_to_where_the_developer_is() {
    let problems = load(Path::new("./no/such/./folder"), &LoadOptions::default()).expect_err("it does not exist");
    assert!(problems.to_string().starts_with("error: `no/such/folder` does not exist"), "{problems}");
}
