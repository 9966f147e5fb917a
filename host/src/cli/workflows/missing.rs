//! What is not there, with what was probably meant.

use super::input::encoded;
use super::place::{Failed, Source};
use crate::config::{Problem, Problems, nearest};
use crate::report;

/// Ids that are looked through for one that was meant: the newest.
const IDS_MAX: usize = 1000;

/// Names that are listed when none is near.
const NAMES_MAX: usize = 10;

/// Returns what is wrong with a request about the workflow `name`, which was answered with `failed`.
pub(super) async fn unknown_workflow(source: &Source, name: &str, failed: Failed) -> Problems {
    match failed {
        Failed::NotFound(message) => no_workflow(source, name).await.unwrap_or_else(|| Problem::error(message)).into(),
        Failed::Otherwise(problems) => problems,
    }
}

/// The same for a request about the instance `id` of it.
pub(super) async fn unknown_instance(source: &Source, name: &str, id: &str, failed: Failed) -> Problems {
    let problem = match failed {
        Failed::NotFound(message) => Problem::error(message),
        Failed::Otherwise(problems) => return problems,
    };
    if let Some(better) = no_workflow(source, name).await {
        return better.into();
    }
    let Some(ids) = newest(source, name).await else { return problem.into() };
    if ids.iter().any(|known| known == id) {
        // It is something else that was not found.
        return problem.into();
    }
    let problem = Problem::error(format!("workflow \"{name}\" has no instance \"{id}\""));
    let near = nearest::nearest_of(id, ids.iter().map(String::as_str));
    let hint = match &near[..] {
        [] if ids.is_empty() => format!("it has none; `miniflow workflows trigger {name}` starts one"),
        [] => format!("`miniflow workflows instances list {name}` lists them; `latest` is the newest"),
        near => did_you_mean(near),
    };
    problem.with_hint(hint).into()
}

/// What is wrong when there is no such workflow; none when there is, or nobody can say.
async fn no_workflow(source: &Source, name: &str) -> Option<Problem> {
    let told = source.get("/workflows").await.ok()?;
    let workflows: Vec<report::Workflow> = told.result().ok()?;
    let names: Vec<&str> = workflows.iter().map(|workflow| workflow.name.as_str()).collect();
    if names.contains(&name) {
        return None;
    }
    let near = nearest::nearest_of(name, names.iter().copied());
    let hint = match &near[..] {
        [] if names.is_empty() => "there are no workflows".to_owned(),
        [] if names.len() > NAMES_MAX => "`miniflow workflows list` lists them".to_owned(),
        [] => format!("there are: {}", names.join(", ")),
        near => did_you_mean(near),
    };
    Some(Problem::error(format!("there is no workflow \"{name}\"")).with_hint(hint))
}

fn did_you_mean(near: &[&str]) -> String {
    match near {
        [one] => format!("did you mean \"{one}\"?"),
        several => format!("did you mean one of \"{}\"?", several.join("\", \"")),
    }
}

/// The ids of the newest instances.
async fn newest(source: &Source, name: &str) -> Option<Vec<String>> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/workflows/{}/instances?per_page=100{cursor}", encoded(name));
        let told = source.get(&path).await.ok()?;
        let listed: Vec<report::Listed> = told.result().ok()?;
        let page: report::Page = told.info().ok()?;
        ids.extend(listed.into_iter().map(|listed| listed.id));
        match page.cursor {
            Some(next) if ids.len() < IDS_MAX => cursor = format!("&cursor={}", encoded(&next)),
            _ => return Some(ids),
        }
    }
}
