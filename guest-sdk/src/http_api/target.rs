//! Path and query of a request in the form of the URL Standard.
//!
//! **Guarantees.** The text is what [`Url`] makes of it: dot segments are resolved (`%2e` is a dot there) and `\` is `/`. So a request has one
//! path, whether it is read alone or as a part of the URL. **Non-goals.** Decoding: `%2F` stays as it is.

use url::{Position, Url};

/// Returns the standard form of a request's path and query.
pub(super) fn normalized(target: String) -> String {
    if is_normal(&target) {
        return target;
    }
    // The path of an `http` URL does not depend on its host.
    match Url::parse(&format!("http://localhost{target}")) {
        Ok(url) if target.is_empty() || target.starts_with(['/', '?', '\\']) => {
            url[Position::BeforePath..Position::AfterQuery].to_owned()
        }
        _ => target,
    }
}

/// Whether the URL parser leaves `target` as it is, as far as a look at its bytes can tell.
fn is_normal(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~!$&()*+,;=:@/.%".contains(&byte);
    let has_dots = || path.contains("/.") || path.contains("%2e") || path.contains("%2E");
    path.starts_with('/')
        && path.bytes().all(is_plain)
        && query.bytes().all(|byte| is_plain(byte) || byte == b'?')
        && !has_dots()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_gets_the_form_of_the_standard() {
        for (target, expected) in [
            ("/a/../b?x=/../y", "/b?x=/../y"),
            ("/a/%2e%2E/b", "/b"),
            ("/a\\..\\b", "/b"),
            ("//a//b/", "//a//b/"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a b?it's", "/a%20b?it%27s"),
            ("/\u{fc}", "/%C3%BC"),
            ("", "/"),
            ("*", "*"),
        ] {
            assert_eq!(normalized(target.to_owned()), expected, "{target}");
        }
    }

    /// Every target of up to five pieces.
    #[test]
    fn target_is_read_as_the_url_parser_reads_it() {
        const PIECES: [&str; 12] = ["/", ".", "%2e", "%2E", "\\", "a", "?", "%", "'", "%2f", "..", "|"];
        for number in 0..PIECES.len().pow(5) {
            let pieces = (0..5).map(|place| PIECES[number / PIECES.len().pow(place) % PIECES.len()]);
            let target: String = std::iter::once("/").chain(pieces).collect();
            let url = Url::parse(&format!("http://other.test:81{target}")).unwrap();
            let once = normalized(target);
            assert_eq!(once, url[Position::BeforePath..Position::AfterQuery]);
            assert_eq!(normalized(once.clone()), once);
        }
    }
}
