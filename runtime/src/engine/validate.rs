//! Which names, ids and sizes are accepted. Pure; the texts are in [`super::text`].

use super::limits;

/// Whether `name` may name a workflow.
#[must_use]
pub fn workflow_name(name: &str) -> bool {
    identifier(name, limits::WORKFLOW_NAME_CHARS_MAX)
}

/// Whether a user may give an instance this id. Reserved ids are refused in every create.
#[must_use]
pub fn new_instance_id(id: &str) -> bool {
    identifier(id, limits::INSTANCE_ID_CHARS_MAX) && !reserved(id)
}

/// Whether an instance can have this id at all: also the ids of instances that a schedule made (`*/5 * * * *-1786599900000`).
#[must_use]
pub fn addressable_instance_id(id: &str) -> bool {
    (1..=limits::SCHEDULED_ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b',' | b' ' | b'/' | b'#' | b'_' | b'-'))
}

/// Whether an event may have this type.
#[must_use]
pub fn event_type(event_type: &str) -> bool {
    identifier(event_type, limits::EVENT_TYPE_CHARS_MAX)
}

/// Whether a step may have this name.
#[must_use]
pub fn step_name(name: &str) -> bool {
    let fits = name.len() <= limits::STEP_NAME_UNITS_MAX || name.encode_utf16().count() <= limits::STEP_NAME_UNITS_MAX;
    fits && !name.chars().any(|c| c < '\u{20}')
}

fn identifier(text: &str, chars_max: usize) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=chars_max).contains(&text.len()) && text.bytes().all(ok) && !text.starts_with('-')
}

fn reserved(id: &str) -> bool {
    let hash = |rest: &str| rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    matches!(id, "batch" | "terminate" | "terminateAll") || id.strip_prefix("cf_").is_some_and(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    // rules: C2.1-25, C2.1-26, C3-14, C3-15, C3-16, A107, A108
    #[test]
    fn workflow_names_and_ids() {
        let bad = ["", " ", "a b", "\nabc", "#1231231!!!!", "-badName", "a.b", "é"];
        let good = ["abc", "NAME_123-hello", "a-valid-string", "_x", "0"];
        for (check, max) in [(workflow_name as fn(&str) -> bool, 64), (new_instance_id, 100), (event_type, 100)] {
            assert!(good.iter().all(|name| check(name)));
            assert!(!bad.iter().any(|name| check(name)));
            assert!(check(&"x".repeat(max)));
            assert!(!check(&"x".repeat(max + 1)));
        }
    }

    // rules: C2.1-27
    #[test]
    fn reserved_ids_are_refused() {
        assert!(!["batch", "terminate", "terminateAll"].iter().any(|id| new_instance_id(id)));
        assert!(!new_instance_id(&format!("cf_{}", "0a".repeat(32))));
        assert!(new_instance_id(&format!("cf_{}", "0A".repeat(32))));
    }

    // rules: C2.1-29, A109
    #[test]
    fn ids_of_scheduled_instances_are_addressable() {
        for id in ["*/30 * * * *-1786001400000", "0 0 * * MON#2-1", "0 0 1,15 * *-1", "NAME_123-/cron"] {
            assert!(addressable_instance_id(id), "{id}");
        }
        assert!(addressable_instance_id(&"x".repeat(271)));
        for id in ["", "invalid!", "0 0 * * MON?2-1"] {
            assert!(!addressable_instance_id(id), "{id}");
        }
        assert!(!addressable_instance_id(&"x".repeat(272)));
    }

    // rules: C2.5-1, C3-17, A110
    #[test]
    fn step_names() {
        assert!(step_name("") && step_name("charge the card") && step_name(&"é".repeat(256)) && step_name("\u{7f}"));
        assert!(!step_name(&"x".repeat(257)) && !step_name("a\0") && !step_name("a\nb"));
        // A character outside the first plane is two UTF-16 units.
        assert!(step_name(&"🦀".repeat(128)) && !step_name(&"🦀".repeat(129)));
    }
}
