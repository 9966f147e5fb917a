//! Registries of what the macros mark: workflow classes, object classes and start hooks.
//!
//! A macro sees one item at a time, and the export of the component has to know all of them. Each macro adds a static and a
//! constructor that puts it into the registry of its type before the first call.
//!
//! **Guarantees**: an entry is in the registry once, however often constructors run: a WebAssembly module may run them for
//! every call. The registry allocates on the heap and uses nothing else that constructors could find uninitialised.
//!
//! **Non-goals**: an order. Constructors run in the linker's order.

use std::sync::{Mutex, PoisonError};

/// The entries of one type.
#[doc(hidden)]
#[derive(Debug)]
pub struct Registry<T: 'static>(Mutex<Vec<&'static T>>);

impl<T> Registry<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Adds `entry` unless it is there. Called by constructors only.
    pub fn add(&self, entry: &'static T) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !entries.iter().any(|known| std::ptr::eq(*known, entry)) {
            entries.push(entry);
        }
    }

    /// Returns all entries, in no particular order.
    pub(crate) fn all(&self) -> Vec<&'static T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A type with a registry.
#[doc(hidden)]
pub trait Registered: Sized + 'static {
    /// Returns the registry of the type: one for the whole component.
    fn registry() -> &'static Registry<Self>;
}

/// Puts a value into the registry of its type.
#[doc(hidden)]
#[macro_export]
macro_rules! __submit {
    ($type:ty, $value:expr) => {
        const _: () = {
            static ENTRY: $type = $value;

            extern "C" fn register() {
                <$type as $crate::__private::Registered>::registry().add(&ENTRY);
            }

            // The list of constructors that the loader of the platform runs. A wasm linker calls it as on ELF.
            #[used]
            #[cfg_attr(windows, unsafe(link_section = ".CRT$XCU"))]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func,mod_init_funcs"))]
            #[cfg_attr(not(any(windows, target_vendor = "apple")), unsafe(link_section = ".init_array"))]
            static REGISTER: extern "C" fn() = register;
        };
    };
}

#[cfg(test)]
mod tests {
    use super::Registry;

    #[test]
    fn registry_keeps_an_added_entry_once() {
        static REGISTRY: Registry<u8> = Registry::new();
        static ENTRIES: [u8; 2] = [7, 7];
        for entry in [&ENTRIES[0], &ENTRIES[1], &ENTRIES[0]] {
            REGISTRY.add(entry);
        }
        assert_eq!(REGISTRY.all(), [&7, &7]);
    }
}
