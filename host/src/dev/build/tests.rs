//! What can be tested without a compiler.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::messages::{Artifact, Metadata, artifact, component};
use super::{BuildError, Profile, Progress, build, last_built};
use crate::config::{BuildCommand, LoadOptions, Problems, load};

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::from_variables(variables.iter().map(|(key, value)| (OsString::from(key), OsString::from(value))))
}

fn value<'a>(environment: &'a Environment, name: &str) -> Option<&'a OsStr> {
    environment.variables().iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
}

#[test]
fn what_is_meant_for_another_build_is_left_out() {
    let environment = environment(&[
        ("PATH", "/bin"),
        ("HOME", "/home/dev"),
        ("RUSTUP_TOOLCHAIN", "1.95.0"),
        ("CARGO_HOME", "/home/dev/.cargo"),
        ("CARGO_NET_OFFLINE", "true"),
        ("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", "-Ctarget-feature=+simd128"),
        ("CARGO", "/toolchain/cargo"),
        ("CARGO_MANIFEST_DIR", "/outer"),
        ("CARGO_PKG_NAME", "outer"),
        ("CARGO_BIN_EXE_miniflow", "/outer/miniflow"),
        ("RUSTFLAGS", "-Ctarget-cpu=native"),
        ("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-cpu=native"),
        ("RUSTC_WRAPPER", "sccache"),
        ("RUSTC_WORKSPACE_WRAPPER", "clippy-driver"),
        ("CARGO_BUILD_TARGET", "x86_64-unknown-linux-musl"),
        ("CARGO_INCREMENTAL", "0"),
        ("CARGO_BUILD_INCREMENTAL", "false"),
        ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
        ("CARGO_PROFILE_MINIFLOW_DEV_LTO", "fat"),
    ]);
    let names: Vec<&OsStr> = environment.variables().iter().map(|(key, _)| key.as_os_str()).collect();
    assert_eq!(
        names,
        ["PATH", "HOME", "RUSTUP_TOOLCHAIN", "CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",]
    );
    assert_eq!(environment.cargo, "/toolchain/cargo");
    assert_eq!(environment.rustc, "rustc");
}

#[test]
fn workers_have_a_target_directory_apart_from_the_outer_one() {
    let root = std::path::absolute("outer").expect("the current folder is known");
    for variables in
        [&[("CARGO_TARGET_DIR", "outer")][..], &[("CARGO_BUILD_TARGET_DIR", "x"), ("CARGO_TARGET_DIR", "outer")]]
    {
        let environment = environment(variables);
        assert_eq!(value(&environment, "CARGO_TARGET_DIR"), Some(root.join("workers").as_os_str()));
        assert_eq!(value(&environment, "CARGO_BUILD_TARGET_DIR"), None);
    }
    assert_eq!(value(&environment(&[]), "CARGO_TARGET_DIR"), None, "what cargo is configured to use");
}

fn message(manifest: &str, kind: &str, files: &str) -> String {
    format!(
        r#"{{"reason":"compiler-artifact","package_id":"path+file:///w#0.1.0","manifest_path":"{manifest}",
            "target":{{"kind":["{kind}"],"crate_types":["{kind}"],"name":"w","src_path":"/w/src/lib.rs","edition":"2024"}},
            "profile":{{"opt_level":"3"}},"features":[],"filenames":[{files}],"executable":null,"fresh":true}}"#
    )
}

#[test]
fn the_component_is_found_in_cargos_messages() {
    let manifest = Path::new("/w/Cargo.toml");
    let found = |line: &str| artifact(line.as_bytes(), manifest);
    let wasm = r#""/t/w.d","/t/w.wasm""#;
    let file = PathBuf::from("/t/w.wasm");
    assert_eq!(
        found(&message("/w/Cargo.toml", "cdylib", wasm)),
        Some(Artifact { file: file.clone(), is_library: true })
    );
    assert_eq!(found(&message("/w/Cargo.toml", "bin", wasm)), Some(Artifact { file, is_library: false }));
    for other in [
        &message("/dependency/Cargo.toml", "cdylib", wasm),
        &message("/w/Cargo.toml", "cdylib", r#""/t/libw.rlib""#),
        &message("/w/Cargo.toml", "custom-build", wasm),
        r#"{"reason":"build-script-executed","package_id":"x"}"#,
        r#"{"reason":"build-finished","success":true}"#,
        r#"{"reason":"something-new"}"#,
        "printed by a build script",
        "",
    ] {
        assert_eq!(found(other), None, "{other}");
    }
}

#[test]
fn the_library_comes_before_programs() {
    let artifact = |name: &str, is_library| Artifact { file: PathBuf::from(name), is_library };
    assert_eq!(component(vec![artifact("a", false), artifact("b", true)]), Some(PathBuf::from("b")));
    assert_eq!(component(vec![artifact("a", false), artifact("b", false)]), Some(PathBuf::from("a")));
    assert_eq!(component(Vec::new()), None);
}

#[test]
fn the_last_component_is_where_the_metadata_says() {
    let metadata = |targets: &str| {
        let json = format!(
            r#"{{"packages":[{{"name":"x","manifest_path":"/x/Cargo.toml","targets":[]}},
                {{"name":"my-worker","manifest_path":"/w/Cargo.toml","targets":[{targets}]}}],
                "target_directory":"/t","version":1}}"#
        );
        Metadata::parse(json.as_bytes()).expect("it is what cargo writes")
    };
    let library = r#"{"kind":["cdylib","rlib"],"crate_types":["cdylib","rlib"],"name":"my-worker"}"#;
    let program = r#"{"kind":["bin"],"crate_types":["bin"],"name":"my-tool"}"#;
    let rlib = r#"{"kind":["lib"],"crate_types":["lib"],"name":"my_worker"}"#;
    let folder = Path::new("/t").join("wasm32-wasip2").join("miniflow-dev");
    for (targets, expected) in [
        (format!("{program},{library}"), Some(folder.join("my_worker.wasm"))),
        (program.to_owned(), Some(folder.join("my-tool.wasm"))),
        (rlib.to_owned(), None),
    ] {
        assert_eq!(
            metadata(&targets).component(Path::new("/w/Cargo.toml"), Profile::Development),
            expected,
            "{targets}"
        );
    }
    assert_eq!(metadata(library).component(Path::new("/other/Cargo.toml"), Profile::Release), None);
    let script = r#"{"kind":["custom-build"],"crate_types":["bin"],"name":"build-script-build"}"#;
    for (targets, expected) in [(library.to_owned(), false), (format!("{library},{script}"), true)] {
        assert_eq!(metadata(&targets).has_build_script(Path::new("/w/Cargo.toml")), expected, "{targets}");
    }
}

struct Lines(std::sync::Mutex<Vec<String>>);

impl Progress for Lines {
    fn line(&self, line: &str) {
        self.0.lock().expect("nothing panics with it").push(line.to_owned());
    }
}

#[tokio::test]
async fn a_build_command_makes_the_component() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("worker.wasm");
    std::fs::write(&file, "").expect("a file is written");
    let mut project = load(&file, &LoadOptions::default()).expect("a file is fine");
    std::fs::remove_file(&file).expect("it was written");
    let command = |command: &str| {
        Some(BuildCommand { command: command.to_owned(), cwd: folder.path().to_owned(), watch_dirs: Vec::new() })
    };
    let lines = Lines(Default::default());

    assert!(matches!(last_built(&project).await, Err(BuildError::Missing { .. })));
    project.build = command("exit 3");
    assert!(matches!(build(&project, Profile::Development, &lines).await, Err(BuildError::CommandFailed { .. })));
    project.build = command("exit 0");
    assert!(matches!(build(&project, Profile::Development, &lines).await, Err(BuildError::Missing { .. })));
    project.build = command("echo made > worker.wasm");
    assert_eq!(build(&project, Profile::Development, &lines).await.expect("it is made"), file);
    assert_eq!(last_built(&project).await.expect("it is there"), file);

    let lines = lines.0.into_inner().expect("nothing panics with it");
    assert_eq!(lines, ["running `exit 3`", "running `exit 0`", "running `echo made > worker.wasm`"]);
}

#[test]
fn errors_say_what_to_do() {
    let said = |error: BuildError| Problems::from(error).to_string();
    assert_eq!(
        said(BuildError::NoComponent { manifest: PathBuf::from("Cargo.toml") }),
        "error: the package `Cargo.toml` builds no WebAssembly component\n  \
         hint: add `[lib]` with `crate-type = [\"cdylib\"]` to it"
    );
    assert_eq!(
        said(BuildError::NotBuilt { file: PathBuf::from("w.wasm") }),
        "error: there is no `w.wasm` yet\n  hint: start once without `--no-build`"
    );
    assert_eq!(
        said(BuildError::CargoMissing { program: "cargo".to_owned() }),
        "error: could not find `cargo`\n  \
         hint: install Rust from https://rustup.rs, or name a `.wasm` file that was built elsewhere"
    );
    let source = std::io::Error::other("no more processes");
    assert_eq!(
        said(BuildError::Start { program: "make".to_owned(), source }),
        "error: could not run `make`: no more processes"
    );
}
