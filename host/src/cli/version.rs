//! What `--version` prints.

/// The version, the engine that runs Workers, and the interface they are compiled against.
pub(super) const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), "\nengine: wasmtime 48.0.8\nWIT: miniflow:worker@0.1.0");

#[cfg(test)]
mod tests {
    use super::VERSION;

    #[test]
    fn the_engine_is_the_one_in_the_workspace() {
        let manifest = include_str!("../../../Cargo.toml");
        let line = manifest.lines().find(|line| line.starts_with("wasmtime = ")).expect("it is a dependency");
        let version = line.split('"').nth(1).expect("it has a version").trim_start_matches('=');
        assert!(VERSION.contains(&format!("\nengine: wasmtime {version}\n")), "{line}");
    }

    #[test]
    fn the_interface_is_the_one_of_the_sdk() {
        let world = include_str!("../../../guest-sdk/wit/world.wit");
        let package = world.lines().find_map(|line| line.strip_prefix("package ")).expect("it names its package");
        assert!(VERSION.ends_with(&format!("\nWIT: {}", package.trim_end_matches(';'))), "{package}");
    }
}
