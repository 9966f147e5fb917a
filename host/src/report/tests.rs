use std::path::Path;
use std::time::Duration;

use super::{Banner, Served, StateKept, Style, problems};
use crate::config::{
    DurableObjectBinding, Place, Position, Problem, Problems, Project, Secret, ServiceBinding, Source, Var,
    WorkflowEntry,
};

fn project() -> Project {
    Project::bare("orders", Path::new("/w"), Source::Wasm("/w/orders.wasm".into()))
}

fn served(project: &Project) -> Served<'_> {
    Served { project, workflows: &[], durable_objects: &project.durable_objects }
}

fn banner<'a>(workers: &'a [Served<'a>]) -> Banner<'a> {
    Banner {
        workers,
        url: "http://127.0.0.1:8787",
        state: StateKept::InMemory,
        resumed: 0,
        orphaned: 0,
        next_wake: None,
        schedules: Vec::new(),
        network: None,
        time: None,
    }
}

#[test]
fn the_banner_of_a_small_worker_is_short() {
    insta::assert_snapshot!(banner(&[served(&project())]).render(Style::Plain), @"
    miniflow orders

      bindings   none
      workflows  none
      state      in memory, gone when the server stops
      instances  none to pick up again

      ready on http://127.0.0.1:8787
    ");
}

// rules: C4.6-1
#[test]
fn the_banner_lists_everything_that_is_served() {
    let mut project = project();
    project.vars = [
        ("GREETING", Var::Text("hello \"you\"".to_owned())),
        ("TOKEN", Var::Secret(Secret::new("swordfish", Path::new("/w/.dev.vars")))),
        ("LIMITS", Var::Json(r#"{"a":[1,2,3],"b":{"c":"a text that goes on"}}"#.to_owned())),
    ]
    .map(|(name, var)| (name.to_owned(), var))
    .into();
    project.unsupported = vec!["kv_namespaces".to_owned(), "triggers.crons".to_owned()];
    let mut other = WorkflowEntry::of_class("Billing");
    other.script_name = Some("billing".to_owned());
    let workflows = [WorkflowEntry::of_class("OrderSaga"), other];
    let workers = [Served { workflows: &workflows, ..served(&project) }];
    let banner = Banner {
        state: StateKept::Folder(Path::new(".miniflow/state")),
        resumed: 3,
        orphaned: 0,
        next_wake: Some(Duration::from_secs(252)),
        ..banner(&workers)
    };
    insta::assert_snapshot!(banner.render(Style::Plain), @r#"
    miniflow orders

      bindings   BILLING     workflow  billing
                 GREETING    variable  "hello \"you\""
                 LIMITS      variable  {"a":[1,2,3],"b":{"c":"a text that goes…
                 ORDER_SAGA  workflow  order-saga
                 TOKEN       secret    of .dev.vars
      workflows  order-saga  OrderSaga
                 billing     Billing of Worker `billing`, which is not run here
      state      .miniflow/state
      instances  3 picked up again, the next wakes in 4m 12s
      not run    kv_namespaces, triggers.crons: this version does not run them yet

      ready on http://127.0.0.1:8787
    "#);
}

fn service_binding(service: &str) -> ServiceBinding {
    ServiceBinding { binding: service.to_uppercase(), service: service.to_owned(), entrypoint: None, place: None }
}

#[test]
fn the_banner_tells_workers_apart() {
    let (mut first, mut second) = (project(), project());
    first.name = "shop".to_owned();
    second.name = "billing".to_owned();
    second.unsupported = vec!["r2_buckets".to_owned()];
    let object = |script: Option<&str>| DurableObjectBinding {
        binding: "COUNTER".to_owned(),
        class_name: "Counter".to_owned(),
        script_name: script.map(ToOwned::to_owned),
        place: None,
    };
    first.durable_objects = vec![object(Some("billing"))];
    second.durable_objects = vec![object(None)];
    first.services = ["billing", "mail"].map(service_binding).into();
    let mut bound = WorkflowEntry::of_class("Invoice");
    bound.script_name = Some("billing".to_owned());
    let (of_first, of_second) = ([bound], [WorkflowEntry::of_class("Invoice")]);
    let workers =
        [Served { workflows: &of_first, ..served(&first) }, Served { workflows: &of_second, ..served(&second) }];
    insta::assert_snapshot!(banner(&workers).render(Style::Plain), @"
    miniflow shop, billing

      shop, which takes the requests
      bindings   BILLING  service   Worker `billing`
                 COUNTER  object    Counter of Worker `billing`
                 INVOICE  workflow  invoice
                 MAIL     service   Worker `mail`, which is not run here
      workflows  invoice  Invoice of Worker `billing`

      billing
      bindings   COUNTER  object    Counter
                 INVOICE  workflow  invoice
      workflows  invoice  Invoice

      state      in memory, gone when the server stops
      instances  none to pick up again
      not run    r2_buckets of billing: this version does not run them yet

      ready on http://127.0.0.1:8787
    ");
}

#[test]
fn how_long_instances_sleep_is_said_in_two_units() {
    let project = project();
    let workers = [served(&project)];
    for (seconds, expected) in [
        (0, "now"),
        (59, "in 59s"),
        (60, "in 1m"),
        (3_661, "in 1h 1m"),
        (86_400, "in 1d"),
        (86_400 + 59, "in 1d"),
        (31_536_000, "in 365d"),
    ] {
        let banner = Banner { resumed: 1, next_wake: Some(Duration::from_secs(seconds)), ..banner(&workers) };
        let line = format!("1 picked up again, the next wakes {expected}\n");
        let text = banner.render(Style::Plain);
        assert!(text.contains(&line), "{seconds}: {text}");
    }
}

fn two_problems() -> Problems {
    let place = |line, column| Place { file: "wrangler.jsonc".into(), position: Some(Position { line, column }) };
    let mut problems = Problems::from(Problem::warning("something odd").at(Place::file(Path::new("wrangler.toml"))));
    problems.push(Problem::error("a name twice").at(place(3, 7)).also_at(place(1, 2)).with_hint("rename one"));
    problems
}

#[test]
fn problems_are_shown_with_place_and_hint() {
    insta::assert_snapshot!(problems(&two_problems(), Style::Plain), @"
    warning: something odd
      --> wrangler.toml
    error: a name twice
      --> wrangler.jsonc:3:7
      also: wrangler.jsonc:1:2
      hint: rename one
    ");
    assert_eq!(problems(&Problems::default(), Style::Coloured), "");
}

#[test]
fn colour_changes_nothing_else() {
    let coloured = problems(&two_problems(), Style::Coloured);
    assert!(coloured.contains("\x1b[1;31merror:\x1b[0m a name twice"), "{coloured:?}");
    let mut plain = String::new();
    for (index, part) in coloured.split('\x1b').enumerate() {
        plain.push_str(if index == 0 { part } else { part.split_once('m').expect("a sequence ends").1 });
    }
    assert_eq!(plain, problems(&two_problems(), Style::Plain));
}

#[test]
fn colour_is_for_terminals_whose_users_want_it() {
    assert_eq!(Style::of(true, false), Style::Coloured);
    assert_eq!(Style::of(true, true), Style::Plain);
    assert_eq!(Style::of(false, false), Style::Plain);
}
