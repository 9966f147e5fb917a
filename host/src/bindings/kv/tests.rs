use miniflow_runtime::Timestamp;
use miniflow_runtime::testing::SimClock;

use super::*;

fn namespaces(directory: Option<&Path>, clock: &SimClock) -> Namespaces {
    let namespaces = Namespaces::new(directory, Durability::Normal, Arc::new(clock.clone()));
    namespaces.open().unwrap();
    namespaces
}

async fn put(namespaces: &Namespaces, namespace: &str, key: &str, value: &'static str, ttl: Option<u64>) {
    let options = PutOptions { expiration_ttl: ttl, ..PutOptions::default() };
    namespaces.put(namespace, key.to_owned(), value.into(), options).await.unwrap().unwrap();
}

async fn value(namespaces: &Namespaces, namespace: &str, key: &str) -> Option<String> {
    let entry = namespaces.get(namespace, key.to_owned(), None).await.unwrap().unwrap()?;
    Some(String::from_utf8(entry.value).unwrap())
}

#[tokio::test]
async fn what_was_written_is_there_when_the_folder_is_opened_again() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), SimClock::at(Timestamp(0)));
    let first = namespaces(Some(folder.path()), &clock);
    put(&first, "a", "k", "1", None).await;
    put(&first, "b", "k", "2", None).await;
    first.delete("b", "k".to_owned()).await.unwrap().unwrap();
    drop(first);
    let second = namespaces(Some(folder.path()), &clock);
    assert_eq!(value(&second, "a", "k").await.as_deref(), Some("1"));
    assert_eq!(value(&second, "b", "k").await, None);
}

#[tokio::test]
async fn in_memory_nothing_is_written_to_a_folder_and_nothing_is_left() {
    let clock = SimClock::at(Timestamp(0));
    put(&namespaces(None, &clock), "a", "k", "1", None).await;
    assert_eq!(value(&namespaces(None, &clock), "a", "k").await, None);
}

#[tokio::test]
async fn an_entry_goes_at_its_second() {
    let clock = SimClock::at(Timestamp(0));
    let namespaces = namespaces(None, &clock);
    put(&namespaces, "a", "k", "1", Some(60)).await;
    clock.advance_ms(59_999);
    assert_eq!(value(&namespaces, "a", "k").await.as_deref(), Some("1"));
    clock.advance_ms(1);
    assert_eq!(value(&namespaces, "a", "k").await, None);
}

#[tokio::test]
async fn what_is_not_open_says_so() {
    let namespaces = Namespaces::new(None, Durability::Normal, Arc::new(SimClock::at(Timestamp(0))));
    let error = namespaces.get("a", "k".to_owned(), None).await.unwrap_err();
    assert_eq!(error.to_string(), "storage is closed");
}
