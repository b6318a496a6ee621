//! Whether a process can do its work: parts say what they still wait for, probes ask.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;

/// The parts that are not up. A process is ready when there are none. Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<BTreeSet<&'static str>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeSet::new())))
    }
}

impl Readiness {
    /// Ready, until a part says that it is not.
    pub fn new() -> Self {
        Self::default()
    }

    /// The part `name` cannot work: not yet, or not any more.
    pub fn down(&self, name: &'static str) {
        self.0.send_if_modified(|missing| missing.insert(name));
    }

    /// The part `name` works.
    pub fn up(&self, name: &'static str) {
        self.0.send_if_modified(|missing| missing.remove(name));
    }

    /// Whether all parts work.
    pub fn ready(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The parts that do not work, in order of name.
    pub fn missing(&self) -> Vec<&'static str> {
        self.0.borrow().iter().copied().collect()
    }

    /// Follows the changes.
    pub(crate) fn watch(&self) -> watch::Receiver<BTreeSet<&'static str>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_must_be_up() {
        let readiness = Readiness::new();
        assert!(readiness.ready());

        readiness.down("keys");
        readiness.down("metadata");
        readiness.up("keys");
        assert!(!readiness.ready());
        assert_eq!(readiness.missing(), ["metadata"]);

        readiness.up("metadata");
        assert!(readiness.ready());
    }
}
