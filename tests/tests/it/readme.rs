//! Runs the commands of a README, and compares what they print with what it says they print.
//!
//! A `# …` line after a command is its output, in which a word that ends in `…`, and a moment of time, stand for anything. `sleep` is left out: a command
//! that only asks is repeated until it prints what is expected. `miniflow` is the program under test, and asks the server of the example.

use std::path::Path;
use std::process::Command;

use miniflow_tests::{Dev, Patience, Server, program, repository};

/// Serves the example `name`, and runs the commands of its README against it.
#[track_caller]
pub(crate) fn follow(name: &str) -> Server {
    let readme = repository().join("examples").join(name).join("README.md");
    let server = Dev::example(name).start();
    run(&server, &readme, &format!("miniflow dev examples/{name}"));
    server
}

/// Runs the commands of `readme` against `server`, which is what the `first` of them starts. What cargo is asked for is left out.
#[track_caller]
pub(crate) fn run(server: &Server, readme: &Path, first: &str) {
    let text = std::fs::read_to_string(readme).unwrap();
    let lines: Vec<&str> = shell_lines(&text).collect();
    assert_eq!(lines.first().copied(), Some(first), "the first command of {}", readme.display());
    let mut shell = Shell { server, variables: Vec::new() };
    let mut commands = 0;
    for (index, line) in lines.iter().enumerate().skip(1).filter(|(_, line)| !line.starts_with('#')) {
        let expected = lines.get(index + 1).and_then(|next| next.strip_prefix("# "));
        shell.run(line, expected);
        commands += 1;
    }
    assert!(commands > 0, "{} has no command but the first", readme.display());
}

fn shell_lines(markdown: &str) -> impl Iterator<Item = &str> {
    let blocks = markdown.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty())
}

struct Shell<'a> {
    server: &'a Server,
    variables: Vec<(String, String)>,
}

impl Shell<'_> {
    #[track_caller]
    fn run(&mut self, command: &str, expected: Option<&str>) {
        let name = command.split('=').next().unwrap_or_default();
        let is_assignment = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase());
        match expected {
            _ if command.starts_with("sleep ") || command.starts_with("cargo ") => {}
            _ if is_assignment => {
                let value = self.output(&format!("{command}; printf %s \"${name}\""));
                assert!(!value.is_empty(), "`{command}` leaves `{name}` empty");
                self.variables.push((name.to_owned(), value));
            }
            None => drop(self.output(command)),
            Some(expected) if command.contains(" -X ") => {
                let printed = self.output(command);
                assert!(fits(&printed, expected), "`{command}` prints\n{printed}\nand not\n{expected}");
            }
            Some(expected) => {
                let patience = Patience::default();
                loop {
                    let printed = self.output(command);
                    if fits(&printed, expected) {
                        break;
                    }
                    assert!(patience.wait(), "`{command}` prints\n{printed}\nand not\n{expected}");
                }
            }
        }
    }

    #[track_caller]
    fn output(&self, command: &str) -> String {
        const MINIFLOW: &str = "miniflow() { \"$MINIFLOW_UNDER_TEST\" \"$@\"; }";
        let command = format!("{MINIFLOW}; {}", command.replace("http://127.0.0.1:8787", self.server.url()));
        let port = self.server.url().rsplit(':').next().unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &command]).envs(self.variables.iter().map(|(name, value)| (name, value)));
        shell.env("MINIFLOW_UNDER_TEST", program()).env("MINIFLOW_PORT", port);
        let output = shell.output().expect("a shell can be run");
        assert!(output.status.success(), "`{command}`: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}

/// Whether `printed` is `expected`, up to what stands for anything.
fn fits(printed: &str, expected: &str) -> bool {
    let expected = without_moments(expected);
    let is_word = |character: char| character.is_ascii_alphanumeric();
    let mut parts: Vec<&str> = expected.split('…').collect();
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        *part = part.trim_end_matches(is_word);
    }
    let Some((first, others)) = parts.split_first() else { return false };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let Some((last, between)) = others.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// `2026-06-30T12:00:00.000Z` becomes `…`.
fn without_moments(text: &str) -> String {
    const SHAPE: &str = "0000-00-00T00:00:00.000Z";
    let is_moment = |at: usize| {
        text.get(at..at + SHAPE.len()).is_some_and(|part| {
            part.bytes().zip(SHAPE.bytes()).all(|(byte, shape)| byte == shape || shape == b'0' && byte.is_ascii_digit())
        })
    };
    let mut result = String::new();
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        if is_moment(at) {
            result.push('…');
            at += SHAPE.len();
        } else {
            result.push(character);
            at += character.len_utf8();
        }
    }
    result
}

#[test]
fn what_stands_for_anything_fits_anything() {
    for (printed, expected, fit) in [
        ("a", "a", true),
        ("ab", "a", false),
        ("{\"id\":\"77ab\",\"n\":1}", "{\"id\":\"5e1c…\",\"n\":1}", true),
        ("{\"id\":\"77ab\",\"n\":2}", "{\"id\":\"5e1c…\",\"n\":1}", false),
        ("since 2031-01-02T03:04:05.678Z, or so", "since 2026-06-30T12:00:00.000Z, or so", true),
        ("since 2031-01-02T03:04:05.678Z, or", "since 2026-06-30T12:00:00.000Z, or so", false),
    ] {
        assert_eq!(fits(printed, expected), fit, "{printed} / {expected}");
    }
}
