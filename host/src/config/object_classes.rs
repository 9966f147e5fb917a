//! Puts the Durable Objects of a configuration and the classes of a component together.

use super::classes::{binding_of, list};
use super::nearest::nearest;
use super::problem::{Problem, Problems};
use super::resolved::{DurableObjectBinding, Project};

impl Project {
    /// Returns the Durable Objects that the Worker can address, given the classes it exports: those of the configuration, or one for each class
    /// without a configuration.
    ///
    /// # Errors
    ///
    /// When the configuration names a class that is not exported.
    pub fn bind_object_classes(&self, exported: &[&str]) -> Result<Vec<DurableObjectBinding>, Problems> {
        if self.config.is_none() {
            return Ok(exported.iter().map(|class| derived(class)).collect());
        }
        let mut problems = Problems::default();
        let is_own =
            |binding: &&DurableObjectBinding| binding.script_name.as_ref().is_none_or(|name| *name == self.name);
        for binding in self.durable_objects.iter().filter(is_own) {
            let class = binding.class_name.as_str();
            if exported.contains(&class) {
                continue;
            }
            let problem = Problem::error(format!(
                "binding `{}` is of the Durable Object class `{class}`, which the Worker does not export",
                binding.binding
            ));
            let problem = match nearest(class, exported.iter().copied()) {
                Some(meant) => problem.with_hint(format!("did you mean `{meant}`? It exports {}", list(exported))),
                None if exported.is_empty() => problem.with_hint("it exports no Durable Object class at all"),
                None => problem.with_hint(format!("it exports {}", list(exported))),
            };
            problems.push(match &binding.place {
                Some(place) => problem.at(place.clone()),
                None => problem,
            });
        }
        problems.or(self.durable_objects.clone()).map(|(bindings, _)| bindings)
    }
}

/// `ChatRoom` is bound as `CHAT_ROOM`.
fn derived(class: &str) -> DurableObjectBinding {
    DurableObjectBinding { binding: binding_of(class), class_name: class.to_owned(), script_name: None, place: None }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Source;

    fn project(config: bool, class: &str, script_name: Option<&str>) -> Project {
        let mut project = Project::bare("shop", Path::new("/w"), Source::Wasm("/w/w.wasm".into()));
        project.config = config.then(|| "/w/wrangler.jsonc".into());
        let script_name = script_name.map(ToOwned::to_owned);
        project.durable_objects = vec![DurableObjectBinding { script_name, ..derived(class) }];
        project
    }

    #[test]
    fn without_a_configuration_every_class_is_bound() {
        let bindings = project(false, "Other", None).bind_object_classes(&["ChatRoom"]).unwrap();
        assert_eq!(bindings, [derived("ChatRoom")]);
        assert_eq!(bindings[0].binding, "CHAT_ROOM");
    }

    #[test]
    fn a_class_that_is_not_exported_is_an_error_that_lists_what_is() {
        let problems = project(true, "ChatRom", None).bind_object_classes(&["ChatRoom", "Counter"]).unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!(
            problem.message,
            "binding `CHAT_ROM` is of the Durable Object class `ChatRom`, which the Worker does not export"
        );
        assert_eq!(problem.hint.as_deref(), Some("did you mean `ChatRoom`? It exports `ChatRoom`, `Counter`"));
        assert!(project(true, "ChatRoom", Some("shop")).bind_object_classes(&[]).is_err());
    }

    #[test]
    fn a_class_of_another_worker_is_not_looked_for_here() {
        assert_eq!(project(true, "Far", Some("other")).bind_object_classes(&[]).unwrap().len(), 1);
    }
}
