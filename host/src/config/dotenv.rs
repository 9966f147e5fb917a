//! Reads files of `NAME=value` lines as Node's `dotenv` does, which is what wrangler reads them with.
//!
//! A line that `dotenv` would pass over in silence is a problem here: it is a secret that somebody believes to be set. No problem ever
//! shows what a line says.

use std::collections::BTreeMap;

/// A variable of a file and where its name begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) offset: usize,
    pub(super) name: String,
    pub(super) value: String,
}

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) offset: usize,
    pub(super) message: &'static str,
    pub(super) hint: &'static str,
}

/// Reads `text`: its variables in order, and every line that is none.
pub(super) fn parse(text: &str) -> (Vec<Line>, Vec<Broken>) {
    let mut reader = Reader { text, at: 0 };
    let (mut lines, mut broken) = (Vec::new(), Vec::new());
    while reader.skip_to_content() {
        match reader.line() {
            Ok(line) => lines.push(line),
            Err(problem) => {
                broken.push(problem);
                reader.skip_line();
            }
        }
    }
    (lines, broken)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Goes to the next line that says something.
    fn skip_to_content(&mut self) -> bool {
        loop {
            self.skip(char::is_whitespace);
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty();
            }
            self.skip_line();
        }
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|character| !what(character)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn skip_line(&mut self) {
        self.skip(|character| character != '\n');
    }

    fn skip_blanks(&mut self) {
        self.skip(is_blank);
    }

    fn line(&mut self) -> Result<Line, Broken> {
        let offset = self.at;
        let broken = |message, hint| Broken { offset, message, hint };
        if let Some(after) = self.rest().strip_prefix("export")
            && after.starts_with(is_blank)
        {
            self.at += "export".len();
            self.skip_blanks();
        }
        let name_offset = self.at;
        let name = self.skip(|character| character.is_ascii_alphanumeric() || "_.-".contains(character));
        if name.is_empty() {
            return Err(broken("this line has no name", "write `NAME=value`; a comment begins with `#`"));
        }
        let is_colon = self.rest().starts_with(": ");
        self.skip_blanks();
        if !is_colon && !self.rest().starts_with('=') {
            return Err(broken("this line has no `=` after its name", "write `NAME=value`; a comment begins with `#`"));
        }
        self.at += 1;
        self.skip_blanks();
        let value = match self.rest().chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => match self.quoted(quote) {
                Some(value) => value,
                None => return Err(broken("this value has no closing quote", "end it with the quote it begins with")),
            },
            _ => self.skip(|character| !"#\r\n".contains(character)).trim().to_owned(),
        };
        self.skip_blanks();
        if !self.rest().is_empty() && !self.rest().starts_with(['#', '\r', '\n']) {
            return Err(broken("there is something after the closing quote", "put all of the value into the quotes"));
        }
        self.skip_line();
        Ok(Line { offset: name_offset, name: name.to_owned(), value })
    }

    /// Reads a value in quotes, which may go over several lines. A quote after `\` does not end it.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let inside = &self.rest()[1..];
        let mut is_escaped = false;
        let length = inside.find(|character| {
            let ends = character == quote && !is_escaped;
            is_escaped = character == '\\';
            ends
        })?;
        self.at += length + 2;
        let value = inside[..length].replace("\r\n", "\n");
        Some(if quote == '"' { value.replace("\\n", "\n").replace("\\r", "\r") } else { value })
    }
}

fn is_blank(character: char) -> bool {
    character == ' ' || character == '\t'
}

/// Returns `value` with `$NAME`, `${NAME}` and `${NAME:-otherwise}` replaced, as in `.env` files; `\$` stays a `$`.
pub(super) fn expand(value: &str, known: &BTreeMap<&str, &str>) -> String {
    let mut expanded = String::new();
    let mut rest = value;
    while let Some(position) = rest.find('$') {
        let (before, after) = (&rest[..position], &rest[position + 1..]);
        if let Some(before) = before.strip_suffix('\\') {
            expanded.push_str(before);
            expanded.push('$');
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let (name, otherwise, length) = reference(after);
        match known.get(name) {
            _ if length == 0 => expanded.push('$'),
            Some(text) if !text.is_empty() => expanded.push_str(text),
            _ => expanded.push_str(otherwise),
        }
        rest = &after[length..];
    }
    expanded + rest
}

/// Returns the name after a `$`, what to put if it is not known, and the length of all this; no length if it is none.
fn reference(text: &str) -> (&str, &str, usize) {
    if let Some(inside) = text.strip_prefix('{') {
        let Some(end) = inside.find('}') else { return ("", "", 0) };
        let (name, otherwise) = inside[..end].split_once(":-").unwrap_or((&inside[..end], ""));
        return (name, otherwise, end + 2);
    }
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let length = text.find(|character| !is_part(character)).unwrap_or(text.len());
    if text.starts_with(|character: char| character.is_ascii_digit()) {
        ("", "", 0)
    } else {
        (&text[..length], "", length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let (lines, broken) = parse(text);
        assert_eq!(broken, [], "{text}");
        lines.into_iter().map(|line| (line.name, line.value)).collect()
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b", "b"),
            ("  A=b  ", "b"),
            ("export A=b", "b"),
            ("A: b", "b"),
            ("A=", ""),
            ("A=\"\"", ""),
            ("A=b c", "b c"),
            ("A=b # comment", "b"),
            ("A=b#c", "b"),
            ("A=\"b # c\" # comment", "b # c"),
            ("A='b \"c\"'", "b \"c\""),
            ("A=`b 'c' \"d\"`", "b 'c' \"d\""),
            ("A=\"b\\nc\"", "b\nc"),
            ("A='b\\nc'", "b\\nc"),
            ("A=b\\nc", "b\\nc"),
            ("A=\"b\nc\n\nd\"", "b\nc\n\nd"),
            ("A=\"b\r\nc\"\r\n", "b\nc"),
            ("A=\"b\\\"c\"", "b\\\"c"),
            ("A={\"b\":1}", "{\"b\":1}"),
            ("A=b=c", "b=c"),
            ("A=ü", "ü"),
            ("A=b\r\n", "b"),
        ] {
            assert_eq!(values(text), [("A".to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn lines_and_comments_follow_each_other() {
        let text = "# first\n\nA=1\n  # indented\nB=\"2\n3\" # after\nexport C='4'\nD.e-f=5\n#last";
        let names: Vec<_> = values(text);
        let pairs: Vec<(&str, &str)> = names.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("A", "1"), ("B", "2\n3"), ("C", "4"), ("D.e-f", "5")]);
        assert_eq!(values(""), []);
        assert_eq!(values("\n# only\n"), []);
        assert_eq!(values("exported=1")[0].0, "exported");
    }

    #[test]
    fn a_line_that_is_none_is_reported_and_the_others_are_read() {
        for (text, message) in [
            ("A=1\nnonsense\nB=2", "this line has no `=` after its name"),
            ("A=1\n=x\nB=2", "this line has no name"),
            ("A=1\nC=\"x\" y\nB=2", "there is something after the closing quote"),
            ("A=1\nC:x\nB=2", "this line has no `=` after its name"),
        ] {
            let (lines, broken) = parse(text);
            assert_eq!(lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["A", "B"], "{text}");
            assert_eq!(broken.iter().map(|line| (line.offset, line.message)).collect::<Vec<_>>(), [(4, message)]);
        }
        let (lines, broken) = parse("A=1\nC='x\nB=2\n");
        assert_eq!(lines.len(), 2);
        assert_eq!(broken[0].message, "this value has no closing quote");
    }

    #[test]
    fn references_are_replaced() {
        let known = BTreeMap::from([("A", "1"), ("EMPTY", "")]);
        for (value, expected) in [
            ("$A", "1"),
            ("x${A}y$A", "x1y1"),
            ("${B}", ""),
            ("${B:-2}", "2"),
            ("${EMPTY:-2}", "2"),
            ("${A:-2}", "1"),
            (r"\$A", "$A"),
            ("5$", "5$"),
            ("$5", "$5"),
            ("${A", "${A"),
            ("", ""),
        ] {
            assert_eq!(expand(value, &known), expected, "{value}");
        }
    }
}
