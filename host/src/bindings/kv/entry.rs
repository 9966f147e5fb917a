//! Keys and values, and what may not be asked of a namespace.

use bytes::Bytes;
use serde::de::IgnoredAny;

/// Bytes of a key (documented).
pub const KEY_BYTES_MAX: usize = 512;

/// Bytes of a value (documented: 25 MiB).
pub const VALUE_BYTES_MAX: usize = 25 * 1024 * 1024;

/// Bytes of an entry's metadata, as JSON (documented).
pub const METADATA_BYTES_MAX: usize = 1024;

/// Seconds until an entry can expire, at least (documented).
pub const EXPIRATION_S_MIN: u64 = 60;

/// Seconds that a value may be cached for, at least (documented).
pub const CACHE_TTL_S_MIN: u64 = 30;

/// Keys of a page (documented).
pub const LIST_KEYS_MAX: u64 = 1000;

/// Keys that are read together (documented).
pub const BULK_KEYS_MAX: usize = 100;

/// Bytes of their values (documented: 25 MB, which is meant as 25 MiB).
pub const BULK_BYTES_MAX: usize = 25 * 1024 * 1024;

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// JSON.
    pub metadata: Option<Vec<u8>>,
}

/// How a value is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// When it expires, in seconds since 1970.
    pub expiration: Option<u64>,
    /// After how many seconds it expires; counts more.
    pub expiration_ttl: Option<u64>,
    /// JSON.
    pub metadata: Option<Vec<u8>>,
}

/// What is to be a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewEntry {
    pub(super) key: String,
    pub(super) value: Bytes,
    /// When it expires, in seconds since 1970.
    pub(super) expires_at: Option<u64>,
    /// JSON.
    pub(super) metadata: Option<Vec<u8>>,
}

/// Which keys are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// How they begin.
    pub prefix: Option<String>,
    /// So many at most; 0 as if it were not said.
    pub limit: Option<u64>,
    /// Those after this one's page.
    pub cursor: Option<String>,
}

/// A key without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// When it expires, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// JSON.
    pub metadata: Option<Vec<u8>>,
}

/// Keys in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys.
    pub keys: Vec<Listed>,
    /// Where to go on; none when these are the last.
    pub cursor: Option<String>,
}

/// Which keys of a namespace a page can have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) prefix: String,
    /// The last key of the page before.
    pub(super) after: Option<String>,
    pub(super) limit: usize,
}

/// What is done with a key, in the words of error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reading.
    Get,
    /// Writing.
    Put,
    /// Removing.
    Delete,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A guest's mistake, in the platform's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// It has to be something.
    #[error("Key name cannot be empty.")]
    EmptyKey,
    /// Paths of URLs cannot have it.
    #[error("\"{key}\" is not allowed as a key name.")]
    IllegalKey {
        /// `.` or `..`.
        key: String,
    },
    /// More bytes than a key may have.
    #[error(
        "KV {} failed: 414 UTF-8 encoded length of {size} exceeds key length limit of {KEY_BYTES_MAX}.",
        .operation.as_str()
    )]
    KeyTooLong {
        /// What was to be done.
        operation: Operation,
        /// Its bytes.
        size: usize,
    },
    /// One of several keys that cannot be one.
    #[error("KV GET_BULK failed: 400 Key name {key} is not legal")]
    IllegalKeyOfBulk {
        /// Empty, `.` or `..`.
        key: String,
    },
    /// One of several keys has more bytes than a key may have.
    #[error("KV GET_BULK failed: 414 Encoded length of {size} is too long")]
    KeyOfBulkTooLong {
        /// Its bytes.
        size: usize,
    },
    /// None at all.
    #[error("KV GET_BULK failed: 400 You must request a minimum of 1 key")]
    NoKeys,
    /// More keys than one call takes.
    #[error("KV GET_BULK failed: 400 You can request a maximum of {BULK_KEYS_MAX} keys")]
    TooManyKeys,
    /// More bytes of values than one call gives.
    #[error("KV GET_BULK failed: 413 Total size of request exceeds the limit of 25MB")]
    BulkTooLarge,
    /// It would not be cached for so short a time.
    #[error(
        "KV {} failed: 400 Invalid cache_ttl of {cache_ttl}. Cache TTL must be at least {CACHE_TTL_S_MIN}.",
        if *.is_bulk { "GET_BULK" } else { "GET" }
    )]
    CacheTtl {
        /// Of several keys.
        is_bulk: bool,
        /// What was asked for.
        cache_ttl: u64,
    },
    /// More bytes than a value may have.
    #[error("KV PUT failed: 413 Value length of {size} exceeds limit of {VALUE_BYTES_MAX}.")]
    ValueTooLarge {
        /// Its bytes.
        size: usize,
    },
    /// More bytes than metadata may have.
    #[error("KV PUT failed: 413 Metadata length of {size} exceeds limit of {METADATA_BYTES_MAX}.")]
    MetadataTooLarge {
        /// Its bytes.
        size: usize,
    },
    /// Ours: an SDK writes it as JSON.
    #[error("KV PUT failed: 400 The metadata is not JSON: {reason}")]
    Metadata {
        /// Why it is not.
        reason: String,
    },
    /// No time at all.
    #[error("KV PUT failed: 400 Invalid expiration_ttl of 0. Please specify integer greater than 0.")]
    NoTtl,
    /// Too short a time.
    #[error("KV PUT failed: 400 Invalid expiration_ttl of {ttl}. Expiration TTL must be at least {EXPIRATION_S_MIN}.")]
    Ttl {
        /// What was asked for.
        ttl: u64,
    },
    /// It would not be there.
    #[error(
        "KV PUT failed: 400 Invalid expiration of {expiration}. Please specify integer greater than the current number of seconds since the UNIX epoch."
    )]
    ExpirationPast {
        /// What was asked for.
        expiration: u64,
    },
    /// Too short a time.
    #[error(
        "KV PUT failed: 400 Invalid expiration of {expiration}. Expiration times must be at least {EXPIRATION_S_MIN} seconds in the future."
    )]
    ExpirationNear {
        /// What was asked for.
        expiration: u64,
    },
    /// More keys than a page has.
    #[error(
        "KV GET failed: 400 Invalid key_count_limit of {limit}. Please specify an integer less than {LIST_KEYS_MAX}."
    )]
    ListLimit {
        /// What was asked for.
        limit: u64,
    },
    /// Ours: no page had it.
    #[error("KV GET failed: 400 Invalid cursor. Please pass the one that an earlier list gave.")]
    Cursor,
}

impl KvError {
    /// The stable part, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EmptyKey
            | Self::IllegalKey { .. }
            | Self::KeyTooLong { .. }
            | Self::IllegalKeyOfBulk { .. }
            | Self::KeyOfBulkTooLong { .. } => "kv.invalid_key",
            Self::NoKeys | Self::TooManyKeys | Self::BulkTooLarge => "kv.invalid_bulk",
            Self::CacheTtl { .. } => "kv.invalid_cache_ttl",
            Self::ValueTooLarge { .. } => "kv.value_too_large",
            Self::MetadataTooLarge { .. } | Self::Metadata { .. } => "kv.invalid_metadata",
            Self::NoTtl | Self::Ttl { .. } | Self::ExpirationPast { .. } | Self::ExpirationNear { .. } => {
                "kv.invalid_expiration"
            }
            Self::ListLimit { .. } => "kv.invalid_limit",
            Self::Cursor => "kv.invalid_cursor",
        }
    }
}

/// Checks the name of one entry.
pub(super) fn key(operation: Operation, key: &str) -> Result<(), KvError> {
    match key {
        "" => Err(KvError::EmptyKey),
        "." | ".." => Err(KvError::IllegalKey { key: key.to_owned() }),
        _ => length(operation, key),
    }
}

fn length(operation: Operation, key: &str) -> Result<(), KvError> {
    match key.len() {
        0..=KEY_BYTES_MAX => Ok(()),
        size => Err(KvError::KeyTooLong { operation, size }),
    }
}

/// Checks the names of entries that are read together.
pub(super) fn keys(keys: &[String]) -> Result<(), KvError> {
    match keys.len() {
        0 => return Err(KvError::NoKeys),
        1..=BULK_KEYS_MAX => {}
        _ => return Err(KvError::TooManyKeys),
    }
    keys.iter().try_for_each(|name| match key(Operation::Get, name) {
        Ok(()) => Ok(()),
        Err(KvError::KeyTooLong { size, .. }) => Err(KvError::KeyOfBulkTooLong { size }),
        Err(_) => Err(KvError::IllegalKeyOfBulk { key: name.clone() }),
    })
}

/// Checks how long a value may be cached.
pub(super) fn cache_ttl(cache_ttl: Option<u64>, is_bulk: bool) -> Result<(), KvError> {
    match cache_ttl.filter(|cache_ttl| *cache_ttl < CACHE_TTL_S_MIN) {
        Some(cache_ttl) => Err(KvError::CacheTtl { is_bulk, cache_ttl }),
        None => Ok(()),
    }
}

/// Checks what is to be written at `now_s`, in seconds since 1970.
pub(super) fn new(name: String, value: Bytes, options: PutOptions, now_s: u64) -> Result<NewEntry, KvError> {
    key(Operation::Put, &name)?;
    let expires_at = match options {
        PutOptions { expiration_ttl: Some(0), .. } => return Err(KvError::NoTtl),
        PutOptions { expiration_ttl: Some(ttl), .. } if ttl < EXPIRATION_S_MIN => return Err(KvError::Ttl { ttl }),
        PutOptions { expiration_ttl: Some(ttl), .. } => Some(now_s.saturating_add(ttl)),
        PutOptions { expiration: Some(expiration), .. } if expiration <= now_s => {
            return Err(KvError::ExpirationPast { expiration });
        }
        PutOptions { expiration: Some(expiration), .. } if expiration - now_s < EXPIRATION_S_MIN => {
            return Err(KvError::ExpirationNear { expiration });
        }
        PutOptions { expiration, .. } => expiration,
    };
    if let Some(metadata) = &options.metadata {
        if metadata.len() > METADATA_BYTES_MAX {
            return Err(KvError::MetadataTooLarge { size: metadata.len() });
        }
        serde_json::from_slice::<IgnoredAny>(metadata)
            .map_err(|error| KvError::Metadata { reason: error.to_string() })?;
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(KvError::ValueTooLarge { size: value.len() });
    }
    Ok(NewEntry { key: name, value, expires_at, metadata: options.metadata })
}

/// Checks which keys are wanted.
pub(super) fn range(options: ListOptions) -> Result<Range, KvError> {
    let limit = match options.limit {
        None | Some(0) => LIST_KEYS_MAX,
        Some(limit) if limit > LIST_KEYS_MAX => return Err(KvError::ListLimit { limit }),
        Some(limit) => limit,
    };
    let prefix = options.prefix.unwrap_or_default();
    length(Operation::Get, &prefix)?;
    let after = match options.cursor.as_deref() {
        None | Some("") => None,
        Some(cursor) => Some(read_cursor(cursor).ok_or(KvError::Cursor)?),
    };
    Ok(Range { prefix, after, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
}

/// The cursor of a page that ends with `key`. Guests are not to see that it is that.
pub(super) fn cursor(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_cursor(cursor: &str) -> Option<String> {
    let digits: Vec<_> = cursor.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(high * 16 + low).ok()).collect::<Option<_>>()?;
    String::from_utf8(bytes).ok().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(options: PutOptions) -> Result<Option<u64>, String> {
        let entry = new("k".to_owned(), Bytes::from_static(b"v"), options, 1000);
        entry.map(|entry| entry.expires_at).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_has_512_bytes_and_is_no_step_of_a_path() {
        assert_eq!(key(Operation::Get, &"ä".repeat(256)), Ok(()));
        assert_eq!(key(Operation::Put, "..."), Ok(()));
        for (operation, name, text) in [
            (Operation::Get, "", "Key name cannot be empty."),
            (Operation::Put, ".", "\".\" is not allowed as a key name."),
            (Operation::Delete, "..", "\"..\" is not allowed as a key name."),
            (
                Operation::Get,
                &"ä".repeat(257),
                "KV GET failed: 414 UTF-8 encoded length of 514 exceeds key length limit of 512.",
            ),
            (
                Operation::Put,
                &"x".repeat(513),
                "KV PUT failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.",
            ),
            (
                Operation::Delete,
                &"x".repeat(513),
                "KV DELETE failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.",
            ),
        ] {
            let error = key(operation, name).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.code()), (text, "kv.invalid_key"));
        }
    }

    #[test]
    fn a_hundred_keys_are_read_together() {
        let check = |names: &[&str]| keys(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(check(&["k"; 100]), Ok(()));
        for (names, text) in [
            (vec![], "KV GET_BULK failed: 400 You must request a minimum of 1 key"),
            (vec!["k"; 101], "KV GET_BULK failed: 400 You can request a maximum of 100 keys"),
            (vec!["k", ".."], "KV GET_BULK failed: 400 Key name .. is not legal"),
            (vec![&*"x".repeat(513)], "KV GET_BULK failed: 414 Encoded length of 513 is too long"),
        ] {
            assert_eq!(check(&names).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_value_is_cached_for_half_a_minute_or_more() {
        assert_eq!((cache_ttl(None, false), cache_ttl(Some(30), true)), (Ok(()), Ok(())));
        for (is_bulk, text) in [
            (false, "KV GET failed: 400 Invalid cache_ttl of 29. Cache TTL must be at least 30."),
            (true, "KV GET_BULK failed: 400 Invalid cache_ttl of 29. Cache TTL must be at least 30."),
        ] {
            assert_eq!(cache_ttl(Some(29), is_bulk).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn an_entry_expires_after_a_minute_or_later() {
        let at = |expiration| put(PutOptions { expiration: Some(expiration), ..PutOptions::default() });
        let after = |ttl| put(PutOptions { expiration_ttl: Some(ttl), ..PutOptions::default() });
        assert_eq!((put(PutOptions::default()), at(1060), after(60)), (Ok(None), Ok(Some(1060)), Ok(Some(1060))));
        let both = PutOptions { expiration: Some(1), expiration_ttl: Some(90), metadata: None };
        assert_eq!(put(both), Ok(Some(1090)), "the time to live counts");
        assert_eq!(after(u64::MAX), Ok(Some(u64::MAX)));
        for (refused, text) in [
            (after(0), "KV PUT failed: 400 Invalid expiration_ttl of 0. Please specify integer greater than 0."),
            (after(59), "KV PUT failed: 400 Invalid expiration_ttl of 59. Expiration TTL must be at least 60."),
            (
                at(1000),
                "KV PUT failed: 400 Invalid expiration of 1000. Please specify integer greater than the current number of seconds since the UNIX epoch.",
            ),
            (
                at(1059),
                "KV PUT failed: 400 Invalid expiration of 1059. Expiration times must be at least 60 seconds in the future.",
            ),
        ] {
            assert_eq!(refused.unwrap_err(), text);
        }
    }

    #[test]
    fn values_and_metadata_have_their_sizes() {
        let value = |size| new("k".to_owned(), vec![0; size].into(), PutOptions::default(), 0).map(drop);
        assert_eq!(value(VALUE_BYTES_MAX), Ok(()));
        let error = value(VALUE_BYTES_MAX + 1).unwrap_err();
        assert_eq!(error.to_string(), "KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.");
        let metadata = |json: String| put(PutOptions { metadata: Some(json.into()), ..PutOptions::default() });
        assert_eq!(metadata(format!("\"{}\"", "x".repeat(1022))), Ok(None));
        let error = metadata(format!("\"{}\"", "x".repeat(1023))).unwrap_err();
        assert_eq!(error, "KV PUT failed: 413 Metadata length of 1025 exceeds limit of 1024.");
        let error = metadata("{".to_owned()).unwrap_err();
        assert!(error.starts_with("KV PUT failed: 400 The metadata is not JSON: "), "{error}");
    }

    #[test]
    fn a_page_has_a_thousand_keys_and_a_cursor_is_read_back() {
        let limit = |limit| range(ListOptions { limit, ..ListOptions::default() }).map(|range| range.limit);
        assert_eq!(
            (limit(None), limit(Some(0)), limit(Some(1)), limit(Some(1000))),
            (Ok(1000), Ok(1000), Ok(1), Ok(1000))
        );
        assert_eq!(
            limit(Some(1001)).unwrap_err().to_string(),
            "KV GET failed: 400 Invalid key_count_limit of 1001. Please specify an integer less than 1000."
        );
        let from = |text: &str| range(ListOptions { cursor: Some(text.to_owned()), ..ListOptions::default() });
        assert_eq!(from(&cursor("käse")).unwrap().after.as_deref(), Some("käse"));
        for wrong in ["x", "6", "ff", "käse", "6b6"] {
            assert_eq!(from(wrong), Err(KvError::Cursor), "{wrong}");
        }
        let prefix = ListOptions { prefix: Some("x".repeat(513)), ..ListOptions::default() };
        assert_eq!(
            range(prefix).unwrap_err().to_string(),
            "KV GET failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512."
        );
    }
}
