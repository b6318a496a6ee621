//! Quotas as messages.

use super::{BadField, Wire, read};
use crate::{
    metadata::quotas::{ByteLimit, Quota},
    wire,
};

impl Wire for ByteLimit {
    type Message = wire::ByteLimit;

    fn to_message(&self) -> wire::ByteLimit {
        wire::ByteLimit { bytes: self.bytes() }
    }

    fn from_message(message: wire::ByteLimit) -> Result<Self, BadField> {
        Ok(message.bytes.map_or(Self::Unlimited, Self::Bytes))
    }
}

impl Wire for Quota {
    type Message = wire::QuotaResponse;

    fn to_message(&self) -> wire::QuotaResponse {
        wire::QuotaResponse {
            used_bytes: self.used_bytes,
            own: self.own.as_ref().map(ByteLimit::to_message),
            limit: Some(self.limit.to_message()),
        }
    }

    fn from_message(message: wire::QuotaResponse) -> Result<Self, BadField> {
        Ok(Self {
            used_bytes: message.used_bytes,
            own: message.own.map(ByteLimit::from_message).transpose()?,
            limit: read("limit", message.limit)?,
        })
    }
}
