//! The checked-in bindings of the SDK are what wit-bindgen generates from `guest-sdk/wit`.

use std::path::Path;

use miniflow_tests::repository;
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, WithOption};

/// Set to write the files instead of comparing them.
const UPDATE: &str = "UPDATE_BINDINGS";

/// Interfaces with types and functions in `imports.rs`, which the export worlds use from there.
const OWN_INTERFACES: [&str; 10] = [
    "types",
    "environment",
    "logging",
    "workflow",
    "steps",
    "durable-object",
    "object-storage",
    "object-sql",
    "queue",
    "kv",
];

/// The same of `wasi_imports.rs`.
const WASI_INTERFACES: [&str; 4] = ["clocks/types", "clocks/monotonic-clock", "http/types", "http/client"];

/// A world that exports one interface, by the macro of this name.
const EXPORTS: [(&str, &str, &str); 5] = [
    ("workflows-world", "miniflow:worker/workflows@0.1.0", "export_workflows"),
    ("scheduled-world", "miniflow:worker/scheduled@0.1.0", "export_scheduled"),
    ("durable-objects-world", "miniflow:worker/durable-objects@0.1.0", "export_durable_objects"),
    ("queue-world", "miniflow:worker/queue-consumer@0.1.0", "export_queue"),
    ("fetch-world", "wasi:http/handler@0.3.2", "export_http"),
];

/// Imports of `world` that another file has already. The generator refuses others.
fn shared(world: &str) -> Vec<(String, WithOption)> {
    let snake = |name: &str| name.replace('-', "_").replace('/', "::");
    let own = OWN_INTERFACES.iter().map(|name| {
        let path = format!("crate::imports::miniflow::worker::{}", snake(name));
        (format!("miniflow:worker/{name}@0.1.0"), WithOption::Path(path))
    });
    let wasi = WASI_INTERFACES.iter().map(|name| {
        let path = format!("crate::wasi_imports::wasi::{}", snake(name));
        (format!("wasi:{name}@0.3.2"), WithOption::Path(path))
    });
    match world {
        "fetch-world" => wasi.collect(),
        "durable-objects-world" => own.chain(wasi.filter(|(name, _)| name.contains("/types@"))).collect(),
        _ => own.collect(),
    }
}

fn generated(wit: &Path, world: &str, options: Opts) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).unwrap();
    let (_, source) = files.iter().next().unwrap();
    String::from_utf8(source.to_owned()).unwrap()
}

#[test]
fn sdk_bindings_are_what_the_wit_files_generate() {
    let (wit, folder) = (repository().join("guest-sdk/wit"), repository().join("guest-sdk/bindings/src/generated"));
    let imports = |world: &str| (world.to_owned(), Opts { format: true, generate_all: true, ..Opts::default() });
    let exports = EXPORTS.map(|(world, interface, export)| {
        let mut with = shared(world);
        with.push((interface.to_owned(), WithOption::Generate));
        let module = world.replace('-', "_");
        let options = Opts {
            format: true,
            with,
            pub_export_macro: true,
            export_macro_name: Some(export.to_owned()),
            default_bindings_module: Some(format!("$crate::{module}")),
            type_section_suffix: Some(format!("miniflow-{world}")),
            ..Opts::default()
        };
        (world.to_owned(), options)
    });
    let mut stale = Vec::new();
    for (world, options) in ["imports", "wasi-imports"].map(imports).into_iter().chain(exports) {
        let file = folder.join(world.replace('-', "_")).with_extension("rs");
        let expected = generated(&wit, &world, options);
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&file, &expected).unwrap();
        } else if std::fs::read_to_string(&file).unwrap().replace("\r\n", "\n") != expected {
            stale.push(file.file_name().unwrap().to_owned());
        }
    }
    assert!(stale.is_empty(), "{stale:?} differ from guest-sdk/wit: run the test again with {UPDATE}=1");
}
