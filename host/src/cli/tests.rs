use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};

use super::dev::{CronCatchUp, DevArgs, DevOptions, Durability, StateFolder};
use super::{Cli, Command, place};
use crate::bindings::logging::Level;
use crate::config::{Project, Source};
use crate::report::Style;
use crate::report::log::Format;
use crate::session;
use crate::wasm::network::Network;

fn parse(arguments: &str) -> DevArgs {
    let arguments = ["miniflow"].into_iter().chain(arguments.split_whitespace());
    match Cli::try_parse_from(arguments).expect("the arguments are right").command {
        Command::Dev(args) => args,
        other => panic!("not `dev`: {other:?}"),
    }
}

fn options(arguments: &str) -> DevOptions {
    let project = Project::bare("w", Path::new("/w"), Source::Wasm("/w/w.wasm".into()));
    parse(arguments).options(&project)
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_has_a_variable() {
    let command = Cli::command();
    for name in ["dev", "build", "check"] {
        let command = command.find_subcommand(name).expect("there is one");
        let flags = command.get_arguments().filter(|argument| !argument.is_positional());
        // Those that mean nothing need no variable either.
        for argument in flags.filter(|argument| !argument.is_hide_set()) {
            let long = argument.get_long().expect("flags are long");
            let variable = format!("MINIFLOW_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env(), Some(variable.as_ref()), "--{long}");
        }
    }
}

// rules: C4.6-1
#[test]
fn without_flags_there_are_defaults() {
    assert_eq!(
        options("dev"),
        DevOptions {
            address: (Ipv4Addr::LOCALHOST, 8787).into(),
            state: StateFolder::OfProject(Path::new("/w").join(".miniflow").join("state")),
            durability: Durability::Normal,
            test_scheduled: false,
            no_cron: false,
            cron_catch_up: CronCatchUp::None,
            time: None,
            api_token: None,
            allow_anyone: false,
            network: Network::default(),
            ca_files: Vec::new(),
            on_divergence: session::OnDivergence::Pause,
            strict_determinism: false,
            live_runs_max: None,
            ports_file: None,
            open: false,
        }
    );
}

#[test]
fn flags_are_taken() {
    assert_eq!(
        options("dev x --port 0 --ip ::1 --persist-to s --durability full --no-build"),
        DevOptions {
            address: "[::1]:0".parse().expect("an address"),
            state: StateFolder::Given(PathBuf::from("s")),
            durability: Durability::Full,
            test_scheduled: false,
            no_cron: false,
            cron_catch_up: CronCatchUp::None,
            time: None,
            api_token: None,
            allow_anyone: false,
            network: Network::default(),
            ca_files: Vec::new(),
            on_divergence: session::OnDivergence::Pause,
            strict_determinism: false,
            live_runs_max: None,
            ports_file: None,
            open: false,
        }
    );
    let hosts = |names: &[&str]| names.iter().map(|name| name.parse().expect("a host")).collect();
    assert_eq!(options("dev --deny-net").network, Network::new(true, Vec::new()));
    let allowed = options("dev --allow-host a.test --allow-host *.b.test:80,[::1]").network;
    assert_eq!(allowed, Network::new(true, hosts(&["a.test", "*.b.test:80", "[::1]"])));
    assert_eq!(
        options("dev --ca-file a.pem --ca-file b.pem").ca_files,
        [PathBuf::from("a.pem"), PathBuf::from("b.pem")]
    );
    assert_eq!(options("dev --ephemeral --persist-to s").state, StateFolder::None);
    let levels =
        [("none", None), ("error", Some(Level::Error)), ("log", Some(Level::Info)), ("debug", Some(Level::Debug))];
    for (name, level) in levels {
        assert_eq!(parse(&format!("dev --log-level {name}")).least(), level);
    }
    assert_eq!(parse("dev --log-format json").format(Style::Coloured), Format::Json);
    assert_eq!(parse("dev").format(Style::Coloured), Format::Text(Style::Coloured));
    assert_eq!(options("dev --ports-file p.json --open").ports_file, Some(PathBuf::from("p.json")));
}

#[test]
fn the_configuration_says_where_it_is_served_unless_a_flag_does() {
    let mut project = Project::bare("w", Path::new("/w"), Source::Wasm("/w/w.wasm".into()));
    project.dev.port = Some(3000);
    project.dev.ip = Some(Ipv4Addr::UNSPECIFIED.into());
    assert_eq!(parse("dev").options(&project).address, (Ipv4Addr::UNSPECIFIED, 3000).into());
    assert_eq!(parse("dev --port 1 --ip localhost").options(&project).address, (Ipv4Addr::LOCALHOST, 1).into());
}

#[test]
fn an_environment_is_chosen_by_flag_before_variable() {
    let environment = |arguments: &str| {
        let variable = |name: &str| (name == "CLOUDFLARE_ENV").then(|| "of-the-machine".to_owned());
        parse(arguments).project.options(variable).env
    };
    assert_eq!(environment("dev").as_deref(), Some("of-the-machine"));
    assert_eq!(environment("dev -e staging").as_deref(), Some("staging"));
    assert_eq!(environment("dev --env=").as_deref(), Some(""));
}

#[test]
fn variables_and_their_files_are_taken_in_order() {
    let options = parse("dev --var A:b:c --var B: --env-file one --env-file two").project.options(|_| None);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(options.vars, [pair("A", "b:c"), pair("B", "")]);
    assert_eq!(options.env_files, [PathBuf::from("one"), PathBuf::from("two")]);
}

#[test]
fn flags_of_wrangler_that_mean_nothing_are_named_in_one_line() {
    let note = |arguments: &str| parse(arguments).project.of_wrangler.note().map(|note| note.to_string());
    assert_eq!(note("dev"), None);
    assert_eq!(note("dev --minify").as_deref(), Some("note: `--minify` changes nothing here"));
    assert_eq!(
        note("dev --remote=false --inspector-port 9229 --compatibility-flag a --compatibility-flag b --live-reload x")
            .as_deref(),
        Some("note: `--compatibility-flag`, `--inspector-port`, `--live-reload`, `--remote` change nothing here")
    );
    assert_eq!(parse("dev --live-reload x").project.path, Some(PathBuf::from("x")));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for (arguments, expected) in [
        ("", "Usage: miniflow <COMMAND>"),
        ("devv", "'dev'"),
        ("dev --port 65536", "65536 is not in 0..=65535"),
        ("dev --ip here", "not an IP address, such as 127.0.0.1"),
        ("dev --durability some", "[possible values: normal, full]"),
        ("dev --log-level loud", "[possible values: none, error, warn, info, debug]"),
        ("dev --prot 1", "'--port'"),
        ("dev --var A", "not a name and a value, such as GREETING:hello"),
        ("dev --var a-b:c", "\"a-b\" is not a name, such as GREETING"),
        ("check --port 1", "'--port'"),
    ] {
        let error = Cli::try_parse_from(["miniflow"].into_iter().chain(arguments.split_whitespace()));
        let error = error.expect_err("it makes no sense").to_string();
        assert!(error.contains(expected), "{arguments}: {error}");
    }
}

#[test]
fn the_version_names_the_engine_and_the_interface() {
    let shown = Cli::try_parse_from(["miniflow", "--version"]).expect_err("it is not a command").to_string();
    assert!(shown.starts_with(concat!("miniflow ", env!("CARGO_PKG_VERSION"), "\nengine: wasmtime ")), "{shown}");
    assert!(shown.contains("\nWIT: miniflow:worker@"), "{shown}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let address = taken.local_addr().expect("it is bound");
    let problem = place::listen(address).await.expect_err("it is taken");
    assert_eq!(
        problem.to_string(),
        format!(
            "error: port {} on 127.0.0.1 is in use\n  \
             hint: stop what uses it, or pass another one: `--port 0` takes any that is free",
            address.port()
        )
    );
    drop(taken);
    place::listen(address).await.expect("it is free again");
}

#[test]
fn the_state_folder_is_made_and_kept_from_git() {
    let root = tempfile::TempDir::new().expect("a temporary folder");
    let own = root.path().join(".miniflow");
    let state = own.join("state");
    for _ in 0..2 {
        place::state_folder(&state, Some(&own)).expect("it can be made");
    }
    assert!(state.is_dir());
    assert_eq!(std::fs::read_to_string(own.join(".gitignore")).expect("it was written"), "*\n");
}

#[test]
fn a_state_folder_that_cannot_be_used_is_named() {
    let root = tempfile::TempDir::new().expect("a temporary folder");
    let file = root.path().join("file");
    std::fs::write(&file, "").expect("a file is written");
    let hint = "\n  hint: pass another folder with `--persist-to`, or `--ephemeral` to keep nothing";
    let said = |folder: &Path| place::state_folder(folder, None).expect_err("it cannot be used").to_string();
    assert_eq!(
        said(&file),
        format!("error: state cannot be kept in `{}`, which is not a folder{hint}", file.display())
    );
    let below = said(&file.join("below"));
    assert!(below.starts_with("error: state cannot be kept in `") && below.ends_with(hint), "{below}");
}

// rules: A160
#[test]
fn every_command_says_how_it_is_used() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut texts = String::new();
    collect_help(&mut command, &mut texts);
    insta::assert_snapshot!("help", texts);
}

/// The longest help of a flag or a command, in characters, without its default and environment variable.
const HELP_MAX: usize = 80;

#[test]
fn help_texts_fit_into_one_line() {
    let mut command = Cli::command();
    command.build();
    let mut long = Vec::new();
    collect_long_help(&command, &mut long);
    assert_eq!(long, Vec::<String>::new(), "help texts over {HELP_MAX} characters");
}

fn collect_long_help(command: &clap::Command, long: &mut Vec<String>) {
    let abouts = command.get_about().into_iter();
    let helps = command.get_arguments().filter(|argument| !argument.is_hide_set()).filter_map(clap::Arg::get_help);
    for text in abouts.chain(helps).map(ToString::to_string) {
        let sentence = text.split(" [default: ").next().unwrap_or(&text);
        if sentence.chars().count() > HELP_MAX {
            long.push(text);
        }
    }
    for below in command.get_subcommands() {
        collect_long_help(below, long);
    }
}

/// The help of a command and of those below it.
fn collect_help(command: &mut clap::Command, texts: &mut String) {
    let help = command.render_long_help().to_string();
    assert!(help.contains("\nExamples:\n"), "an example is missing in\n{help}");
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    assert!(help.contains(&format!("\n  {name}")), "no example of `{name}` is in\n{help}");
    texts.push_str(&format!("$ {name} --help\n{help}\n"));
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| *name != "help") {
        collect_help(command.find_subcommand_mut(name).expect("it was listed"), texts);
    }
}

#[test]
fn a_mistyped_command_or_flag_is_told_with_the_one_that_was_meant() {
    for (arguments, meant) in [
        ("biuld", "a similar subcommand exists: 'build'"),
        ("completion", "a similar subcommand exists: 'completions'"),
        ("workflow", "a similar subcommand exists: 'workflows'"),
        ("workflows lst", "a similar subcommand exists: 'list'"),
        ("workflows instances descrbe orders", "a similar subcommand exists: 'describe'"),
        (
            "workflows instances restart orders latest --from-step-nam order",
            "a similar argument exists: '--from-step-name'",
        ),
        ("state rest", "a similar subcommand exists: 'reset'"),
        ("time advnce 3d", "a similar subcommand exists: 'advance'"),
        ("new x --template wokflow", "a similar value exists: 'workflow'"),
        ("completions bsh", "a similar value exists: 'bash'"),
    ] {
        let error = Cli::try_parse_from(["miniflow"].into_iter().chain(arguments.split_whitespace()));
        let error = error.expect_err("it makes no sense");
        assert_eq!(error.exit_code(), 2, "{arguments}");
        assert!(error.to_string().contains(meant), "{arguments}: {error}");
    }
}
