//! Workflows, and lists of instances.

use std::collections::BTreeMap;

use super::style::Style;
use super::table::{Cell, status_code, table};
use super::told::{Listed, Page, Workflow};

/// Returns the text for the workflows of a session.
#[must_use]
pub fn workflows(workflows: &[Workflow], page: &Page, style: Style) -> String {
    if workflows.is_empty() {
        return match page.page {
            Some(page) if page > 1 => format!("no workflows on page {page}\n"),
            _ => "no workflows\n".to_owned(),
        };
    }
    let row = |workflow: &Workflow| {
        let note = if workflow.script_deleted { "not there any more, its instances are kept" } else { "" };
        vec![
            Cell::from(workflow.name.as_str()),
            or_dash(&workflow.class_name).into(),
            or_dash(&workflow.script_name).into(),
            counts(&workflow.instances).into(),
            Cell::coloured(note, Some("33")),
        ]
    };
    let rows: Vec<_> = workflows.iter().map(row).collect();
    table(&["NAME", "CLASS", "WORKER", "INSTANCES", ""], &rows, style)
}

/// Returns the text for one workflow.
#[must_use]
pub fn workflow(workflow: &Workflow, style: Style) -> String {
    let mut fields = vec![
        ("name", workflow.name.clone()),
        ("class", or_dash(&workflow.class_name).to_owned()),
        ("worker", or_dash(&workflow.script_name).to_owned()),
    ];
    if workflow.script_deleted {
        fields.push(("note", "its class or its configuration is gone; its instances are kept".to_owned()));
    }
    for schedule in &workflow.schedules {
        let next = schedule.next_instance.as_ref().map(|next| format!(", next {next}")).unwrap_or_default();
        fields.push(("schedule", format!("{}{next}", schedule.cron)));
    }
    fields.push(("seen since", workflow.created_on.clone()));
    if let Some(newest) = &workflow.triggered_on {
        fields.push(("last started", newest.clone()));
    }
    let total: u64 = workflow.instances.values().sum();
    fields.push(("instances", total.to_string()));
    let mut text = labelled(&fields, style);
    for (status, count) in workflow.instances.iter().filter(|(_, count)| **count > 0) {
        let status = Cell::coloured(format!("  {status}"), status_code(status));
        text.push_str(&table_line(status, &count.to_string(), style));
    }
    text
}

/// Returns the text for a page of instances.
#[must_use]
pub fn instances(workflow: &str, instances: &[Listed], page: &Page, style: Style) -> String {
    if instances.is_empty() {
        return match page.page {
            Some(number) if number > 1 => {
                format!("no instances on page {number} of workflow \"{workflow}\", which has {}\n", page.total_pages)
            }
            _ => {
                format!("no instances of workflow \"{workflow}\"; `miniflow workflows trigger {workflow}` starts one\n")
            }
        };
    }
    let row = |listed: &Listed| {
        vec![
            Cell::from(listed.id.as_str()),
            Cell::coloured(listed.status.as_str(), status_code(&listed.status)),
            listed.created_on.as_str().into(),
            listed.started_on.as_deref().unwrap_or("-").into(),
            listed.ended_on.as_deref().unwrap_or("-").into(),
            listed.trigger_source.as_str().into(),
        ]
    };
    let rows: Vec<_> = instances.iter().map(row).collect();
    let mut text = table(&["INSTANCE ID", "STATUS", "CREATED", "STARTED", "ENDED", "TRIGGER"], &rows, style);
    let (number, pages) = (page.page.unwrap_or(1), page.total_pages);
    let shown =
        if pages > 1 { format!("page {number} of {pages}, {} match; ", page.total_count) } else { String::new() };
    text.push_str(&style.dim(&format!("{shown}in all {}", counts(&page.status_counts))));
    text.push('\n');
    text
}

/// `3: 2 complete, 1 waiting`.
fn counts(counts: &BTreeMap<String, u64>) -> String {
    let total: u64 = counts.values().sum();
    let each: Vec<_> =
        counts.iter().filter(|(_, count)| **count > 0).map(|(status, count)| format!("{count} {status}")).collect();
    if each.is_empty() { "0".to_owned() } else { format!("{total}: {}", each.join(", ")) }
}

/// Lines of a label and what it says.
pub(super) fn labelled(fields: &[(&str, String)], style: Style) -> String {
    let line = |(label, value): &(&str, String)| table_line(Cell::coloured(*label, Some("2")), value, style);
    fields.iter().map(line).collect()
}

/// The labels of all commands are as wide as the widest.
fn table_line(label: Cell, value: &str, style: Style) -> String {
    const LABEL: &str = "            ";
    // The header makes the column as wide, and is cut off.
    let text = table(&[LABEL, ""], &[vec![label, value.into()]], style);
    text.lines().skip(1).map(|line| format!("{line}\n")).collect()
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
