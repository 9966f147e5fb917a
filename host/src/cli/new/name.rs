//! The name of a new Worker: of its package, and in its configuration.

/// What Cloudflare allows a Worker's name to have.
const LENGTH_MAX: usize = 63;

/// Names of packages that a Worker and its tests depend on, of crates that come with the compiler, and words of the language.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "http",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "miniflow",
    "miniflow-runtime",
    "miniflow-sdk",
    "miniflow-sdk-macros",
    "miniflow-test",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "serde-json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tokio",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Returns what is wrong with `name`; nothing when it is right.
pub(super) fn fault(name: &str) -> Option<&'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() {
        Some("it is empty")
    } else if !name.bytes().all(is_allowed) {
        Some("a name has only lower-case letters, digits and dashes")
    } else if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        Some("a name begins with a letter")
    } else if name.ends_with('-') {
        Some("a name does not end with a dash")
    } else if name.len() > LENGTH_MAX {
        Some("a name has at most 63 characters")
    } else if TAKEN.contains(&name) {
        Some("Rust has something else of that name")
    } else {
        None
    }
}

/// Returns a right name that is like `name`, if there is one.
pub(super) fn like(name: &str) -> Option<String> {
    let mut better = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            better.push(character.to_ascii_lowercase());
        } else if !better.is_empty() && !better.ends_with('-') {
            better.push('-');
        }
    }
    let better: String =
        better.trim_start_matches(|first: char| !first.is_ascii_lowercase()).chars().take(LENGTH_MAX).collect();
    let better = better.trim_end_matches('-');
    let better = if TAKEN.contains(&better) { format!("my-{better}") } else { better.to_owned() };
    fault(&better).is_none().then_some(better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_for_cargo_and_for_cloudflare() {
        for name in ["a", "shop", "my-shop-2", &"x".repeat(63)] {
            assert_eq!(fault(name), None, "{name}");
        }
        for (name, why, better) in [
            ("", "it is empty", None),
            ("My Shop", "a name has only lower-case letters, digits and dashes", Some("my-shop")),
            ("my_shop", "a name has only lower-case letters, digits and dashes", Some("my-shop")),
            ("../shop", "a name has only lower-case letters, digits and dashes", Some("shop")),
            ("läden", "a name has only lower-case letters, digits and dashes", Some("l-den")),
            ("購物", "a name has only lower-case letters, digits and dashes", None),
            ("2shop", "a name begins with a letter", Some("shop")),
            ("-shop", "a name begins with a letter", Some("shop")),
            ("shop-", "a name does not end with a dash", Some("shop")),
            (&"x".repeat(64), "a name has at most 63 characters", Some(&"x".repeat(63))),
            ("test", "Rust has something else of that name", Some("my-test")),
            ("fn", "Rust has something else of that name", Some("my-fn")),
            ("serde", "Rust has something else of that name", Some("my-serde")),
        ] {
            assert_eq!(fault(name), Some(why), "{name}");
            assert_eq!(like(name).as_deref(), better, "{name}");
        }
    }
}
