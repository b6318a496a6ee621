//! What does not agree, as messages.

use super::{BadField, Wire, enumeration, parsed, read, read_all, written_all};
use crate::{
    metadata::integrity::{Checked, Counts, Finding, Mending, Outcome},
    wire,
};

enumeration!(Outcome, wire::CheckOutcome, "outcome", [Mended, Mendable, Unmendable]);

impl Wire for Mending {
    type Message = bool;

    fn to_message(&self) -> bool {
        *self == Self::Repair
    }

    fn from_message(repair: bool) -> Result<Self, BadField> {
        Ok(if repair { Self::Repair } else { Self::Report })
    }
}

impl Wire for Finding {
    type Message = wire::CheckFinding;

    fn to_message(&self) -> wire::CheckFinding {
        wire::CheckFinding {
            kind: self.kind.name().to_owned(),
            subject: self.subject.clone(),
            outcome: self.outcome.to_message(),
        }
    }

    fn from_message(message: wire::CheckFinding) -> Result<Self, BadField> {
        let wire::CheckFinding { kind, subject, outcome } = message;
        Ok(Self { kind: parsed("kind", &kind)?, subject, outcome: Outcome::from_message(outcome)? })
    }
}

impl Wire for Counts {
    type Message = wire::CheckCounts;

    fn to_message(&self) -> wire::CheckCounts {
        let Self { repositories, tags, manifests, blobs, users, organizations } = *self;
        wire::CheckCounts { repositories, tags, manifests, blobs, users, organizations }
    }

    fn from_message(message: wire::CheckCounts) -> Result<Self, BadField> {
        let wire::CheckCounts { repositories, tags, manifests, blobs, users, organizations } = message;
        Ok(Self { repositories, tags, manifests, blobs, users, organizations })
    }
}

impl Wire for Checked {
    type Message = wire::CheckResponse;

    fn to_message(&self) -> wire::CheckResponse {
        wire::CheckResponse {
            findings: written_all(&self.findings),
            counts: Some(self.counts.to_message()),
            next: self.next.clone(),
        }
    }

    fn from_message(message: wire::CheckResponse) -> Result<Self, BadField> {
        let wire::CheckResponse { findings, counts, next } = message;
        Ok(Self { findings: read_all(findings)?, counts: read("counts", counts)?, next })
    }
}
