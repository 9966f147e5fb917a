//! `miniflow time`: shows and moves the clock of a server that runs.

use clap::{Args, Subcommand};
use miniflow_runtime::DurationSpec;
use serde_json::json;

use super::ask;
use super::client::{self, ServerArgs};
use crate::api::instant;
use crate::config::Problems;
use crate::report::{self, terminal};

const PATH: &str = "/cdn-cgi/local/miniflow/time";

const EXAMPLES: &str = "\
Examples:
  miniflow time                             show the clock and the next timer
  miniflow time advance 3d                  move by three days and run everything due
  miniflow time next                        move to the next timer
  miniflow time set 2027-01-01T00:00:00Z    move to that time
  miniflow time mode skip                   skip idle time from now on";

/// Show or move the clock of a running server
///
/// One clock drives sleeps, retries, timeouts, event waits, crons, alarms, retention and the time that Workers read. A move
/// stops at each timer on the way and returns when everything that came due has run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct TimeArgs {
    #[command(subcommand)]
    command: Option<TimeCommand>,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum TimeCommand {
    /// Show the clock: time, mode and next timer
    #[command(after_help = "\
Examples:
  miniflow time show
  miniflow time show --json | jq -r .now.iso")]
    Show {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Move the clock forward and run everything that comes due
    #[command(after_help = "\
Examples:
  miniflow time advance 90s
  miniflow time advance 1h30m
  miniflow time advance '3 days'")]
    Advance {
        /// Duration, such as `90s`, `1h30m`, `3d` or `3 days`
        #[arg(value_parser = duration_ms)]
        duration: u64,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Move the clock to the next timer and run what comes due
    #[command(after_help = "\
Examples:
  miniflow time next")]
    Next {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Move the clock to a point in time
    #[command(after_help = "\
Examples:
  miniflow time set 2027-01-01
  miniflow time set 2027-01-01T12:00:00Z")]
    Set {
        /// Date, RFC 3339 time such as `2027-01-01T12:00:00Z`, or Unix milliseconds
        #[arg(value_parser = moment_ms)]
        instant: u64,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Set the clock mode
    #[command(after_help = "\
Examples:
  miniflow time mode skip      skip idle time
  miniflow time mode x60       run 60 times as fast
  miniflow time mode real      follow the machine's clock")]
    Mode {
        /// `real`, `x60` (60 times as fast), `skip` (skips idle time) or `manual`
        mode: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Set the clock to the machine's time; fails while instances exist
    #[command(after_help = "\
Examples:
  miniflow time reset
  miniflow time reset --yes")]
    Reset {
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Runs `miniflow time`.
///
/// # Errors
///
/// When no server is there, or it cannot do that.
pub(super) async fn run(args: TimeArgs) -> Result<(), Problems> {
    let command = args.command.unwrap_or(TimeCommand::Show { server: args.server });
    let (server, wanted) = match command {
        TimeCommand::Show { server } => (server, None),
        TimeCommand::Advance { duration, server } => (server, Some(json!({ "advance": duration }))),
        TimeCommand::Next { server } => (server, Some(json!({ "next": true }))),
        TimeCommand::Set { instant, server } => (server, Some(json!({ "set": instant }))),
        TimeCommand::Mode { mode, server } => (server, Some(json!({ "mode": mode }))),
        TimeCommand::Reset { yes, server } => {
            if !yes && !ask::is_sure("Set the clock back to the machine's time?")? {
                return Ok(());
            }
            (server, Some(json!({ "reset": true })))
        }
    };
    let answer = match wanted {
        None => client::get(server.port, PATH).await?,
        Some(wanted) => {
            let answer = client::call(server.port, http::Method::POST, PATH, Some(&wanted)).await?;
            if !answer.status.is_success() {
                // How far it came is worth knowing all the same.
                if answer.body["moved"].is_object() && !server.json {
                    terminal::stdout(&report::time(&answer.body));
                }
                return Err(answer.refusal().into());
            }
            answer.body
        }
    };
    terminal::stdout(&if server.json { format!("{answer:#}\n") } else { report::time(&answer) });
    Ok(())
}

/// Reads `1h30m`, or what a Worker may write.
fn duration_ms(text: &str) -> Result<u64, String> {
    match compact_ms(text) {
        Some(ms) => Ok(ms),
        None => DurationSpec::Text(text.to_owned())
            .to_ms()
            .ok()
            .filter(|_| text.contains(' '))
            .ok_or_else(|| "not a duration, such as `90s`, `1h30m`, `3d` or `3 days`".to_owned()),
    }
}

/// Numbers with units, the larger first: `d`, `h`, `m`, `s`, `ms`.
fn compact_ms(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 6] =
        [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (mut rest, mut sum, mut last) = (text, 0_u64, None);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let place = UNITS.iter().position(|(name, _)| *name == unit)?;
        if last.is_some_and(|last| place <= last) {
            return None;
        }
        last = Some(place);
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(UNITS[place].1)?)?;
        rest = after;
    }
    last.map(|_| sum)
}

/// Reads a moment.
pub(super) fn moment_ms(text: &str) -> Result<u64, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Four digits are a year that lacks the rest, not a moment in 1970.
    let ms =
        if is_number && text.len() > 4 { text.parse().ok() } else { instant::parse(text).map(|at| at.as_millis()) };
    ms.ok_or_else(|| "not a moment, such as `2027-01-01`, `2027-01-01T12:00:00Z` or milliseconds since 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_short_and_long() {
        for (text, ms) in [
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("3d", 259_200_000),
            ("3 days", 259_200_000),
            ("1w2d3h4m5s6ms", 604_800_000 + 2 * 86_400_000 + 3 * 3_600_000 + 4 * 60_000 + 5_006),
            ("250ms", 250),
            ("1 second", 1000),
        ] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for text in
            ["", "3", "d", "3x", "30m1h", "1h1h", "-1h", "1.5h", "99999999999999999999d", "h1", "soon", "3 fortnights"]
        {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_dates_or_milliseconds() {
        assert_eq!(moment_ms("2000-02-29"), Ok(951_782_400_000));
        assert_eq!(moment_ms("951782400000"), Ok(951_782_400_000));
        for text in ["", "2027", "tomorrow", "-5", "1e9", "99999999999999999999999"] {
            assert!(moment_ms(text).is_err(), "{text}");
        }
    }
}
