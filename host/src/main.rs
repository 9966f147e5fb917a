//! The `miniflow` program.

fn main() -> std::process::ExitCode {
    miniflow::main()
}
