//! Every limit of Workflows has a value, a unit, a source, and a test on each side of it.

use std::collections::BTreeSet;

use miniflow_tests::repository;

use crate::tidy::files;

/// The limits, and the test that is at each of them and one beyond; none of one that nothing holds to.
const SHOWN_BY: &[(&str, &str)] = &[
    ("WORKFLOW_NAME_CHARS_MAX", "workflow_names_and_ids"),
    ("INSTANCE_ID_CHARS_MAX", "workflow_names_and_ids"),
    ("EVENT_TYPE_CHARS_MAX", "the_type_that_is_waited_for_is_checked"),
    ("STEP_NAME_UNITS_MAX", "step_names"),
    ("PAYLOAD_BYTES_MAX", "params_and_events_have_one_mebibyte_at_most"),
    ("STEPS_DEFAULT", "an_instance_has_ten_thousand_steps_at_most_unless_told"),
    ("RETRIES_MAX", "a_step_is_tried_ten_thousand_times_more_and_an_attempt_lasts_as_long_as_it_is_told"),
    ("RETRIES_MAX", "options_that_are_not_valid_fail_the_step_without_an_attempt"),
    ("SLEEP_MS_MAX", "a_sleep_lasts_a_year_at_most"),
    ("WAIT_MS_MIN", "a_wait_lasts_from_a_second_to_a_year"),
    ("WAIT_MS_MAX", "a_wait_lasts_from_a_second_to_a_year"),
    ("WAIT_MS_DEFAULT", "a_wait_that_says_nothing_lasts_a_day"),
    ("BATCH_MAX", "a_batch_of_deletes_is_answered_position_by_position"),
    ("BATCH_MAX", "a_batch_with_an_entry_that_is_not_valid_creates_nothing"),
    ("RETRY_LIMIT_DEFAULT", "a_step_without_options_has_the_documented_ones"),
    ("RETRY_DELAY_MS_DEFAULT", "a_step_without_options_has_the_documented_ones"),
    ("STEP_TIMEOUT_MS_DEFAULT", "a_step_without_options_has_the_documented_ones"),
    ("CONCURRENCY_ACCOUNT_MAX", "an_account_has_fifty_thousand_slots"),
    ("STEPS_MAX", "more_steps_than_production_allows_are_pointed_out"),
    ("DELAY_FUNCTION_MS_MAX", "a_function_for_a_delay_has_five_seconds"),
    ("INSTANCE_BYTES_MAX", "what_is_kept_of_an_instance_is_a_gibibyte_unless_told"),
    ("INSTANCE_BYTES_MAX", "outputs_events_and_errors_together_fill_the_room_of_an_instance"),
    (
        "STREAM_PIECE_BYTES_MAX",
        "a_stream_is_kept_in_chunks_whatever_its_pieces_are_and_a_piece_has_sixteen_mebibytes_at_most",
    ),
    (
        "STREAM_CHUNK_BYTES",
        "a_stream_is_kept_in_chunks_whatever_its_pieces_are_and_a_piece_has_sixteen_mebibytes_at_most",
    ),
    ("RETENTION_MS_DEFAULT", "an_instance_is_kept_as_its_creation_its_workflow_or_the_default_says"),
    ("RETENTION_MS_MAX", "a_batch_with_an_entry_that_is_not_valid_creates_nothing"),
    ("RETENTION_MS_MAX", "retention_and_jurisdiction_have_values"),
    ("CRON_FREE_MS", "an_instance_that_a_schedule_made_holds_no_slot_in_its_first_hour"),
    ("SCHEDULED_ID_CHARS_MAX", "ids_of_scheduled_instances_are_addressable"),
    ("SCHEDULES_MAX", "a_session_has_a_hundred_schedules_at_most"),
    ("CRON_TRIGGERS_MAX", "a_session_has_two_hundred_and_fifty_cron_triggers_at_most"),
    ("STEP_TIMEOUT_MS_ADVISED", "a_step_is_tried_ten_thousand_times_more_and_an_attempt_lasts_as_long_as_it_is_told"),
    ("CREATIONS_PER_SECOND", ""),
    ("QUEUED_MAX", ""),
    ("SUBREQUESTS_MAX", ""),
];

/// The constants of the file, each with its documentation.
fn limits() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(repository().join("runtime/src/engine/limits.rs")).unwrap();
    let (mut limits, mut doc) = (Vec::new(), String::new());
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("/// ") {
            doc.push_str(said);
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            limits.push((constant.split(':').next().unwrap().to_owned(), std::mem::take(&mut doc)));
        }
    }
    limits
}

#[test]
fn every_limit_has_a_source_and_a_test_on_each_side_of_it() {
    let limits = limits();
    let names: BTreeSet<_> = limits.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, SHOWN_BY.iter().map(|(name, _)| *name).collect());
    for (name, doc) in &limits {
        let sourced = ["(documented", "(observed", "(ours", "See [`"].iter().any(|source| doc.contains(source));
        assert!(sourced, "{name}: where does it come from?");
        let shown = SHOWN_BY.iter().any(|(shown, by)| shown == name && !by.is_empty());
        assert!(shown || doc.contains("Not enforced"), "{name} is not shown by a test");
    }
    let sources: Vec<_> = ["runtime", "host", "tests"]
        .iter()
        .flat_map(|folder| files(&repository().join(folder), ".rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for (name, by) in SHOWN_BY.iter().filter(|(_, by)| !by.is_empty()) {
        assert!(sources.iter().any(|text| text.contains(&format!("fn {by}()"))), "{name}: there is no test `{by}`");
    }
}
