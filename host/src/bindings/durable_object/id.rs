//! The ids of objects.
//!
//! The first half of an id is derived from a name or random, the second half is a keyed digest of the first: so an id tells whether it is one,
//! and of which namespace. It is computed as the official emulator does, from the same key, so that ids are the same there.
//!
//! Promises: the id of a name is always the same; an id of another namespace is refused.

use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Half of an id.
const HALF: usize = 16;

/// A class of a Worker: where objects live.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace {
    /// Name of the Worker that has the class.
    pub worker: String,
    /// Name of the class.
    pub class: String,
}

impl Namespace {
    fn key(&self) -> [u8; 32] {
        Sha256::digest(format!("{}-{}", self.worker, self.class)).into()
    }

    /// The id of the object `name`.
    #[must_use]
    pub fn id_from_name(&self, name: &str) -> ObjectId {
        let key = self.key();
        ObjectId::with_half(&key, &hmac(&key, name.as_bytes()))
    }

    /// An id that nobody has had before. `random` are random bytes.
    #[must_use]
    pub fn unique_id(&self, random: [u8; HALF]) -> ObjectId {
        ObjectId::with_half(&self.key(), &random)
    }

    /// Reads an id.
    ///
    /// # Errors
    ///
    /// When it is not one of this namespace.
    pub fn id_from_string(&self, text: &str) -> Result<ObjectId, IdError> {
        let id = ObjectId::parse(text).ok_or(IdError::NotHex)?;
        if ObjectId::with_half(&self.key(), &id.0) == id { Ok(id) } else { Err(IdError::Foreign) }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of Worker `{}`", self.class, self.worker)
    }
}

/// A text that is not an id. The texts are the platform's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It is something else.
    #[error("Invalid Durable Object ID: must be 64 hex digits")]
    NotHex,
    /// It is of another class, or made up.
    #[error("Durable Object ID is not valid for this namespace.")]
    Foreign,
}

/// The id of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 2 * HALF]);

impl ObjectId {
    /// Reads an id, of whatever namespace.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 2 * HALF];
        if text.len() != 2 * id.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, at) in id.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(id))
    }

    fn with_half(key: &[u8], half: &[u8]) -> Self {
        let mut id = [0; 2 * HALF];
        id[..HALF].copy_from_slice(&half[..HALF]);
        let digest = hmac(key, &id[..HALF]);
        id[HALF..].copy_from_slice(&digest[..HALF]);
        Self(id)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// HMAC-SHA-256 (RFC 2104). The key is a digest, so it is never longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut pad = [0; BLOCK];
    pad[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(pad.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

/// A name for a folder or file that every file system takes, different for different texts.
pub(super) fn file_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || character == '-' {
            name.push(character);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(name, "_{:x}_", u32::from(character));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(class: &str) -> Namespace {
        Namespace { worker: "shop".to_owned(), class: class.to_owned() }
    }

    #[test]
    fn the_digest_is_the_one_of_the_standard() {
        // RFC 4231, test case 2.
        let digest = hmac(b"Jefe", b"what do ya want for nothing?");
        let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn the_id_of_a_name_is_always_the_same_and_of_its_class() {
        let id = namespace("Counter").id_from_name("a");
        assert_eq!(id, namespace("Counter").id_from_name("a"));
        assert_ne!(id, namespace("Counter").id_from_name("b"));
        assert_ne!(id, namespace("Room").id_from_name("a"));
        assert_eq!(id.to_string().len(), 64);
    }

    #[test]
    fn an_id_is_read_where_it_belongs() {
        let id = namespace("Counter").unique_id([7; HALF]);
        assert_eq!(namespace("Counter").id_from_string(&id.to_string().to_uppercase()), Ok(id));
        assert_eq!(namespace("Room").id_from_string(&id.to_string()), Err(IdError::Foreign));
        assert_eq!(namespace("Counter").id_from_string(&"0".repeat(64)), Err(IdError::Foreign));
        for wrong in ["", "zz", &id.to_string()[1..], &"\u{e9}".repeat(32)] {
            assert_eq!(namespace("Counter").id_from_string(wrong), Err(IdError::NotHex), "{wrong}");
        }
    }

    #[test]
    fn names_of_files_are_harmless_and_different() {
        assert_eq!(file_name("My-Class1"), "My-Class1");
        assert_eq!(file_name("../a"), "_2e__2e__2f_a");
        assert_ne!(file_name("a_b"), file_name("a-b"));
    }
}
