//! Whose a bucket or container is: it says so itself, so that who finds nothing there knows whether it was looked for in
//! the right one.

use async_trait::async_trait;
use bytes::Bytes;
use oci::StoreName;
use proto::blob::GrantKey;

use super::StoreError;
use crate::{claim::Claim, layout};

/// What a bucket or container says of itself.
#[derive(Debug, Clone)]
pub struct Marker {
    store: StoreName,
    /// The same in all processes of one hub, and in no other hub.
    hub: String,
    claim: Claim,
}

/// What a bucket or container is to a hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Ours,
    OtherHub,
    /// It has what looks like blobs, and nobody says whose.
    Unmarked,
    /// Called so.
    OtherStore(String),
}

/// A bucket or container, as far as it says something of itself.
#[async_trait]
pub(super) trait Labelled: Sync {
    /// The label `key`, as it was written last; none if there is none, or if the whole place is not there.
    async fn label(&self, key: &str) -> Result<Option<Bytes>, StoreError>;

    /// Writes the label `key`, in place of another one if there is one.
    async fn set_label(&self, key: &str, label: Bytes) -> Result<(), StoreError>;

    /// Whether something is listed whose key begins with `prefix`. Where listings are late, what is there may not be.
    async fn holds(&self, prefix: &str) -> Result<bool, StoreError>;
}

/// Whether `place` says which store it is.
pub(super) async fn is_marked(place: &dyn Labelled) -> Result<bool, StoreError> {
    Ok(place.label(layout::MARKER).await?.is_some())
}

impl Marker {
    /// It is the store `store` of the hub that has `grants`.
    pub fn new(store: &StoreName, grants: &GrantKey, claim: Claim) -> Self {
        Self { store: store.clone(), hub: grants.fingerprint(), claim }
    }

    pub(super) fn store(&self) -> &StoreName {
        &self.store
    }

    /// Finds that `place` says so, or has it say so if nothing is lost by that or an operator insists. Replicas that do
    /// it at the same time write the same.
    pub(super) async fn claim(&self, place: &dyn Labelled) -> Result<Standing, StoreError> {
        let taken_over = |standing: &Standing| {
            self.claim == Claim::Insisted && matches!(standing, Standing::OtherHub | Standing::Unmarked)
        };
        let standing = self.standing(place).await?;
        if let Some(standing) = standing.filter(|standing| !taken_over(standing)) {
            return Ok(standing);
        }
        place.set_label(layout::MARKER, Bytes::from(self.text())).await?;
        Ok(Standing::Ours)
    }

    /// Whether `place` says so.
    pub(super) async fn is_in(&self, place: &dyn Labelled) -> Result<bool, StoreError> {
        let found = place.label(layout::MARKER).await?;
        Ok(found.is_some_and(|found| self.compared(&found) == Standing::Ours))
    }

    /// What `place` is; none if it is empty, as far as it is listed, and nobody's.
    async fn standing(&self, place: &dyn Labelled) -> Result<Option<Standing>, StoreError> {
        let mut marked = place.label(layout::MARKER).await?;
        let mut occupied = false;
        if marked.is_none() {
            for prefix in layout::prefixes() {
                occupied |= place.holds(&prefix).await?;
            }
            // A replica may have come meanwhile, and have written there.
            marked = place.label(layout::MARKER).await?;
        }
        Ok(match marked {
            Some(found) => Some(self.compared(&found)),
            None => occupied.then_some(Standing::Unmarked),
        })
    }

    fn compared(&self, found: &[u8]) -> Standing {
        let found = String::from_utf8_lossy(found);
        let mut words = found.split_whitespace();
        match (words.next(), words.next()) {
            (Some(store), Some(hub)) if store == self.store.as_str() && hub == self.hub => Standing::Ours,
            (Some(store), _) if store == self.store.as_str() => Standing::OtherHub,
            (store, _) => Standing::OtherStore(store.unwrap_or_default().to_owned()),
        }
    }

    fn text(&self) -> String {
        format!("{} {}\n", self.store, self.hub)
    }
}
