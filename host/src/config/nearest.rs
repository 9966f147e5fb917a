//! "Did you mean": the known word a misspelt one was meant to be.

/// Returns the word of `known` that `word` is a slip of the finger away from.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = slips(word);
    known
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names that are offered at most.
const OFFERED_MAX: usize = 3;

/// Returns the names of `known` that are near to `name`, the nearest first: a slip of the finger away, or else those that begin with it. For
/// names and ids that people make up, of which several may be meant.
pub(crate) fn nearest_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let begins = |candidate: &str| wanted.chars().count() >= 3 && candidate.to_lowercase().starts_with(&wanted);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|candidate| match distance(&wanted, &candidate.to_lowercase()) {
            distance if distance <= slips(name) => Some((distance, candidate)),
            _ if begins(candidate) => Some((usize::MAX, candidate)),
            _ => None,
        })
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().take(OFFERED_MAX).map(|(_, candidate)| candidate).collect()
}

/// How many slips of the finger a word of this length may have.
fn slips(word: &str) -> usize {
    match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }
}

/// Returns how many characters have to be inserted, removed or replaced to make `to` out of `from` (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::{nearest, nearest_of};

    #[test]
    fn a_misspelt_word_finds_the_one_meant() {
        let known = ["workflows", "vars", "main", "name"];
        for (word, meant) in [
            ("workflow", Some("workflows")),
            ("Workflows", Some("workflows")),
            ("wrokflows", Some("workflows")),
            ("var", Some("vars")),
            ("nam", Some("name")),
            ("queues", None),
            ("ma", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }

    #[test]
    fn names_that_may_be_meant_are_offered_the_nearest_first() {
        let known = ["order-1", "order-2", "order-10", "invoice", "orders", "order-1-again"];
        assert_eq!(nearest_of("order-1", known), ["order-1", "order-2", "order-10"]);
        assert_eq!(nearest_of("Invoices", known), ["invoice"]);
        assert_eq!(nearest_of("inv", known), ["invoice"]);
        assert_eq!(nearest_of("in", known), [""; 0]);
        assert_eq!(nearest_of("payment", known), [""; 0]);
    }
}
