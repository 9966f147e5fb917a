//! Secrets of a configuration, by their names in files that others read.
//!
//! Promises: what was hidden is revealed with the value that the secret has now, which need not be the one it had then.

use bytes::Bytes;
use miniflow::config::{Project, Var};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// Bytes of a value, at least: a shorter one is found in what has nothing to do with it.
const BYTES_MIN: usize = 8;

/// Names and values. Texts have `{{NAME}}` in the place of the value.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Those of these Workers: what stands in a file with secrets, or is named as one in a configuration.
    pub(crate) fn of<'a>(projects: impl IntoIterator<Item = &'a Project>) -> Self {
        let mut all: Vec<_> = projects.into_iter().flat_map(of_project).collect();
        // One may be a part of another.
        all.sort_by(|(a, first), (b, second)| second.len().cmp(&first.len()).then_with(|| a.cmp(b)));
        Self(all)
    }

    pub(crate) fn hide(&self, text: &str) -> String {
        let hide = |text: String, (name, value): &(String, String)| {
            written(value).iter().fold(text, |text, value| text.replace(value, &format!("{{{{{name}}}}}")))
        };
        self.0.iter().fold(text.to_owned(), hide)
    }

    /// As [`Self::hide`], of a body that may be no text.
    pub(crate) fn hide_in(&self, body: &Bytes) -> Bytes {
        match std::str::from_utf8(body) {
            Ok(text) if !self.0.is_empty() => self.hide(text).into(),
            _ => body.clone(),
        }
    }

    pub(crate) fn reveal(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
    }
}

/// The ways to write `value`, in a body and in a URL.
fn written(value: &str) -> [String; 4] {
    /// What a URL can have, unless it is said with it where a part ends.
    const PART: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    /// What cannot stand in a query.
    const QUERY: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');
    let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let encoded = |set| utf8_percent_encode(value, set).to_string();
    [value.to_owned(), form, encoded(&PART), encoded(&QUERY)]
}

fn of_project(project: &Project) -> impl Iterator<Item = (String, String)> + '_ {
    let secret = |(name, value): (&String, &Var)| {
        let text = match value {
            Var::Secret(secret) => secret.reveal(),
            Var::Text(text) if project.secrets_required.contains(name) => text,
            Var::Text(_) | Var::Json(_) => return None,
        };
        (text.len() >= BYTES_MIN).then(|| (name.clone(), text.to_owned()))
    };
    project.vars.iter().filter_map(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_whatever_form_and_revealed_as_it_is_now() {
        let secrets = |value: &str| Secrets(vec![("KEY".to_owned(), value.to_owned())]);
        let text = "https://a.example/?a=s3+cret%2F12%3D&b=s3%20cret%2F12%3D&c=s3%20cret/12=&d=s3 cret/12=";
        let hidden = secrets("s3 cret/12=").hide(text);
        assert_eq!(hidden, "https://a.example/?a={{KEY}}&b={{KEY}}&c={{KEY}}&d={{KEY}}");
        assert_eq!(secrets("another one").reveal("token {{KEY}}"), "token another one");
    }
}
