//! How long a commit waits for another that is under way where it writes, and when it takes that to be left behind.

use std::{collections::HashMap, time::Duration};

use crate::keyspace::Error;

/// How long commits wait for one another.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// Between two looks, at first; it doubles up to the longest.
    pub first: Duration,
    /// The longest pause between two looks.
    pub longest: Duration,
    /// So many looks at the same commit, and whoever began it is taken to have gone.
    pub looks: u32,
    /// So many looks in all, and the engine is `Unavailable`.
    pub most: u32,
}

impl Default for Waits {
    fn default() -> Self {
        // A commit is under way for some milliseconds, one of a thousand groups for some hundred; more than a second
        // without an end means that its process died.
        let (first, longest) = (Duration::from_millis(1), Duration::from_millis(32));
        Self { first, longest, looks: 40, most: 250 }
    }
}

/// What one commit has waited for.
#[derive(Debug)]
pub(super) struct Patience {
    waits: Waits,
    pause: Duration,
    left: u32,
    seen: HashMap<String, u32>,
}

impl Patience {
    pub(super) fn new(waits: Waits) -> Self {
        Self { waits, pause: waits.first, left: waits.most, seen: HashMap::new() }
    }

    /// Pauses before the next look.
    pub(super) async fn pause(&mut self) -> Result<(), Error> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return Err(Error::Unavailable { attempted: "waiting for other commits" });
        }
        if self.pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(self.pause).await;
        }
        self.pause = (self.pause * 2).min(self.waits.longest);
        Ok(())
    }

    /// Whether a commit has been seen so often that nobody goes on with it.
    pub(super) fn is_left_behind(&mut self, commit: &str) -> bool {
        let seen = self.seen.entry(commit.to_owned()).or_default();
        *seen += 1;
        *seen > self.waits.looks
    }
}
