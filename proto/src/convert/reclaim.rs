//! What is reclaimed, and why not, as messages.

use std::time::Duration;

use super::{
    BadField, Wire, parsed, parsed_all, parsed_option, printed, printed_all, read_all, timestamp, written_all,
};
use crate::{
    metadata::{
        More,
        reclaim::{
            Audited, Discarded, Found, Keeper, Kept, Office, Purged, Reaped, Reclaimable, Retained,
            StaleUpload, Survey, Unlinked, Why,
        },
    },
    wire,
};

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

pub(crate) const fn duration(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

impl Wire for Office {
    type Message = bool;

    fn to_message(&self) -> bool {
        *self == Self::Held
    }

    fn from_message(held: bool) -> Result<Self, BadField> {
        Ok(if held { Self::Held } else { Self::Taken })
    }
}

impl Wire for Unlinked {
    type Message = wire::UnlinkResponse;

    fn to_message(&self) -> wire::UnlinkResponse {
        let Self { links, size_bytes, manifests, more, next } = self;
        wire::UnlinkResponse {
            links: *links,
            size_bytes: *size_bytes,
            manifests: *manifests,
            more: more.to_message(),
            next: printed(next.as_ref()),
        }
    }

    fn from_message(message: wire::UnlinkResponse) -> Result<Self, BadField> {
        let wire::UnlinkResponse { links, size_bytes, manifests, more, next } = message;
        let (more, next) = (More::from_message(more)?, parsed_option("next", next.as_deref())?);
        Ok(Self { links, size_bytes, manifests, more, next })
    }
}

impl Wire for Retained {
    type Message = wire::RetainResponse;

    fn to_message(&self) -> wire::RetainResponse {
        let Self { tags, manifests, untagged, next } = self.clone();
        wire::RetainResponse { tags, manifests, next, untagged }
    }

    fn from_message(message: wire::RetainResponse) -> Result<Self, BadField> {
        let wire::RetainResponse { tags, manifests, next, untagged } = message;
        Ok(Self { tags, manifests, untagged, next })
    }
}

impl Wire for Purged {
    type Message = wire::PurgeResponse;

    fn to_message(&self) -> wire::PurgeResponse {
        let Self { repositories, links, more } = self;
        wire::PurgeResponse { repositories: *repositories, links: *links, more: more.to_message() }
    }

    fn from_message(message: wire::PurgeResponse) -> Result<Self, BadField> {
        let wire::PurgeResponse { repositories, links, more } = message;
        Ok(Self { repositories, links, more: More::from_message(more)? })
    }
}

impl Wire for Reaped {
    type Message = wire::ReapResponse;

    fn to_message(&self) -> wire::ReapResponse {
        let Self { contents, size_bytes, more } = self;
        wire::ReapResponse { contents: *contents, size_bytes: *size_bytes, more: more.to_message() }
    }

    fn from_message(message: wire::ReapResponse) -> Result<Self, BadField> {
        let wire::ReapResponse { contents, size_bytes, more } = message;
        Ok(Self { contents, size_bytes, more: More::from_message(more)? })
    }
}

impl Wire for Discarded {
    type Message = wire::Discarded;

    fn to_message(&self) -> wire::Discarded {
        wire::Discarded { since_ms: self.since.as_millisecond(), locator: self.locator.to_string() }
    }

    fn from_message(message: wire::Discarded) -> Result<Self, BadField> {
        Ok(Self {
            since: timestamp("since_ms", message.since_ms)?,
            locator: parsed("locator", &message.locator)?,
        })
    }
}

impl Wire for StaleUpload {
    type Message = wire::StaleUpload;

    fn to_message(&self) -> wire::StaleUpload {
        wire::StaleUpload { session: self.session.to_string(), started_ms: self.started.as_millisecond() }
    }

    fn from_message(message: wire::StaleUpload) -> Result<Self, BadField> {
        Ok(Self {
            session: parsed("session", &message.session)?,
            started: timestamp("started_ms", message.started_ms)?,
        })
    }
}

impl Wire for Found {
    type Message = wire::AuditRequest;

    fn to_message(&self) -> wire::AuditRequest {
        let Self { locators, sessions } = self;
        wire::AuditRequest { locators: printed_all(locators), sessions: printed_all(sessions) }
    }

    fn from_message(message: wire::AuditRequest) -> Result<Self, BadField> {
        Ok(Self {
            locators: parsed_all("locators", &message.locators)?,
            sessions: parsed_all("sessions", &message.sessions)?,
        })
    }
}

impl Wire for Audited {
    type Message = wire::AuditResponse;

    fn to_message(&self) -> wire::AuditResponse {
        wire::AuditResponse { queued: self.queued, ended: printed_all(&self.ended) }
    }

    fn from_message(message: wire::AuditResponse) -> Result<Self, BadField> {
        Ok(Self { queued: message.queued, ended: parsed_all("ended", &message.ended)? })
    }
}

impl Wire for Reclaimable {
    type Message = wire::Reclaimable;

    fn to_message(&self) -> wire::Reclaimable {
        wire::Reclaimable {
            repository: self.repository.to_string(),
            now_bytes: self.now_bytes,
            later_bytes: self.later_bytes,
            restorable_bytes: self.restorable_bytes,
            shared_bytes: self.shared_bytes,
        }
    }

    fn from_message(message: wire::Reclaimable) -> Result<Self, BadField> {
        Ok(Self {
            repository: parsed("repository", &message.repository)?,
            now_bytes: message.now_bytes,
            later_bytes: message.later_bytes,
            restorable_bytes: message.restorable_bytes,
            shared_bytes: message.shared_bytes,
        })
    }
}

impl Wire for Survey {
    type Message = wire::SurveyResponse;

    fn to_message(&self) -> wire::SurveyResponse {
        let Self { repositories, next } = self;
        wire::SurveyResponse { repositories: written_all(repositories), next: printed(next.as_ref()) }
    }

    fn from_message(message: wire::SurveyResponse) -> Result<Self, BadField> {
        Ok(Self {
            repositories: read_all(message.repositories)?,
            next: parsed_option("next", message.next.as_deref())?,
        })
    }
}

impl Wire for Keeper {
    type Message = wire::Keeper;

    fn to_message(&self) -> wire::Keeper {
        let (kept, tags, until) = match &self.kept {
            Kept::Tagged(tags) => (wire::Kept::Tagged, printed_all(tags), None),
            Kept::Untagged => (wire::Kept::Untagged, Vec::new(), None),
            Kept::Restorable { until } => (wire::Kept::Restorable, Vec::new(), Some(until)),
            Kept::Unused { until } => (wire::Kept::Unused, Vec::new(), Some(until)),
        };
        wire::Keeper {
            repository: self.repository.to_string(),
            kept: kept.into(),
            tags,
            path: printed_all(&self.path),
            until_ms: until.map(|until| until.as_millisecond()),
        }
    }

    fn from_message(message: wire::Keeper) -> Result<Self, BadField> {
        let until = || {
            let until = message.until_ms.ok_or(BadField::Absent { field: "until_ms" })?;
            timestamp("until_ms", until)
        };
        let kept = match message.kept() {
            wire::Kept::Tagged => Kept::Tagged(parsed_all("tags", &message.tags)?),
            wire::Kept::Untagged => Kept::Untagged,
            wire::Kept::Restorable => Kept::Restorable { until: until()? },
            wire::Kept::Unused => Kept::Unused { until: until()? },
            wire::Kept::Unspecified => return Err(BadField::Absent { field: "kept" }),
        };
        Ok(Self {
            repository: parsed("repository", &message.repository)?,
            kept,
            path: parsed_all("path", &message.path)?,
        })
    }
}

impl Wire for Why {
    type Message = wire::WhyResponse;

    fn to_message(&self) -> wire::WhyResponse {
        wire::WhyResponse {
            locator: printed(self.locator.as_ref()),
            size_bytes: self.size_bytes,
            held: self.held,
            keepers: written_all(&self.keepers),
            next: printed(self.next.as_ref()),
        }
    }

    fn from_message(message: wire::WhyResponse) -> Result<Self, BadField> {
        Ok(Self {
            locator: parsed_option("locator", message.locator.as_deref())?,
            size_bytes: message.size_bytes,
            held: message.held,
            keepers: read_all(message.keepers)?,
            next: parsed_option("next", message.next.as_deref())?,
        })
    }
}
