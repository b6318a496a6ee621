//! The scrub: bytes are read again and compared with their digest, at a limited rate. What is damaged counts as
//! absent from then on, so that the next push brings it.

use futures_util::StreamExt as _;
use oci::{Locator, Span};

use super::{SweepError, Sweeper, Swept, name_of};
use crate::{hasher::Hasher, store::StoreError};

const WHOLE: Span = Span { first: 0, length: u64::MAX };

/// What the scrub finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Intact,
    Damaged,
    /// It was deleted meanwhile.
    Gone,
}

impl Sweeper {
    pub(super) async fn scrub(&self, locators: &[Locator], swept: &mut Swept) -> Result<(), SweepError> {
        if self.config.scrub_bytes_per_second == 0 {
            return Ok(());
        }
        // The digest of sealed content is that of its plain bytes, which cannot be made without the key.
        for locator in locators.iter().filter(|locator| locator.content.sign.is_none()) {
            if self.condition_of(locator).await? == Condition::Damaged {
                tracing::error!(%locator, "the bytes of a blob are damaged; the next push of it brings them anew");
                self.services.repositories.quarantine(locator).await?;
                swept.damaged += 1;
                self.counted.damaged.add(1, &[]);
            }
        }
        Ok(())
    }

    async fn condition_of(&self, locator: &Locator) -> Result<Condition, StoreError> {
        let digest = &locator.content.digest;
        let Some(object) = self.store.read(&name_of(locator), WHOLE).await? else {
            return Ok(Condition::Gone);
        };

        let (mut body, mut hasher) = (object.body, Hasher::new(digest.algorithm()));
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| StoreError::Unavailable {
                attempted: format!("reading {locator} again"),
                cause: std::io::Error::other(error),
            })?;
            let bytes = piece.len();
            hasher = hasher.advance(piece).await?;
            self.counted.scrubbed_bytes.add(bytes as u64, &[]);
            self.pause(self.config.reading_time(bytes)).await;
        }
        Ok(if hasher.digest() == *digest { Condition::Intact } else { Condition::Damaged })
    }
}
