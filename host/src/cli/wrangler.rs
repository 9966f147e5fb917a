//! The flags of `wrangler dev` that mean nothing here: they are accepted, so that a script can be kept, and named in one line.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::config::Problem;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Nothing, or `=true` and `=false`.
    Nothing,
    Value,
}

use Takes::{Nothing, Value};

const FLAGS: &[(&str, Takes)] = &[
    ("alias", Value),
    ("assets", Value),
    ("bundle", Nothing),
    ("compatibility-date", Value),
    ("compatibility-flag", Value),
    ("compatibility-flags", Value),
    ("container-engine", Value),
    ("define", Value),
    ("enable-containers", Nothing),
    ("experimental-vectorize-bind-to-prod", Nothing),
    ("host", Value),
    ("https-cert-path", Value),
    ("https-key-path", Value),
    ("inspector-ip", Value),
    ("inspector-port", Value),
    ("jsx-factory", Value),
    ("jsx-fragment", Value),
    ("latest", Nothing),
    ("live-reload", Nothing),
    ("local", Nothing),
    ("local-protocol", Value),
    ("local-upstream", Value),
    ("minify", Nothing),
    ("no-bundle", Nothing),
    ("persist", Nothing),
    ("remote", Nothing),
    ("route", Value),
    ("routes", Value),
    ("show-interactive-dev-session", Nothing),
    ("site", Value),
    ("site-exclude", Value),
    ("site-include", Value),
    ("tsconfig", Value),
    ("types", Nothing),
    ("upload-source-maps", Nothing),
    ("upstream-protocol", Value),
];

/// The flags of wrangler's that were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WranglerFlags {
    given: Vec<&'static str>,
}

impl WranglerFlags {
    /// Returns the line about them, if there are any.
    pub(super) fn note(&self) -> Option<Problem> {
        if self.given.is_empty() {
            return None;
        }
        let flags: Vec<String> = self.given.iter().map(|name| format!("`--{name}`")).collect();
        let verb = if flags.len() == 1 { "changes" } else { "change" };
        Some(Problem::note(format!("{} {verb} nothing here", flags.join(", "))))
    }
}

impl FromArgMatches for WranglerFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let is_given = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
        Ok(Self { given: FLAGS.iter().map(|(name, _)| *name).filter(is_given).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for WranglerFlags {
    fn augment_args(command: Command) -> Command {
        command.args(FLAGS.iter().map(|(name, takes)| {
            let flag = Arg::new(*name).long(*name).hide(true).action(ArgAction::Append);
            match takes {
                Value => flag,
                Nothing => flag.num_args(0..=1).require_equals(true).default_missing_value("true"),
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
