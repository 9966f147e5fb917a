//! What `main` and `build.command` mean.

use super::{Folder, PACKAGE, loaded};
use crate::config::{BuildCommand, Source};

const SUPPORTED: &str = "hint: miniflow runs Workers compiled to WebAssembly components: `main` can be a `.wasm` file, \
                         a `.rs` file or a `Cargo.toml`";

fn with_main(main: &str, files: &[(&str, &str)]) -> Folder {
    let folder = Folder::with(files);
    folder.write("wrangler.jsonc", format!("{{\"name\":\"a\",\"main\":\"{main}\"}}").as_bytes());
    folder
}

#[test]
fn main_is_a_component_or_a_package() {
    for (main, files, manifest) in [
        ("src/lib.rs", &[("Cargo.toml", PACKAGE), ("src/lib.rs", "")][..], "Cargo.toml"),
        ("Cargo.toml", &[("Cargo.toml", PACKAGE)], "Cargo.toml"),
        ("worker/Cargo.toml", &[("worker/Cargo.toml", PACKAGE)], "worker/Cargo.toml"),
        ("worker/src/a/b.rs", &[("worker/Cargo.toml", PACKAGE), ("worker/src/a/b.rs", "")], "worker/Cargo.toml"),
        ("build/worker/shim.mjs", &[("Cargo.toml", PACKAGE)], "Cargo.toml"),
        ("./build/index.js", &[("Cargo.toml", PACKAGE)], "Cargo.toml"),
        ("", &[("Cargo.toml", PACKAGE)], "Cargo.toml"),
    ] {
        let folder = with_main(main, files);
        let manifest = folder.path().join(manifest);
        assert_eq!(loaded(&folder).source, Source::Crate { manifest }, "{main}");
    }
    let folder = with_main("out/a.wasm", &[("out/a.wasm", "")]);
    assert_eq!(loaded(&folder).source, Source::Wasm(folder.path().join("out/a.wasm")));
}

#[test]
fn a_main_that_cannot_be_run_says_what_can() {
    for (main, files, expected) in [
        ("src/index.ts", &[("src/index.ts", "")][..], format!("which is not WebAssembly@\n  {SUPPORTED}")),
        ("src/index.js", &[("Cargo.toml", PACKAGE)], format!("which is not WebAssembly@\n  {SUPPORTED}")),
        ("build/index.mjs", &[], format!("which is not WebAssembly@\n  {SUPPORTED}")),
        ("src/entry.py", &[], format!("which is not WebAssembly@\n  {SUPPORTED}")),
        ("a.txt", &[("a.txt", "")], format!("which cannot be run@\n  {SUPPORTED}")),
        ("w/Cargo.toml", &[], format!("which does not exist@\n  {SUPPORTED}")),
        ("w/", &[("w/Cargo.toml", PACKAGE)], "which is a folder@\n  hint: name the file: `w/Cargo.toml`".to_owned()),
        ("a.wasm", &[], "which does not exist@\n  hint: build it first, or let `build.command` do it".to_owned()),
        (
            "src/lib.rs",
            &[("Cargo.toml", PACKAGE)],
            "which does not exist@\n  hint: it is relative to the folder of the configuration".to_owned(),
        ),
    ] {
        let folder = with_main(main, files);
        let expected = expected.replace('@', "\n  --> wrangler.jsonc:1:20");
        assert_eq!(folder.said(), format!("error: `main` is `{main}`, {expected}"));
    }
}

#[test]
fn without_main_there_is_a_package_beside_the_configuration() {
    let folder = Folder::with(&[("wrangler.jsonc", "{}")]);
    assert_eq!(
        folder.said(),
        format!(
            "error: there is no `main`, and no `Cargo.toml` beside the configuration\n  --> wrangler.jsonc\n  {SUPPORTED}"
        )
    );
}

#[test]
fn a_main_that_is_not_text_is_reported_once() {
    let folder = Folder::with(&[("wrangler.jsonc", "{ \"main\": 1 }")]);
    assert_eq!(
        folder.said(),
        "error: Expected \"main\" to be of type string but got 1.\n  --> wrangler.jsonc:1:11\n  hint: write a string"
    );
}

#[test]
fn worker_build_is_replaced() {
    for (command, left) in [
        ("worker-build --release", None),
        ("cargo install -q worker-build && worker-build --release", None),
        ("cargo install -q worker-build@0.1.2 && ./bin/worker-build", None),
        ("sh -c 'npm ci && worker-build'", None),
        ("npm run css && worker-build --release", Some("npm run css")),
        ("make", Some("make")),
        ("make worker-builder", Some("make worker-builder")),
        ("  ", None),
    ] {
        let folder = Folder::with(&[("Cargo.toml", PACKAGE)]);
        folder.write("wrangler.toml", format!("[build]\ncommand = \"{command}\"\n").as_bytes());
        let expected = left.map(|command| BuildCommand {
            command: command.to_owned(),
            cwd: folder.path().to_owned(),
            watch_dirs: vec![folder.path().to_owned()],
        });
        assert_eq!(loaded(&folder).build, expected, "{command}");
        let note = "note: `worker-build` of `build.command` is replaced by a build for wasm32-wasip2";
        let is_replaced = left != Some(command) && !command.trim().is_empty();
        assert_eq!(folder.said(), if is_replaced { note } else { "" }, "{command}");
    }
}

#[test]
fn a_command_may_make_the_component() {
    let folder = Folder::with(&[("tools/run.sh", "")]);
    folder.write("wrangler.toml", b"main = \"out/made.wasm\"\n[build]\ncommand = \"./run.sh\"\ncwd = \"tools\"\n");
    let project = loaded(&folder);
    assert_eq!(project.name, "made");
    assert_eq!(project.source, Source::Wasm(folder.path().join("out/made.wasm")));
    let cwd = folder.path().join("tools");
    assert_eq!(
        project.build,
        Some(BuildCommand { command: "./run.sh".to_owned(), watch_dirs: vec![cwd.clone()], cwd })
    );
}

#[test]
fn a_command_needs_its_folder() {
    let folder = Folder::with(&[("Cargo.toml", PACKAGE)]);
    folder.write("wrangler.toml", b"[build]\ncommand = \"make\"\ncwd = \"nowhere\"\n");
    assert_eq!(
        folder.said(),
        "error: `build.cwd` is not a folder: `nowhere`\n  --> wrangler.toml:3:7\n  \
         hint: it is relative to the folder of the configuration"
    );
}
