//! Token requests, tokens and keys as messages.

use std::time::Duration;

use bytes::Bytes;
use oci::Scope;
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::grpc::calling_account;

use super::{BadField, Wire, address, bytes_32, printed, printed_all, subject, timestamp};
use crate::{
    auth::{Credentials, IssuedToken, KeyId, Offline, PublicKey, TokenRequest, VerificationKey},
    wire,
};

impl Wire for Credentials {
    type Message = wire::Credentials;

    fn to_message(&self) -> wire::Credentials {
        wire::Credentials {
            username: self.username.clone(),
            password: self.password.expose_secret().to_owned(),
        }
    }

    fn from_message(message: wire::Credentials) -> Result<Self, BadField> {
        Ok(Self { username: message.username, password: SecretString::from(message.password) })
    }
}

impl Wire for TokenRequest {
    type Message = wire::TokenRequest;

    fn to_message(&self) -> wire::TokenRequest {
        wire::TokenRequest {
            credentials: self.credentials.as_ref().map(Credentials::to_message),
            service: self.service.clone(),
            scopes: printed_all(&self.scopes),
            address: printed(self.address.as_ref()),
            offline: self.offline == Offline::Wanted,
        }
    }

    fn from_message(message: wire::TokenRequest) -> Result<Self, BadField> {
        Ok(Self {
            credentials: message.credentials.map(Credentials::from_message).transpose()?,
            service: message.service,
            scopes: scopes(&message.scopes)?,
            // Only the hub's own services are believed where somebody is: guesses are counted by that.
            address: address(message.address.as_deref().filter(|_| calling_account().is_none()))?,
            offline: if message.offline { Offline::Wanted } else { Offline::Not },
        })
    }
}

impl Wire for IssuedToken {
    type Message = wire::TokenResponse;

    fn to_message(&self) -> wire::TokenResponse {
        wire::TokenResponse {
            token: self.token.expose_secret().to_owned(),
            subject: self.subject.to_string(),
            scopes: printed_all(&self.scopes),
            issued_at_ms: self.issued_at.as_millisecond(),
            expires_in_seconds: u32::try_from(self.expires_in.as_secs()).unwrap_or(u32::MAX),
            refresh_token: self.refresh_token.as_ref().map(|token| token.expose_secret().to_owned()),
        }
    }

    fn from_message(message: wire::TokenResponse) -> Result<Self, BadField> {
        Ok(Self {
            token: SecretString::from(message.token),
            subject: subject("subject", &message.subject)?,
            scopes: scopes(&message.scopes)?,
            issued_at: timestamp("issued_at_ms", message.issued_at_ms)?,
            expires_in: Duration::from_secs(message.expires_in_seconds.into()),
            refresh_token: message.refresh_token.map(SecretString::from),
        })
    }
}

impl Wire for VerificationKey {
    type Message = wire::VerificationKey;

    fn to_message(&self) -> wire::VerificationKey {
        let bytes = Bytes::from(self.public_key.bytes());
        let (public_key, p256_public_key) = match &self.public_key {
            PublicKey::Ed25519(_) => (bytes, Bytes::new()),
            PublicKey::P256 { .. } => (Bytes::new(), bytes),
        };
        wire::VerificationKey { id: self.id.0.clone(), public_key, p256_public_key }
    }

    fn from_message(message: wire::VerificationKey) -> Result<Self, BadField> {
        let wire::VerificationKey { id, public_key, p256_public_key } = message;
        let public_key = if p256_public_key.is_empty() {
            PublicKey::Ed25519(bytes_32("public_key", &public_key)?)
        } else {
            let point = PublicKey::of_point(&p256_public_key);
            point.ok_or_else(|| BadField::unreadable("p256_public_key", "it is no uncompressed point"))?
        };
        Ok(Self { id: KeyId(id), public_key })
    }
}

fn scopes(texts: &[String]) -> Result<Vec<Scope>, BadField> {
    let scope = |text: &String| Scope::parse(text).map_err(|why| BadField::unreadable("scopes", why));
    texts.iter().map(scope).collect()
}
