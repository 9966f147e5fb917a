//! JSON for people and programs: in the order and with the numbers of who wrote it.

/// Returns `json`, which is valid, on lines that are indented by two spaces for each level.
#[must_use]
pub fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if in_text {
            text.push(character);
            in_text = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '{' | '[' => {
                text.push(character);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    new_line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut text, depth);
                text.push(character);
            }
            ',' => {
                text.push(character);
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            '"' => {
                in_text = true;
                text.push(character);
            }
            space if space.is_ascii_whitespace() => {}
            character => text.push(character),
        }
    }
    text.push('\n');
    text
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn order_and_numbers_stay_as_they_are() {
        let json = r#"{"z":[1e400,{"a\"},:":"\\"},[],{ }], "a":-0.10 ,"b":"{[,"}"#;
        assert_eq!(
            indented(json),
            "{\n  \"z\": [\n    1e400,\n    {\n      \"a\\\"},:\": \"\\\\\"\n    },\n    [],\n    {}\n  ],\n  \
             \"a\": -0.10,\n  \"b\": \"{[,\"\n}\n"
        );
        assert_eq!(indented("null"), "null\n");
    }
}
