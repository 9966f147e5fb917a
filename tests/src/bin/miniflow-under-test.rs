//! `miniflow`, built along with the tests.

fn main() -> std::process::ExitCode {
    miniflow::main()
}
