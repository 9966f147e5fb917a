//! What a server says when it is ready.

use std::path::Path;
use std::time::Duration;

use miniflow_runtime::cron::Utc;
use miniflow_runtime::dispatcher::Missed;
use miniflow_runtime::storage::CronTarget;

use super::style::Style;
use crate::config::{DurableObjectBinding, Project, ServiceBinding, Var, WorkflowEntry};
use crate::session::Member;

/// The longest value of a variable that is shown, in characters.
const VALUE_LENGTH_MAX: usize = 40;

/// What is served, and what was found when it started.
#[derive(Debug)]
pub struct Banner<'a> {
    /// The Workers, the one that takes the requests first.
    pub workers: &'a [Served<'a>],
    pub url: &'a str,
    pub state: StateKept<'a>,
    /// How many instances of an earlier session go on.
    pub resumed: usize,
    /// How many are kept although nothing runs their workflow any more.
    pub orphaned: usize,
    /// How long it is until the next of them wakes.
    pub next_wake: Option<Duration>,
    /// Each cron expression, whose it is, and when it fires next.
    pub schedules: Vec<[String; 3]>,
    /// Where Workers' requests may go, where that is not anywhere.
    pub network: Option<String>,
    /// What the clock says, where that is not the machine's time: such as `skip, 3d ahead`.
    pub time: Option<String>,
}

/// A Worker that is served.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    pub project: &'a Project,
    /// The workflows it binds: see [`Project::bind_classes`].
    pub workflows: &'a [WorkflowEntry],
    /// The Durable Objects it binds.
    pub durable_objects: &'a [DurableObjectBinding],
}

/// Where instances are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKept<'a> {
    Folder(&'a Path),
    /// Nowhere: they are gone when the server stops.
    InMemory,
}

impl Banner<'_> {
    /// Returns the text, with the address as its last line.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let names: Vec<_> = self.workers.iter().map(|worker| worker.project.name.as_str()).collect();
        let mut text = format!("{} {}\n", style.bold("miniflow"), style.bold(&names.join(", ")));
        for (index, worker) in self.workers.iter().enumerate() {
            text.push('\n');
            if self.workers.len() > 1 {
                let requests = if index == 0 { ", which takes the requests" } else { "" };
                text.push_str(&format!("  {}{requests}\n", style.bold(&worker.project.name)));
            }
            write_sections(&mut text, &worker.sections(self.workers), style);
        }
        if self.workers.len() > 1 {
            text.push('\n');
        }
        let shared = [("state", vec![self.state_line()]), ("instances", vec![self.instances_line()])];
        write_sections(&mut text, &shared, style);
        if !self.schedules.is_empty() {
            write_sections(&mut text, &[("schedules", table(&self.schedules))], style);
        }
        if let Some(network) = &self.network {
            write_sections(&mut text, &[("network", vec![network.clone()])], style);
        }
        if let Some(time) = &self.time {
            write_sections(&mut text, &[("time", vec![time.clone()])], style);
        }
        for worker in self.workers.iter().filter(|worker| !worker.project.unsupported.is_empty()) {
            let of = if self.workers.len() > 1 { format!(" of {}", worker.project.name) } else { String::new() };
            let names = worker.project.unsupported.join(", ");
            let line = format!("{names}{of}: this version does not run them yet");
            write_sections(&mut text, &[("not run", vec![line])], style);
        }
        text.push_str(&format!("\n  ready on {}\n", style.link(self.url)));
        text
    }

    fn state_line(&self) -> String {
        match self.state {
            StateKept::Folder(folder) => folder.display().to_string(),
            StateKept::InMemory => "in memory, gone when the server stops".to_owned(),
        }
    }

    fn instances_line(&self) -> String {
        let picked_up = match self.resumed {
            0 => "none to pick up again".to_owned(),
            1 => "1 picked up again".to_owned(),
            count => format!("{count} picked up again"),
        };
        let mut line = match self.next_wake {
            Some(wait) => format!("{picked_up}, the next wakes {}", in_words(wait)),
            None => picked_up,
        };
        if self.orphaned > 0 {
            line.push_str(&format!("; {} kept, whose workflow is not here any more", self.orphaned));
        }
        line
    }
}

impl<'a> From<&'a Member> for Served<'a> {
    fn from(member: &'a Member) -> Self {
        Self { project: &member.project, workflows: &member.workflows, durable_objects: &member.durable_objects }
    }
}

impl Served<'_> {
    fn sections(&self, all: &[Served<'_>]) -> [(&'static str, Vec<String>); 2] {
        [("bindings", or_none(table(&self.bindings(all)))), ("workflows", or_none(table(&self.classes(all))))]
    }

    fn bindings(&self, all: &[Served<'_>]) -> Vec<[String; 3]> {
        let variables = self.project.vars.iter().map(|(name, var)| {
            let (kind, value) = match var {
                Var::Text(text) => ("variable", shortened(&format!("{text:?}"))),
                Var::Json(json) => ("variable", shortened(json)),
                Var::Secret(secret) => ("secret", format!("of {}", file_name(secret.file()))),
            };
            [name.clone(), kind.to_owned(), value]
        });
        let workflows = self.workflows.iter().filter_map(|workflow| {
            let binding = workflow.binding.clone()?;
            Some([binding, "workflow".to_owned(), workflow.name.clone()])
        });
        let queues = self
            .project
            .queue_producers
            .iter()
            .map(|producer| [producer.binding.clone(), "queue".to_owned(), self.queue(&producer.queue, all)]);
        let objects = self.durable_objects.iter().map(|object| {
            let class = of_worker(&object.class_name, object.script_name.as_deref(), &self.project.name, all);
            [object.binding.clone(), "object".to_owned(), class]
        });
        let service = |ServiceBinding { binding, service, .. }: &ServiceBinding| {
            let is_here = all.iter().any(|other| other.project.name == *service);
            let which = if is_here { "" } else { ", which is not run here" };
            [binding.clone(), "service".to_owned(), format!("Worker `{service}`{which}")]
        };
        let services = self.project.services.iter().map(service);
        let namespaces = self.project.kv_namespaces.iter();
        let namespaces = namespaces.map(|entry| [entry.binding.clone(), "KV namespace".to_owned(), entry.id.clone()]);
        let mut bindings: Vec<[String; 3]> =
            variables.chain(workflows).chain(objects).chain(services).chain(queues).chain(namespaces).collect();
        bindings.sort();
        bindings
    }

    /// A queue that nobody consumes keeps what is sent to it.
    fn queue(&self, queue: &str, all: &[Served<'_>]) -> String {
        let consumes =
            |worker: &Served<'_>| worker.project.queue_consumers.iter().any(|consumer| consumer.queue == queue);
        match all.iter().find(|worker| consumes(worker)) {
            Some(worker) if worker.project.name == self.project.name => queue.to_owned(),
            Some(worker) => format!("{queue}, consumed by Worker `{}`", worker.project.name),
            None => format!("{queue}, which nothing consumes here: messages are kept for 4 days"),
        }
    }

    fn classes(&self, all: &[Served<'_>]) -> Vec<[String; 2]> {
        let class = |workflow: &WorkflowEntry| {
            of_worker(&workflow.class_name, workflow.script_name.as_deref(), &self.project.name, all)
        };
        self.workflows.iter().map(|workflow| [workflow.name.clone(), class(workflow)]).collect()
    }
}

/// A class, and whose it is, unless it is `own`.
fn of_worker(class: &str, script: Option<&str>, own: &str, all: &[Served<'_>]) -> String {
    match script {
        None => class.to_owned(),
        Some(script) if script == own => class.to_owned(),
        Some(script) if all.iter().any(|other| other.project.name == script) => format!("{class} of Worker `{script}`"),
        Some(script) => format!("{class} of Worker `{script}`, which is not run here"),
    }
}

fn write_sections(text: &mut String, sections: &[(&str, Vec<String>)], style: Style) {
    for (label, lines) in sections {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { *label } else { "" };
            text.push_str(&format!("  {} {line}\n", style.dim(&format!("{label:<10}"))));
        }
    }
}

fn or_none(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["none".to_owned()] } else { lines }
}

/// Returns the rows with all columns but the last one as wide as their widest cell.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let padded = |row: &[String; N]| -> String {
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect()
    };
    rows.iter().map(|row| padded(row).trim_end().to_owned()).collect()
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= VALUE_LENGTH_MAX {
        return text.to_owned();
    }
    let start: String = text.chars().take(VALUE_LENGTH_MAX - 1).collect();
    format!("{start}…")
}

/// Returns `wait` with its two largest units, such as `in 3d 4h`.
fn in_words(wait: Duration) -> String {
    match wait.as_secs() {
        0 => "now".to_owned(),
        seconds => format!("in {}", units(seconds)),
    }
}

/// Returns so many seconds in their two largest units, such as `3d 4h`.
pub(crate) fn units(seconds: u64) -> String {
    let units = [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let Some(first) = units.iter().position(|(_, count)| *count > 0) else { return "0s".to_owned() };
    let shown = units[first..].iter().take(2).filter(|(_, count)| *count > 0);
    let shown: Vec<String> = shown.map(|(unit, count)| format!("{count}{unit}")).collect();
    shown.join(" ")
}

/// Returns what should have fired while no session was there, a line each.
#[must_use]
pub fn missed(missed: &[Missed]) -> String {
    let line = |missed: &Missed| {
        let whose = match &missed.target {
            CronTarget::Workflow(name) => format!("workflow {name}"),
            CronTarget::Worker(name) => format!("handler of {name}"),
        };
        let Missed { cron, count, runs, latest, .. } = missed;
        let latest = Utc::of(*latest);
        format!("  missed     `{cron}` of {whose}: {count} times, last {latest}; {runs} of them run now\n")
    };
    missed.iter().map(line).collect()
}
