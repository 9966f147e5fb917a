//! Reads the list of rules.

use toml::{Table, Value};

/// Every rule, in the order of the file, with the sections they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// In the order of the table.
    pub sections: Vec<Section>,
    /// Each belongs to a section.
    pub rules: Vec<Rule>,
}

/// Where rules are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Such as `contract 2.3`.
    pub source: String,
    /// What it is about.
    pub title: String,
}

/// One thing that is to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What tests name it by.
    pub id: String,
    /// What miniflow does.
    pub rule: String,
    /// The section it is from.
    pub source: String,
    /// What the official local emulator does instead; empty when that is the same.
    pub official: String,
    /// Whether it is to be proven now.
    pub state: State,
}

/// Whether a rule is to be proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It holds now, so there is to be a test.
    Now,
    /// It comes with this area.
    Later(String),
    /// It cannot apply, because of this.
    NotApplicable(String),
}

impl Rules {
    /// Parses the file.
    ///
    /// # Errors
    /// Everything that is wrong with it: its syntax, a field that is missing or unknown, an id or a section that is there twice.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let root: Table = text.parse().map_err(|error: toml::de::Error| vec![error.to_string()])?;
        let mut problems = Vec::new();
        let sections = items(&root, "section", &mut problems, section);
        let rules = items(&root, "rule", &mut problems, rule);
        for key in root.keys().filter(|key| !["section", "rule"].contains(&key.as_str())) {
            problems.push(format!("`{key}` is neither a section nor a rule"));
        }
        let parsed = Self { sections, rules };
        parsed.check(&mut problems);
        if problems.is_empty() { Ok(parsed) } else { Err(problems) }
    }

    /// Returns the rule with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Returns the rules of a section.
    pub fn of(&self, section: &Section) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.source == section.source)
    }

    fn check(&self, problems: &mut Vec<String>) {
        for (index, section) in self.sections.iter().enumerate() {
            if self.sections[..index].iter().any(|other| other.source == section.source) {
                problems.push(format!("the section `{}` is there twice", section.source));
            }
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if self.rules[..index].iter().any(|other| other.id == rule.id) {
                problems.push(format!("the rule `{}` is there twice", rule.id));
            }
            if !self.sections.iter().any(|section| section.source == rule.source) {
                problems.push(format!("the rule `{}` is of `{}`, which is no section", rule.id, rule.source));
            }
        }
    }
}

fn items<T>(root: &Table, key: &str, problems: &mut Vec<String>, read: impl Fn(&Table) -> Result<T, String>) -> Vec<T> {
    let items = root.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let read = |(index, item): (usize, &Value)| {
        let item = item.as_table().ok_or_else(|| "it is no table".to_owned());
        item.and_then(&read).map_err(|problem| format!("{key} {}: {problem}", index + 1))
    };
    items.iter().enumerate().filter_map(|item| read(item).map_err(|problem| problems.push(problem)).ok()).collect()
}

fn section(table: &Table) -> Result<Section, String> {
    only(table, &["source", "title"])?;
    Ok(Section { source: required(table, "source")?, title: required(table, "title")? })
}

fn rule(table: &Table) -> Result<Rule, String> {
    only(table, &["id", "rule", "source", "official", "status", "reason"])?;
    let state = match (optional(table, "status")?, optional(table, "reason")?) {
        (None, None) => State::Now,
        (Some("later"), Some(area)) => State::Later(area.to_owned()),
        (Some("not applicable"), Some(reason)) => State::NotApplicable(reason.to_owned()),
        _ => return Err("`status` is `later` or `not applicable`, with a `reason`".to_owned()),
    };
    Ok(Rule {
        id: required(table, "id")?,
        rule: required(table, "rule")?,
        source: required(table, "source")?,
        official: optional(table, "official")?.unwrap_or_default().to_owned(),
        state,
    })
}

fn only(table: &Table, known: &[&str]) -> Result<(), String> {
    let unknown = table.keys().find(|key| !known.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| Err(format!("`{key}` is no field of it")))
}

fn required(table: &Table, key: &str) -> Result<String, String> {
    optional(table, key)?.map(str::to_owned).ok_or_else(|| format!("`{key}` is missing"))
}

fn optional<'a>(table: &'a Table, key: &str) -> Result<Option<&'a str>, String> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` is to be a text that says something")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: &str = "[[section]]\nsource = \"s\"\ntitle = \"t\"\n";

    #[test]
    fn a_rule_has_an_id_a_text_and_a_source() {
        let text = format!("{SECTION}[[rule]]\nid = \"A1\"\nrule = \"It runs.\"\nsource = \"s\"\nofficial = \"no\"\n");
        let rules = Rules::parse(&text).unwrap();
        let found = rules.find("A1").unwrap();
        assert_eq!((found.rule.as_str(), found.official.as_str(), &found.state), ("It runs.", "no", &State::Now));
        assert_eq!(rules.find("A2"), None);
        assert_eq!(rules.of(&rules.sections[0]).count(), 1);
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        let rule = |fields: &str| format!("[[rule]]\nid = \"A1\"\nrule = \"r\"\nsource = \"s\"\n{fields}\n");
        for (text, expected) in [
            (format!("{}{}", rule(""), rule("")), "the rule `A1` is there twice"),
            (SECTION.to_owned(), "the section `s` is there twice"),
            (rule("status = \"later\""), "rule 1: `status` is `later` or `not applicable`, with a `reason`"),
            (rule("status = \"soon\"\nreason = \"x\""), "rule 1: `status` is `later` or"),
            (rule("officially = \"x\""), "rule 1: `officially` is no field of it"),
            ("[[rule]]\nid = \"A1\"\n".to_owned(), "rule 1: `rule` is missing"),
            ("[[rule]]\nid = 1\n".to_owned(), "rule 1: `id` is to be a text"),
            ("[[rule]]\nid = \"A1\"\nrule = \"r\"\nsource = \"x\"\n".to_owned(), "of `x`, which is no section"),
            ("[rules]\n".to_owned(), "`rules` is neither a section nor a rule"),
            ("= 1".to_owned(), "TOML parse error"),
        ] {
            let problems = Rules::parse(&format!("{SECTION}{text}")).unwrap_err();
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{text}: {problems:?}");
        }
    }
}
