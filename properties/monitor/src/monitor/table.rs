//! Objects by namespace and name, as lists and watches bring them.

use std::collections::BTreeMap;

/// Facts that are known of the objects of one kind. A list that is read anew replaces all of them without ever holding two
/// copies: what it did not bring is forgotten when it ends.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: BTreeMap<Box<str>, BTreeMap<Box<str>, Entry<T>>>,
    pass: u32,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    pass: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), pass: 0 }
    }
}

impl<T> Table<T> {
    /// A list begins: what it does not name is gone when it is complete.
    pub(super) fn begin(&mut self) {
        self.pass = self.pass.wrapping_add(1);
    }

    /// A list is complete: removes what it did not name.
    pub(super) fn finish(&mut self) {
        let pass = self.pass;
        self.entries.retain(|_, inside| {
            inside.retain(|_, entry| entry.pass == pass);
            !inside.is_empty()
        });
    }

    /// Puts an object in, and gives what was known of it.
    pub(super) fn put(&mut self, namespace: &str, name: &str, value: T) -> Option<T> {
        let entry = Entry { value, pass: self.pass };
        if let Some(inside) = self.entries.get_mut(namespace) {
            if let Some(known) = inside.get_mut(name) {
                return Some(std::mem::replace(known, entry).value);
            }
            inside.insert(name.into(), entry);
        } else {
            self.entries.insert(namespace.into(), BTreeMap::from([(name.into(), entry)]));
        }
        None
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        if let Some(inside) = self.entries.get_mut(namespace) {
            inside.remove(name);
            if inside.is_empty() {
                self.entries.remove(namespace);
            }
        }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        self.entries.get(namespace)?.get(name).map(|entry| &entry.value)
    }

    /// Every object with its namespace and name, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, &T)> {
        self.entries.iter().flat_map(|(namespace, inside)| {
            inside.iter().map(move |(name, entry)| (&**namespace, &**name, &entry.value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(table: &Table<u32>) -> Vec<(&str, &str, u32)> {
        table.iter().map(|(namespace, name, value)| (namespace, name, *value)).collect()
    }

    #[test]
    fn a_list_forgets_what_it_did_not_bring() {
        let mut table = Table::default();
        table.begin();
        table.put("b", "x", 1);
        table.put("a", "x", 2);
        table.finish();
        assert_eq!(table.put("a", "y", 3), None);
        assert_eq!(all(&table), [("a", "x", 2), ("a", "y", 3), ("b", "x", 1)]);
        table.begin();
        assert_eq!(table.put("a", "x", 4), Some(2));
        assert_eq!(all(&table), [("a", "x", 4), ("a", "y", 3), ("b", "x", 1)], "nothing is lost while it is read");
        table.finish();
        assert_eq!(all(&table), [("a", "x", 4)]);
        table.remove("a", "x");
        assert_eq!(table.get("a", "x"), None);
        assert_eq!(all(&table), []);
    }
}
