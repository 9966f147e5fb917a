//! Cargo profiles of Workers, given on cargo's command line.
//!
//! **Guarantees**: the development profile sets everything that decides how long a rebuild takes and what a backtrace shows, so
//! neither a profile of the user nor the environment of a CI job changes it. Both profiles keep names and line tables. The
//! user's files stay as they are.
//!
//! **Non-goals**: what the user's release profile decides about optimisation.

/// How a Worker is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For `dev`, `test` and checks: a rebuild after an edit is fast.
    Development,
    /// The user's release profile, for `miniflow build`.
    Release,
}

/// Both, the most frequent one first.
pub(super) const ALL: [Profile; 2] = [Profile::Development, Profile::Release];

/// Keys and values below `profile.miniflow-dev`. As in the release profile there are no checks of overflows and no debug assertions: code does
/// what it will do when deployed.
const DEVELOPMENT: [(&str, &str); 11] = [
    ("inherits", "\"release\""),
    // The package itself is compiled with every edit, what it depends on once.
    ("opt-level", "0"),
    ("package.\"*\".opt-level", "\"s\""),
    ("lto", "\"off\""),
    ("codegen-units", "16"),
    ("incremental", "true"),
    ("debug", "\"line-tables-only\""),
    ("strip", "\"none\""),
    ("panic", "\"abort\""),
    ("debug-assertions", "false"),
    ("overflow-checks", "false"),
];

/// The same below `profile.release`.
const RELEASE: [(&str, &str); 2] = [("debug", "\"line-tables-only\""), ("strip", "\"none\"")];

impl Profile {
    /// Returns the name of the profile, which is that of cargo's folder for what it builds.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Development => "miniflow-dev",
            Self::Release => "release",
        }
    }

    /// Returns the arguments of `cargo build` that choose the profile.
    pub(super) fn arguments(self) -> Vec<String> {
        let name = self.name();
        let keys: &[(&str, &str)] = match self {
            Self::Development => &DEVELOPMENT,
            Self::Release => &RELEASE,
        };
        let mut arguments = vec!["--profile".to_owned(), name.to_owned()];
        let mut config = |setting: String| arguments.extend(["--config".to_owned(), setting]);
        for (key, value) in keys {
            config(format!("profile.{name}.{key}={value}"));
        }
        if self == Self::Development {
            // A setting of the same name in a configuration of cargo would win against the profile.
            config("build.incremental=true".to_owned());
        }
        arguments
    }

    /// Returns what a user calls a build of this profile.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Development => "development build",
            Self::Release => "release build",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_keep_names_and_line_tables() {
        for profile in ALL {
            let arguments = profile.arguments();
            for (key, value) in RELEASE {
                let setting = format!("profile.{}.{key}={value}", profile.name());
                assert!(arguments.contains(&setting), "{setting} in {arguments:?}");
            }
        }
    }
}
