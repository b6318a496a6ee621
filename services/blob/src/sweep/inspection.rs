//! What is in the store against what is known: a crash may leave bytes that nobody knows. One place after the
//! other, by the time of the day, so that a restart loses no position.

use std::{collections::BTreeSet, ops::Range};

use oci::{Locator, SessionId};
use proto::metadata::reclaim::Found;

use super::{SweepError, Sweeper, Swept};
use crate::layout::{Named, ObjectName, Place};

/// Objects in one question to metadata.
const AT_ONCE: usize = 200;

impl Sweeper {
    pub(super) async fn inspect(&mut self, swept: &mut Swept) -> Result<(), SweepError> {
        self.inspect_uploads(swept).await?;

        let places: Vec<Place> = Place::all_contents().collect();
        for turn in self.due(places.len() as u128) {
            let place = usize::try_from(turn % places.len() as u128).unwrap_or_default();
            self.inspect_contents(places[place], swept).await?;
            self.inspected = Some(turn);
        }
        Ok(())
    }

    /// Turns follow the clock, one place after the other, each once in a period: from the one behind the last to the
    /// one whose time it is, and never more than all places.
    fn due(&self, places: u128) -> Range<u128> {
        let period = self.config.scrub_period.as_millis().max(1);
        let now = u128::try_from(self.clock.now().as_millisecond()).unwrap_or_default();
        let next = now * places / period + 1;

        let first = self.inspected.map_or(next.saturating_sub(1), |last| last + 1);
        first.max(next.saturating_sub(places))..next
    }

    async fn inspect_uploads(&self, swept: &mut Swept) -> Result<(), SweepError> {
        let mut after: Option<ObjectName> = None;
        loop {
            let names = self.store.list(Place::Uploads, after.as_ref(), AT_ONCE).await?;
            let sessions: BTreeSet<SessionId> = names.iter().filter_map(session_of).collect();
            let found = Found { sessions: sessions.into_iter().collect(), locators: Vec::new() };
            let Some(last) = names.last().cloned() else { return Ok(()) };

            let ended = self.services.reclaim.audit(&found).await?.ended;
            for session in &ended {
                self.store.remove_upload(session).await?;
                self.pause(self.config.deletion_pause()).await;
            }
            self.count_uploads(ended.len() as u64, swept);
            after = Some(last);
        }
    }

    async fn inspect_contents(&self, place: Place, swept: &mut Swept) -> Result<(), SweepError> {
        let mut after: Option<ObjectName> = None;
        loop {
            let names = self.store.list(place, after.as_ref(), AT_ONCE).await?;
            let Some(last) = names.last().cloned() else { return Ok(()) };
            let locators: Vec<Locator> = names.iter().filter_map(|name| self.locator_of(name)).collect();

            let found = Found { locators: locators.clone(), sessions: Vec::new() };
            let queued = self.services.reclaim.audit(&found).await?.queued;
            if queued > 0 {
                tracing::info!(queued, "bytes that nobody knows are deleted later");
            }
            self.scrub(&locators, swept).await?;
            after = Some(last);
        }
    }

    fn locator_of(&self, name: &ObjectName) -> Option<Locator> {
        match ObjectName::parse(name.as_str())?.1 {
            Named::Content(content, generation) => {
                Some(Locator { store: self.name.clone(), content, generation })
            }
            Named::Part(_) => None,
        }
    }
}

fn session_of(name: &ObjectName) -> Option<SessionId> {
    match ObjectName::parse(name.as_str())?.1 {
        Named::Part(session) => Some(session),
        Named::Content(..) => None,
    }
}
