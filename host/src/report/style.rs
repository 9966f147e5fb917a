//! Colour, or none.

use crate::config::Severity;

/// How text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    /// With ANSI escape sequences.
    Coloured,
}

impl Style {
    /// Returns colour for a terminal whose user did not ask for none.
    ///
    /// `no_color` is whether `NO_COLOR` is set and not empty (<https://no-color.org>).
    #[must_use]
    pub fn of(is_terminal: bool, no_color: bool) -> Self {
        if is_terminal && !no_color { Self::Coloured } else { Self::Plain }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn link(self, text: &str) -> String {
        self.paint("1;36", text)
    }

    pub(super) fn severity(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Note => "1;36",
        };
        self.paint(code, text)
    }

    pub(super) fn word(self, code: &str, text: &str) -> String {
        self.paint(code, text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}
