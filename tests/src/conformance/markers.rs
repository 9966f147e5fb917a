//! Finds what tests say they prove.

/// A test, and the rules it proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Path of its file in the repository.
    pub file: String,
    /// Name of its function.
    pub test: String,
    /// Ids, in the order of the marker.
    pub rules: Vec<String>,
}

const MARKER: &str = "// rules:";

/// Returns the proofs in the Rust file `file`, and what is wrong with its markers.
///
/// A marker is a line, or several, directly above the attributes of a test.
#[must_use]
pub fn scan(file: &str, text: &str) -> (Vec<Proof>, Vec<String>) {
    let (mut proofs, mut problems) = (Vec::new(), Vec::new());
    let mut lines = text.lines().map(str::trim).enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let Some(ids) = line.strip_prefix(MARKER) else { continue };
        let mut rules = split(ids);
        while let Some(more) = lines.peek().and_then(|(_, line)| line.strip_prefix(MARKER)) {
            rules.extend(split(more));
            lines.next();
        }
        let mut is_test = false;
        while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("#[") || line.starts_with("///")) {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        }
        let place = format!("{file}:{}", index + 1);
        match lines.peek().and_then(|(_, line)| function(line)) {
            _ if rules.iter().any(String::is_empty) => problems.push(format!("{place}: a rule without an id")),
            Some(test) if is_test => proofs.push(Proof { file: file.to_owned(), test: test.to_owned(), rules }),
            _ => problems.push(format!("{place}: `{MARKER}` is not followed by a test")),
        }
    }
    (proofs, problems)
}

fn split(ids: &str) -> Vec<String> {
    // A list may go on in the next line after its comma.
    let ids = ids.trim();
    ids.strip_suffix(',').unwrap_or(ids).split(',').map(|id| id.trim().to_owned()).collect()
}

/// Returns the name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    line.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans these lines. They are put together here, so that this file has no markers of its own.
    fn scanned(lines: &[&str]) -> (Vec<Proof>, Vec<String>) {
        scan("a.rs", &lines.join("\n"))
    }

    fn proof(test: &str, rules: &[&str]) -> Proof {
        let rules = rules.iter().map(|id| (*id).to_owned()).collect();
        Proof { file: "a.rs".to_owned(), test: test.to_owned(), rules }
    }

    #[test]
    fn a_marker_is_for_the_test_under_it() {
        let (proofs, problems) = scanned(&[
            "use x;",
            "// rules: S1, C2.2-4",
            "#[test]",
            "fn one() {",
            "    // rules: S2,",
            "    // rules: S3",
            "    #[cfg(unix)]",
            "    /// Says more.",
            "    #[tokio::test(flavor = \"multi_thread\")]",
            "    async fn two() {}",
            "#[test]",
            "fn three() {}",
        ]);
        assert_eq!(proofs, [proof("one", &["S1", "C2.2-4"]), proof("two", &["S2", "S3"])]);
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn a_marker_without_a_test_is_a_problem() {
        for lines in [
            &["// rules: S1", "fn helper() {}"][..],
            &["// rules: S1", "", "#[test]", "fn apart() {}"],
            &["// rules: S1", "#[test]", "struct NoTest;"],
            &["// rules: S1"],
        ] {
            let (proofs, problems) = scanned(lines);
            assert_eq!(proofs, []);
            assert_eq!(problems, ["a.rs:1: `// rules:` is not followed by a test"], "{lines:?}");
        }
        let (_, problems) = scanned(&["// rules: S1,, S2", "#[test]", "fn one() {}"]);
        assert_eq!(problems, ["a.rs:1: a rule without an id"]);
    }
}
