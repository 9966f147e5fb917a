//! The files of certificate authorities that Workers' requests are to believe.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::{Problem, Problems};
use crate::wasm::tls::{Authorities, NoAuthorities};

/// What other programs read such a file's name from: those with OpenSSL, and wrangler.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];

/// Reads those of `files`, and those that the environment names for other programs. What is wrong with the latter is a warning.
///
/// # Errors
///
/// When one of `files` has none.
pub(super) fn read(
    files: &[PathBuf],
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<(Authorities, Problems), Problems> {
    let mut authorities = Authorities::default();
    let mut problems = Problems::default();
    for file in files {
        if let Err(error) = authorities.read(file) {
            problems.push(Problem::error(text("--ca-file", file, &error)).with_hint(HINT));
        }
    }
    for name in VARIABLES {
        let Some(file) = variable(name).filter(|file| !file.is_empty()).map(PathBuf::from) else { continue };
        if let Err(error) = authorities.read(&file) {
            problems.push(Problem::warning(text(name, &file, &error)).with_hint("Workers' requests go on without it"));
        }
    }
    problems.or(authorities)
}

const HINT: &str = "name a PEM file, whose certificates begin with `-----BEGIN CERTIFICATE-----`";

fn text(named_by: &str, file: &Path, error: &NoAuthorities) -> String {
    format!("`{}`, which `{named_by}` names, cannot be used: {error}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_flag_has_to_be_right_and_one_of_the_environment_need_not() {
        let none = |_: &str| None;
        assert!(read(&[], none).unwrap().1.is_empty());
        let wrong = read(&["missing.pem".into()], none).unwrap_err().to_string();
        assert!(wrong.contains("`missing.pem`, which `--ca-file` names, cannot be used: "), "{wrong}");
        let set = |name: &str| (name == "NODE_EXTRA_CA_CERTS").then(|| "missing.pem".into());
        let (authorities, problems) = read(&[], set).unwrap();
        assert_eq!(authorities, Authorities::default());
        let warning = problems.to_string();
        assert!(warning.contains("`missing.pem`, which `NODE_EXTRA_CA_CERTS` names"), "{warning}");
        let empty = |_: &str| Some(OsString::new());
        assert!(read(&[], empty).unwrap().1.is_empty());
    }
}
