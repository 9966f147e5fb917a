use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn store() -> Connection {
    open(None, Durability::Normal).unwrap()
}

fn entry(key: &str, value: &str, expires_at: Option<u64>) -> NewEntry {
    let value = Bytes::from(value.to_owned());
    NewEntry { key: key.to_owned(), value, expires_at, metadata: None }
}

fn value(store: &Connection, namespace: &str, key: &str, now_s: u64) -> Option<String> {
    let entry = get(store, namespace, key, now_s).unwrap()?;
    Some(String::from_utf8(entry.value).unwrap())
}

fn range(prefix: &str, after: Option<&str>, limit: usize) -> Range {
    Range { prefix: prefix.to_owned(), after: after.map(ToOwned::to_owned), limit }
}

fn rows(store: &Connection) -> u64 {
    store.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap()
}

#[test]
fn an_entry_is_in_its_namespace_until_it_is_replaced_or_removed() {
    let store = store();
    put(&store, "a", &entry("k", "1", None), 0).unwrap();
    put(&store, "b", &entry("k", "2", None), 0).unwrap();
    let with_metadata = NewEntry { metadata: Some(b"{\"n\":1}".to_vec()), ..entry("k", "3", None) };
    put(&store, "a", &with_metadata, 0).unwrap();
    let found = get(&store, "a", "k", 0).unwrap().unwrap();
    assert_eq!((found.value, found.metadata), (b"3".to_vec(), Some(b"{\"n\":1}".to_vec())));
    delete(&store, "a", "k").unwrap();
    delete(&store, "a", "k").unwrap();
    assert_eq!((value(&store, "a", "k", 0), value(&store, "b", "k", 0)), (None, Some("2".to_owned())));
}

#[test]
fn what_has_expired_is_not_there_and_goes_when_something_is_written() {
    let store = store();
    for n in 0..20 {
        put(&store, "a", &entry(&format!("short {n:02}"), "x", Some(100)), 0).unwrap();
    }
    put(&store, "a", &entry("long", "y", Some(u64::MAX)), 0).unwrap();
    assert_eq!(value(&store, "a", "short 00", 99).as_deref(), Some("x"));
    assert_eq!(value(&store, "a", "short 00", 100), None);
    let page = list(&store, "a", &range("", None, 10), 100).unwrap();
    assert_eq!((page.keys.len(), page.cursor), (1, None));
    assert_eq!(rows(&store), 21);
    put(&store, "b", &entry("k", "1", None), 100).unwrap();
    assert_eq!(rows(&store), 6, "a few at a time");
    put(&store, "b", &entry("k", "1", None), 100).unwrap();
    assert_eq!(rows(&store), 2);
    put(&store, "a", &entry("long", "z", None), 100).unwrap();
    assert_eq!(value(&store, "a", "long", u64::MAX).as_deref(), Some("z"), "written anew it does not expire");
}

#[test]
fn a_page_ends_where_the_prefix_does() {
    let store = store();
    for key in ["a", "a/1", "a/2", "a/\u{10ffff}", "a0", "b", "ä"] {
        put(&store, "n", &entry(key, "", None), 0).unwrap();
    }
    let keys = |prefix: &str, after: Option<&str>, limit: usize| {
        let page = list(&store, "n", &range(prefix, after, limit), 0).unwrap();
        (page.keys.into_iter().map(|listed| listed.key).collect::<Vec<_>>(), page.cursor.is_some())
    };
    assert_eq!(keys("a/", None, 10), (["a/1", "a/2", "a/\u{10ffff}"].map(str::to_owned).to_vec(), false));
    assert_eq!(keys("a/", None, 2), (["a/1", "a/2"].map(str::to_owned).to_vec(), true));
    assert_eq!(keys("a/", Some("a/2"), 1), (vec!["a/\u{10ffff}".to_owned()], false), "nothing comes after it");
    assert_eq!(keys("b", Some("a/2"), 10), (vec!["b".to_owned()], false));
    assert_eq!(keys("", Some("b"), 10), (vec!["ä".to_owned()], false), "in the order of bytes");
}

#[test]
fn entries_that_are_read_together_have_25_mib() {
    let store = store();
    put(&store, "n", &entry("a", &"x".repeat(BULK_BYTES_MAX - 1), None), 0).unwrap();
    put(&store, "n", &entry("b", "y", None), 0).unwrap();
    let many = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        get_many(&store, "n", &keys, 0).unwrap().map(|entries| entries.iter().map(Option::is_some).collect::<Vec<_>>())
    };
    assert_eq!(many(&["b", "none", "a"]), Ok(vec![true, false, true]));
    assert_eq!(many(&["b", "a", "b"]), Err(KvError::BulkTooLarge));
}

/// What is done to a namespace.
#[derive(Clone, Debug)]
enum Deed {
    Put(String, Vec<u8>, Option<u64>),
    Delete(String),
    Pass(u64),
    Get(String),
    /// All pages of a prefix.
    List(String, usize),
}

fn name() -> impl Strategy<Value = String> {
    // Few, with one another's beginnings among them.
    proptest::string::string_regex("[ab\u{e4}\u{0}]{1,3}").unwrap()
}

fn deed() -> impl Strategy<Value = Deed> {
    let expiry = proptest::option::of(60_u64..200);
    prop_oneof![
        4 => (name(), proptest::collection::vec(any::<u8>(), 0..4), expiry).prop_map(|(key, value, ttl)| Deed::Put(key, value, ttl)),
        1 => name().prop_map(Deed::Delete),
        1 => (0_u64..100).prop_map(Deed::Pass),
        2 => name().prop_map(Deed::Get),
        2 => ("[ab\u{e4}]{0,2}", 1_usize..5).prop_map(|(prefix, limit)| Deed::List(prefix, limit)),
    ]
}

proptest! {
    #[test]
    fn it_is_an_ordered_map_with_a_clock(deeds in proptest::collection::vec(deed(), 1..80)) {
        let store = store();
        let mut model: BTreeMap<String, (Vec<u8>, Option<u64>)> = BTreeMap::new();
        let mut now_s = 1000;
        // Another namespace has the same keys, and is not touched.
        put(&store, "other", &entry("a", "mine", None), now_s).unwrap();
        for deed in deeds {
            model.retain(|_, (_, expires_at)| expires_at.is_none_or(|expires_at| expires_at > now_s));
            match deed {
                Deed::Put(key, value, ttl) => {
                    let expires_at = ttl.map(|ttl| now_s + ttl);
                    let new = NewEntry { key: key.clone(), value: value.clone().into(), expires_at, metadata: None };
                    put(&store, "n", &new, now_s).unwrap();
                    model.insert(key, (value, expires_at));
                }
                Deed::Delete(key) => {
                    delete(&store, "n", &key).unwrap();
                    model.remove(&key);
                }
                Deed::Pass(seconds) => now_s += seconds,
                Deed::Get(key) => {
                    let found = get(&store, "n", &key, now_s).unwrap().map(|entry| entry.value);
                    prop_assert_eq!(found.as_ref(), model.get(&key).map(|(value, _)| value));
                }
                Deed::List(prefix, limit) => {
                    let (mut listed, mut after) = (Vec::new(), None);
                    loop {
                        let page = list(&store, "n", &range(&prefix, after.as_deref(), limit), now_s).unwrap();
                        prop_assert!(page.keys.len() == limit || page.cursor.is_none());
                        listed.extend(page.keys.into_iter().map(|listed| (listed.key, listed.expires_at)));
                        if page.cursor.is_none() {
                            break;
                        }
                        after = listed.last().map(|(key, _)| key.clone());
                    }
                    let expected: Vec<_> = model
                        .iter()
                        .filter(|(key, _)| key.starts_with(&prefix))
                        .map(|(key, (_, expires_at))| (key.clone(), *expires_at))
                        .collect();
                    prop_assert_eq!(listed, expected);
                }
            }
        }
        prop_assert_eq!(value(&store, "other", "a", now_s), Some("mine".to_owned()));
    }
}
