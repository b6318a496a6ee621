//! Lists of referrers as messages.

use oci::Descriptor;

use super::{BadField, Wire, parsed, parsed_option, printed, read_all, written_all};
use crate::{
    metadata::{
        More,
        repositories::{Manifest, ReferrerPlace, Referrers, WantedReferrers},
    },
    wire,
};

impl Wire for ReferrerPlace {
    type Message = wire::ReferrerPlace;

    fn to_message(&self) -> wire::ReferrerPlace {
        wire::ReferrerPlace {
            artifact_type: printed(self.artifact_type.as_ref()).unwrap_or_default(),
            digest: self.digest.to_string(),
        }
    }

    fn from_message(message: wire::ReferrerPlace) -> Result<Self, BadField> {
        let artifact_type = Some(message.artifact_type.as_str()).filter(|text| !text.is_empty());
        Ok(Self {
            artifact_type: parsed_option("artifact_type", artifact_type)?,
            digest: parsed("digest", &message.digest)?,
        })
    }
}

impl Wire for WantedReferrers {
    type Message = wire::ReferrersRequest;

    fn to_message(&self) -> wire::ReferrersRequest {
        wire::ReferrersRequest {
            repository: self.repository.to_string(),
            subject: self.subject.to_string(),
            artifact_type: printed(self.artifact_type.as_ref()),
            after: self.after.as_ref().map(ReferrerPlace::to_message),
            limit: u32::try_from(self.limit).unwrap_or(u32::MAX),
        }
    }

    fn from_message(message: wire::ReferrersRequest) -> Result<Self, BadField> {
        Ok(Self {
            repository: parsed("repository", &message.repository)?,
            subject: parsed("subject", &message.subject)?,
            artifact_type: parsed_option("artifact_type", message.artifact_type.as_deref())?,
            after: message.after.map(ReferrerPlace::from_message).transpose()?,
            limit: usize::try_from(message.limit).map_err(|why| BadField::unreadable("limit", why))?,
        })
    }
}

impl Wire for Descriptor {
    type Message = wire::Descriptor;

    fn to_message(&self) -> wire::Descriptor {
        wire::Descriptor {
            media_type: self.media_type.to_string(),
            digest: self.digest.to_string(),
            size_bytes: self.size,
            artifact_type: printed(self.artifact_type.as_ref()),
            annotations: self.annotations.clone().into_iter().collect(),
        }
    }

    fn from_message(message: wire::Descriptor) -> Result<Self, BadField> {
        Ok(Self {
            media_type: parsed("media_type", &message.media_type)?,
            digest: parsed("digest", &message.digest)?,
            size: message.size_bytes,
            artifact_type: parsed_option("artifact_type", message.artifact_type.as_deref())?,
            annotations: message.annotations.into_iter().collect(),
            // A manifest is had from here.
            urls: Vec::new(),
        })
    }
}

impl Wire for Referrers {
    type Message = wire::ReferrersResponse;

    fn to_message(&self) -> wire::ReferrersResponse {
        wire::ReferrersResponse {
            referrers: written_all(&self.entries),
            more: self.more.to_message(),
            fallback: self.fallback.as_ref().map(Manifest::to_message),
        }
    }

    fn from_message(message: wire::ReferrersResponse) -> Result<Self, BadField> {
        Ok(Self {
            entries: read_all(message.referrers)?,
            more: More::from_message(message.more)?,
            fallback: message.fallback.map(Manifest::from_message).transpose()?,
        })
    }
}
