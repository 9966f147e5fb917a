use super::*;

fn services() -> Arc<Services> {
    struct Nowhere;
    impl crate::bindings::logging::LogSink for Nowhere {
        fn line(&self, _: crate::bindings::logging::LogLine) {}
    }
    Arc::new(Services::new(miniflow_runtime::SystemClock::shared(), Arc::new(Nowhere)))
}

async fn load(artifact: &[u8]) -> LoadError {
    let loader = Loader::new(&EngineOptions::default(), services()).unwrap();
    match loader.load("shop", artifact.to_vec(), Bindings::default()).await {
        Ok(_) => panic!("it loads"),
        Err(error) => error,
    }
}

/// A component that imports the interface `name` with a function `f`, as its only content.
fn importing(name: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // One instance type of two declarations: the function's type, and its export.
    section(&mut bytes, 7, &[1, 0x42, 2, 1, 0x40, 0x00, 0x01, 0x00, 4, 0, 1, b'f', 1, 0]);
    let import = [&[1, 0, u8::try_from(name.len()).unwrap()][..], name.as_bytes(), &[5, 0]].concat();
    section(&mut bytes, 10, &import);
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    bytes.push(u8::try_from(content.len()).unwrap());
    bytes.extend_from_slice(content);
}

#[tokio::test]
async fn what_is_not_a_component_is_told_apart() {
    assert_eq!(load(b"#!/bin/sh").await, LoadError::NotWasm);
    assert_eq!(load(b"").await, LoadError::NotWasm);
    assert_eq!(load(b"\0asm\x01\0\0\0").await, LoadError::CoreModule);
    assert!(matches!(load(b"\0asm\x0d\0\x01\0\xff").await, LoadError::Invalid { .. }));
}

#[tokio::test]
async fn a_component_without_anything_of_a_worker_lists_what_it_exports() {
    let error = load(b"\0asm\x0d\0\x01\0").await;
    assert_eq!(error, LoadError::NothingExported { exports: Vec::new() });
    assert_eq!(error.to_string(), "the component has nothing a Worker has: it exports nothing");
}

#[tokio::test]
async fn an_import_that_is_not_offered_is_named() {
    let error = load(&importing("acme:shop/till@1.0.0")).await;
    assert_eq!(
        error.to_string(),
        "the component imports `acme:shop/till@1.0.0`, which miniflow does not offer (`f` is missing)"
    );
    assert!(error.hint().contains("WASI 0.2"));
}

#[tokio::test]
async fn a_function_that_an_interface_of_ours_does_not_have_is_named() {
    let error = load(&importing("miniflow:worker/steps@0.1.0")).await;
    assert_eq!(
        error.to_string(),
        "the component imports `miniflow:worker/steps@0.1.0`, which miniflow does not offer (`f` is missing)"
    );
    assert!(error.hint().contains("miniflow-sdk"));
}

#[test]
fn equal_artifacts_have_equal_digests() {
    assert_eq!(hash(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
    assert_eq!(hash(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    let artifacts: [&[u8]; 9] =
        [b"", b"\0", b"\0\0\0\0\0\0\0\0", b"ab", b"ba", b"0123456789", b"012345678", b"1023456789", b"0123456798"];
    let digests: std::collections::BTreeSet<_> = artifacts.iter().map(|artifact| digest(artifact)).collect();
    assert_eq!(digests.len(), artifacts.len());
    assert!(digests.iter().all(|digest| digest.len() == 32), "{digests:?}");
}
