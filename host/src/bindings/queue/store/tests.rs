mod laws;

use super::*;

use bytes::Bytes;

const RULE: BatchRule = BatchRule { size_max: 3, timeout_ms: 5000 };

fn store() -> Connection {
    open(None, Durability::Normal).unwrap()
}

fn message(id: &str, delay_s: u32) -> NewMessage {
    NewMessage { id: id.to_owned(), body: Bytes::from_static(b"1"), content_type: ContentType::Json, delay_s }
}

fn send_at(connection: &Connection, now: u64, messages: &[(&str, u32)]) {
    let messages: Vec<_> = messages.iter().map(|(id, delay_s)| message(id, *delay_s)).collect();
    send(connection, "q", &messages, Timestamp(now)).unwrap();
}

fn take_at(connection: &Connection, now: u64) -> Result<Vec<Received>, Option<u64>> {
    match take(connection, "q", RULE, Timestamp(now)).unwrap() {
        Taken::Batch(batch) => Ok(batch),
        Taken::Nothing(next) => Err(next.map(|next| next.0)),
    }
}

/// The ids of the batch at `now`; else when there is one.
fn ids_at(connection: &Connection, now: u64) -> Result<Vec<String>, Option<u64>> {
    take_at(connection, now).map(|batch| batch.into_iter().map(|message| message.id).collect())
}

fn settle_all(connection: &Connection, batch: &[Received], fate: &Fate, now: u64) {
    let fates: Vec<_> = batch.iter().map(|message| (message.key, fate.clone())).collect();
    settle(connection, &fates, Timestamp(now)).unwrap();
}

// rules: A176
#[test]
fn a_batch_is_full_or_has_waited() {
    let store = store();
    assert_eq!(ids_at(&store, 0), Err(None));
    send_at(&store, 1000, &[("a", 0), ("b", 0)]);
    assert_eq!(ids_at(&store, 1000), Err(Some(6000)));
    assert_eq!(ids_at(&store, 5999), Err(Some(6000)));
    send_at(&store, 5999, &[("c", 0), ("d", 0)]);
    assert_eq!(ids_at(&store, 5999).unwrap(), ["a", "b", "c"], "full");
    assert_eq!(ids_at(&store, 5999), Err(Some(10_999)), "what is left waits by itself");
    assert_eq!(ids_at(&store, 10_999).unwrap(), ["d"], "it has waited");
    assert_eq!(ids_at(&store, 10_999), Err(None));
}

#[test]
fn a_delayed_message_takes_part_when_its_moment_comes() {
    let store = store();
    send_at(&store, 0, &[("late", 10), ("later", 12)]);
    assert_eq!(ids_at(&store, 0), Err(Some(15_000)), "5 seconds after the first can be delivered");
    send_at(&store, 9000, &[("now", 0)]);
    assert_eq!(ids_at(&store, 9000), Err(Some(12_000)), "then it is full");
    assert_eq!(ids_at(&store, 12_000).unwrap(), ["now", "late", "later"]);
}

#[test]
fn a_message_whose_moment_has_not_come_stays_when_others_have_waited() {
    let store = store();
    send_at(&store, 0, &[("a", 0), ("late", 60)]);
    assert_eq!(ids_at(&store, 5000).unwrap(), ["a"]);
    assert_eq!(ids_at(&store, 5000), Err(Some(65_000)));
}

#[test]
fn deliveries_are_counted_and_a_retry_waits_for_its_delay() {
    let store = store();
    send_at(&store, 0, &[("a", 0)]);
    let first = take_at(&store, 5000).unwrap();
    assert_eq!((first[0].attempts, first[0].sent_at), (1, Timestamp(0)));
    settle_all(&store, &first, &Fate::Again(Timestamp(20_000)), 6000);
    let second = take_at(&store, 25_000).unwrap();
    assert_eq!((second[0].attempts, second[0].sent_at), (2, Timestamp(0)));
    settle_all(&store, &second, &Fate::Returned, 25_000);
    let again = take_at(&store, 25_000).unwrap();
    assert_eq!(again[0].attempts, 2, "a delivery that was taken back does not count");
    settle_all(&store, &again, &Fate::Done, 25_000);
    assert_eq!(ids_at(&store, u64::MAX / 2), Err(None));
    assert_eq!(metrics(&store, "q").unwrap(), Metrics::default());
}

#[test]
fn a_dead_letter_keeps_its_id_and_time_and_begins_anew() {
    let store = store();
    send_at(&store, 1000, &[("a", 0)]);
    let batch = take_at(&store, 6000).unwrap();
    settle_all(&store, &batch, &Fate::Moved("dead".to_owned()), 7000);
    assert_eq!(ids_at(&store, 20_000), Err(None));
    let Taken::Batch(dead) = take(&store, "dead", RULE, Timestamp(12_000)).unwrap() else { panic!("it waits") };
    assert_eq!((dead[0].id.as_str(), dead[0].sent_at, dead[0].attempts), ("a", Timestamp(1000), 1));
    // Its 4 days begin anew as well.
    settle_all(&store, &dead, &Fate::Again(Timestamp(12_000)), 12_000);
    assert_eq!(next_expiry(&store).unwrap(), Some(Timestamp(7000 + RETENTION_MS)));
}

#[test]
fn what_is_too_old_is_dropped_and_counted_but_not_while_it_is_handled() {
    let store = store();
    send_at(&store, 0, &[("a", 0), ("b", 0), ("c", 0)]);
    send_at(&store, 1, &[("d", 0)]);
    let handled = take_at(&store, 0).unwrap();
    assert_eq!(next_expiry(&store).unwrap(), Some(Timestamp(RETENTION_MS + 1)));
    assert_eq!(expire(&store, Timestamp(RETENTION_MS)).unwrap(), BTreeMap::new());
    assert_eq!(expire(&store, Timestamp(RETENTION_MS + 1)).unwrap(), BTreeMap::from([("q".to_owned(), 1)]));
    settle_all(&store, &handled, &Fate::Again(Timestamp(0)), 0);
    assert_eq!(expire(&store, Timestamp(RETENTION_MS)).unwrap(), BTreeMap::from([("q".to_owned(), 3)]));
    assert_eq!(next_expiry(&store).unwrap(), None);
}

#[test]
fn what_was_being_handled_when_the_process_was_killed_is_there_again_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(Some(directory.path()), Durability::Normal).unwrap();
    send_at(&store, 1000, &[("a", 0), ("b", 0), ("c", 0)]);
    let batch = take_at(&store, 1000).unwrap();
    settle(&store, &[(batch[1].key, Fate::Done)], Timestamp(1000)).unwrap();
    drop(store);
    let store = open(Some(directory.path()), Durability::Normal).unwrap();
    assert_eq!(backlogs(&store).unwrap(), BTreeMap::from([("q".to_owned(), 2)]));
    let batch = take_at(&store, 6000).unwrap();
    let seen: Vec<_> = batch.iter().map(|message| (message.id.as_str(), message.attempts)).collect();
    assert_eq!(seen, [("a", 2), ("c", 2)]);
}

#[test]
fn metrics_count_what_waits_and_what_is_handled() {
    let store = store();
    send_at(&store, 7, &[("a", 0), ("b", 0), ("c", 0), ("d", 9)]);
    take_at(&store, 7).unwrap();
    assert_eq!(metrics(&store, "q").unwrap(), Metrics { count: 4, bytes: 4, oldest: Some(Timestamp(7)) });
}

#[test]
fn the_next_batch_is_found_without_looking_at_the_rest() {
    let store = store();
    let plan = |query: &str| {
        let mut statement = store.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let parameters = vec![7; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>("detail"));
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(plan(NEXT), "SEARCH message USING COVERING INDEX message_by_turn (queue=? AND visible_at>?)");
    assert!(plan(EXPIRE).contains("USING INDEX message_by_expiry (expires_at<?)"), "{}", plan(EXPIRE));
    assert!(plan(RECOVER).contains("message_handled"), "{}", plan(RECOVER));
}
