//! From what a guest asks to list to a range of keys.

use super::error::StorageError;
use super::store::Range;

/// What a guest asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) start: Option<String>,
    pub(super) start_after: Option<String>,
    pub(super) end: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) reverse: bool,
    pub(super) limit: Option<u32>,
}

impl Listing {
    pub(super) fn range(self) -> Result<Range, StorageError> {
        if self.start.is_some() && self.start_after.is_some() {
            return Err(StorageError::Limit(
                "list() cannot be called with both start and startAfter values.".to_owned(),
            ));
        }
        if self.limit == Some(0) {
            return Err(StorageError::Limit("List limit must be positive.".to_owned()));
        }
        // The key that comes right after another.
        let after = self.start_after.map(|key| key + "\0");
        let to_of_prefix = self.prefix.as_deref().and_then(end_of_prefix);
        let from = [self.start, after, self.prefix].into_iter().flatten().max().unwrap_or_default();
        let to = [self.end, to_of_prefix].into_iter().flatten().min();
        Ok(Range { from, to, reverse: self.reverse, limit: self.limit })
    }
}

/// The first text that is greater than everything that begins with `prefix`; none when there is none.
fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // The next character; between the halves of the plane lies a gap.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(listing: Listing) -> (String, Option<String>) {
        let range = listing.range().unwrap();
        (range.from, range.to)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn everything_is_from_the_empty_key_without_end() {
        assert_eq!(range(Listing::default()), (String::new(), None));
    }

    #[test]
    fn a_prefix_is_a_range() {
        let of = |prefix: &str| range(Listing { prefix: some(prefix), ..Listing::default() });
        assert_eq!(of("a:"), ("a:".to_owned(), some("a;")));
        assert_eq!(of("\u{d7ff}"), ("\u{d7ff}".to_owned(), some("\u{e000}")));
        assert_eq!(of("a\u{10ffff}"), ("a\u{10ffff}".to_owned(), some("b")));
        assert_eq!(of("\u{10ffff}"), ("\u{10ffff}".to_owned(), None));
    }

    #[test]
    fn the_narrower_bound_counts() {
        let listing = Listing { start: some("b"), end: some("z"), prefix: some("a"), ..Listing::default() };
        assert_eq!(range(listing), ("b".to_owned(), some("b")));
        let listing = Listing { start_after: some("aa"), end: some("ac"), prefix: some("a"), ..Listing::default() };
        assert_eq!(range(listing), ("aa\0".to_owned(), some("ac")));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let both = Listing { start: some("a"), start_after: some("a"), ..Listing::default() };
        assert!(both.range().is_err());
        assert!(Listing { limit: Some(0), ..Listing::default() }.range().is_err());
    }
}
