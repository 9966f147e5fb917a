//! The generated side of the WIT contract. Everything here is for the SDK's own use and for the code its macros
//! emit; it has no stability promise.
//!
//! One `generate!` makes all imports, then each exported interface gets a small one that reuses them. The exports are
//! embedded by macros at the place of use (`pub_export_macro`), so that a component exports only what its crate defines.

#![allow(missing_docs, unreachable_pub, reason = "generated")]

wit_bindgen::generate!({ path: "wit", world: "imports" });

pub mod workflows_world {
    //! The export of a Worker that defines workflow classes.

    wit_bindgen::generate!({
        path: "wit",
        world: "workflows-world",
        with: {
            "miniflow:worker/types@0.1.0": crate::bindings::miniflow::worker::types,
            "miniflow:worker/environment@0.1.0": crate::bindings::miniflow::worker::environment,
            "miniflow:worker/logging@0.1.0": crate::bindings::miniflow::worker::logging,
            "miniflow:worker/workflow@0.1.0": crate::bindings::miniflow::worker::workflow,
            "miniflow:worker/steps@0.1.0": crate::bindings::miniflow::worker::steps,
            "miniflow:worker/durable-object@0.1.0": crate::bindings::miniflow::worker::durable_object,
            "miniflow:worker/object-storage@0.1.0": crate::bindings::miniflow::worker::object_storage,
            "miniflow:worker/object-sql@0.1.0": crate::bindings::miniflow::worker::object_sql,
            "miniflow:worker/queue@0.1.0": crate::bindings::miniflow::worker::queue,
            "miniflow:worker/kv@0.1.0": crate::bindings::miniflow::worker::kv,
            "miniflow:worker/workflows@0.1.0": generate,
        },
        pub_export_macro: true,
        export_macro_name: "export_workflows",
        default_bindings_module: "$crate::bindings::workflows_world",
        type_section_suffix: "miniflow-workflows",
    });
}

pub mod scheduled_world {
    //! The export of a Worker with a handler for cron triggers.

    wit_bindgen::generate!({
        path: "wit",
        world: "scheduled-world",
        with: {
            "miniflow:worker/types@0.1.0": crate::bindings::miniflow::worker::types,
            "miniflow:worker/environment@0.1.0": crate::bindings::miniflow::worker::environment,
            "miniflow:worker/logging@0.1.0": crate::bindings::miniflow::worker::logging,
            "miniflow:worker/workflow@0.1.0": crate::bindings::miniflow::worker::workflow,
            "miniflow:worker/steps@0.1.0": crate::bindings::miniflow::worker::steps,
            "miniflow:worker/durable-object@0.1.0": crate::bindings::miniflow::worker::durable_object,
            "miniflow:worker/object-storage@0.1.0": crate::bindings::miniflow::worker::object_storage,
            "miniflow:worker/object-sql@0.1.0": crate::bindings::miniflow::worker::object_sql,
            "miniflow:worker/queue@0.1.0": crate::bindings::miniflow::worker::queue,
            "miniflow:worker/kv@0.1.0": crate::bindings::miniflow::worker::kv,
            "miniflow:worker/scheduled@0.1.0": generate,
        },
        pub_export_macro: true,
        export_macro_name: "export_scheduled",
        default_bindings_module: "$crate::bindings::scheduled_world",
        type_section_suffix: "miniflow-scheduled",
    });
}

pub mod durable_objects_world {
    //! The export of a Worker that defines Durable Object classes.

    wit_bindgen::generate!({
        path: "wit",
        world: "durable-objects-world",
        with: {
            "wasi:clocks/types@0.3.2": wasip3::clocks::types,
            "wasi:http/types@0.3.2": wasip3::http::types,
            "miniflow:worker/types@0.1.0": crate::bindings::miniflow::worker::types,
            "miniflow:worker/environment@0.1.0": crate::bindings::miniflow::worker::environment,
            "miniflow:worker/logging@0.1.0": crate::bindings::miniflow::worker::logging,
            "miniflow:worker/workflow@0.1.0": crate::bindings::miniflow::worker::workflow,
            "miniflow:worker/steps@0.1.0": crate::bindings::miniflow::worker::steps,
            "miniflow:worker/durable-object@0.1.0": crate::bindings::miniflow::worker::durable_object,
            "miniflow:worker/object-storage@0.1.0": crate::bindings::miniflow::worker::object_storage,
            "miniflow:worker/object-sql@0.1.0": crate::bindings::miniflow::worker::object_sql,
            "miniflow:worker/queue@0.1.0": crate::bindings::miniflow::worker::queue,
            "miniflow:worker/kv@0.1.0": crate::bindings::miniflow::worker::kv,
            "miniflow:worker/durable-objects@0.1.0": generate,
        },
        pub_export_macro: true,
        export_macro_name: "export_durable_objects",
        default_bindings_module: "$crate::bindings::durable_objects_world",
        type_section_suffix: "miniflow-durable-objects",
    });
}

pub mod queue_world {
    //! The export of a Worker with a handler for the messages of queues.

    wit_bindgen::generate!({
        path: "wit",
        world: "queue-world",
        with: {
            "miniflow:worker/types@0.1.0": crate::bindings::miniflow::worker::types,
            "miniflow:worker/environment@0.1.0": crate::bindings::miniflow::worker::environment,
            "miniflow:worker/logging@0.1.0": crate::bindings::miniflow::worker::logging,
            "miniflow:worker/workflow@0.1.0": crate::bindings::miniflow::worker::workflow,
            "miniflow:worker/steps@0.1.0": crate::bindings::miniflow::worker::steps,
            "miniflow:worker/durable-object@0.1.0": crate::bindings::miniflow::worker::durable_object,
            "miniflow:worker/object-storage@0.1.0": crate::bindings::miniflow::worker::object_storage,
            "miniflow:worker/object-sql@0.1.0": crate::bindings::miniflow::worker::object_sql,
            "miniflow:worker/queue@0.1.0": crate::bindings::miniflow::worker::queue,
            "miniflow:worker/kv@0.1.0": crate::bindings::miniflow::worker::kv,
            "miniflow:worker/queue-consumer@0.1.0": generate,
        },
        pub_export_macro: true,
        export_macro_name: "export_queue",
        default_bindings_module: "$crate::bindings::queue_world",
        type_section_suffix: "miniflow-queue",
    });
}
