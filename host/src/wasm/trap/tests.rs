use super::*;

#[test]
fn a_panic_becomes_its_message_and_place() {
    let report = "thread 'main' (1) panicked at src/lib.rs:30:48:\nboom\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
    assert_eq!(parse_panic(report).as_deref(), Some("boom (panicked at src/lib.rs:30:48)"));
}

#[test]
fn a_panic_of_several_lines_keeps_them() {
    let report = "thread '<unnamed>' panicked at /home/me/shop/src/lib.rs:3:5:\nassertion `left == right` failed\n  left: 1\n right: 2";
    assert_eq!(
        parse_panic(report).as_deref(),
        Some("assertion `left == right` failed\n  left: 1\n right: 2 (panicked at shop/src/lib.rs:3:5)")
    );
}

#[test]
fn a_panic_without_a_message_is_its_place() {
    assert_eq!(parse_panic("thread 'main' panicked at src/lib.rs:1:1:").as_deref(), Some("panicked at src/lib.rs:1:1"));
    assert_eq!(parse_panic("anything else"), None);
}

#[test]
fn only_the_first_line_of_a_report_begins_it() {
    assert!(begins_panic("thread 'main' (1) panicked at src/lib.rs:30:48:"));
    assert!(!begins_panic("the thread 'main' panicked at noon"));
    assert!(!begins_panic("boom"));
}

#[test]
fn a_limit_is_named_before_the_panic_it_led_to() {
    let trap = || wasmtime::Error::from(wasmtime::Trap::UnreachableCodeReached);
    let panic = Some("thread 'main' panicked at src/lib.rs:1:1:\nboom");
    assert_eq!(message(&CpuExceeded.into(), panic, false), "Worker exceeded CPU time limit.");
    assert_eq!(message(&trap(), panic, true), "Worker exceeded memory limit of 128 MiB.");
    assert_eq!(message(&trap(), panic, false), "boom (panicked at src/lib.rs:1:1)");
    assert_eq!(message(&trap(), None, false), "wasm trap: wasm `unreachable` instruction executed");
    assert_eq!(message(&I32Exit(1).into(), None, false), "the Worker ended its own process (`exit`)");
}

#[test]
fn a_backtrace_keeps_the_functions_of_the_user() {
    let backtrace = "error while executing at wasm backtrace:
    0:   0x4b2c1 - std::process::abort
                    at /rustc/abc/library/std/src/process.rs:10:5
                - std::panicking::begin_panic_handler
                    at /rustc/abc/library/std/src/panicking.rs:697:5
                - poll<alloc::boxed::Box<dyn core::future::future::Future<Output=()>>>
                    at /home/me/.rustup/toolchains/stable/lib/rustlib/src/rust/library/core/src/future/future.rs:133:9
    1:    0x1aa3 - shop::charge::h0123456789abcdef
                    at /home/me/shop/src/lib.rs:30:48
                - <shop::Orders as miniflow_sdk::Workflow>::run::{{closure}}
                    at /home/me/shop/src/orders.rs:12:9
    2:    0x2bb4 - wit_bindgen::rt::async_support::poll
                    at /home/me/.cargo/registry/src/index/wit-bindgen-0.63.0/src/rt.rs:7:1
    3:    0x2cc5 - shop.wasm!<wasm function 824>";
    assert_eq!(
        user_frames(backtrace).as_deref(),
        Some(
            "    at shop::charge (shop/src/lib.rs:30:48)
    at <shop::Orders as miniflow_sdk::Workflow>::run::{{closure}} (shop/src/orders.rs:12:9)"
        )
    );
}

#[test]
fn a_backtrace_without_functions_of_the_user_is_none() {
    assert_eq!(
        user_frames("error while executing at wasm backtrace:\n    0:   0x2cc5 - <unknown>!<wasm function 824>"),
        None
    );
}

#[test]
fn a_recursion_is_cut_and_closures_are_known_by_their_place() {
    let mut backtrace = "error while executing at wasm backtrace:\n    0:   0x10 - {async_fn#0}\n                    at /home/me/shop/src/lib.rs:1:7".to_owned();
    for line in 0..1000 {
        backtrace.push_str(&format!(
            "\n  {}:   0x20 - shop::f\n                    at /home/me/shop/src/lib.rs:9:{}",
            line + 1,
            line / 2
        ));
    }
    let shown = user_frames(&backtrace).unwrap();
    assert_eq!(shown.lines().count(), FRAMES_MAX + 1);
    assert!(shown.starts_with(
        "    at shop/src/lib.rs:1:7\n    at shop::f (shop/src/lib.rs:9:0)\n    at shop::f (shop/src/lib.rs:9:1)\n"
    ));
}

#[test]
fn a_stack_that_ran_over_is_told_from_another_fault() {
    let fault = |address: &str| {
        wasmtime::Error::from(Trap::MemoryOutOfBounds)
            .context(format!("memory fault at wasm address {address} in linear memory of size 0x130000"))
    };
    assert!(overflowed(&fault("0xfffffeb8")));
    assert!(overflowed(&Trap::StackOverflow.into()));
    assert!(!overflowed(&fault("0x200000")));
}

#[test]
fn names_lose_what_the_compiler_added_to_them() {
    for (name, shown) in [
        ("std[d123b7a1a2ed1472]::process::abort", "std::process::abort"),
        ("<std[d123b7a1]::X<core[6d9e98711c484d2e]::Y> as Z>::f", "<std::X<core::Y> as Z>::f"),
        ("shop::run::h0123456789abcdef", "shop::run"),
        ("shop::sum::<[u8; 4]>", "shop::sum::<[u8; 4]>"),
        ("[async-lift]wasi:http/handler", "[async-lift]wasi:http/handler"),
    ] {
        assert_eq!(without_hashes(name), shown);
    }
}
