//! Identities over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::EventId;
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::grpc::{GrpcChannel, unary};

use super::{
    Asker, Deed, Identities, IdentityError, IssuedCredential, NewAccount, PasswordChange, Permit,
    WantedCredential,
};
use crate::{
    call::{MAX_MESSAGE_BYTES, concluded},
    convert::{Wire as _, identities, printed, read, read_all},
    metadata::credentials::Revocation,
    wire::{self, identity_service_client::IdentityServiceClient},
};

/// Identities, over a channel.
#[derive(Debug, Clone)]
pub struct IdentitiesClient {
    service: IdentityServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl IdentitiesClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = IdentityServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Identities for IdentitiesClient {
    async fn authorize(&self, asker: &Asker, deed: &Deed) -> Result<Permit, IdentityError> {
        let message =
            wire::AuthorizeRequest { asker: Some(asker.to_message()), deed: Some(deed.to_message()) };
        let answer = self.service.clone().authorize(unary(message, self.deadline)).await;

        concluded("asking who may do what", answer, Permit::from_message)
    }

    async fn sign_up(&self, asker: &Asker, new: &NewAccount) -> Result<(), IdentityError> {
        let message = identities::sign_up_request(asker, new);
        let answer = self.service.clone().sign_up(unary(message, self.deadline)).await;

        concluded("signing up", answer, |_| Ok(()))
    }

    async fn change_password(&self, asker: &Asker, change: &PasswordChange) -> Result<(), IdentityError> {
        let message = identities::change_password_request(asker, change);
        let answer = self.service.clone().change_password(unary(message, self.deadline)).await;

        concluded("changing a password", answer, |_| Ok(()))
    }

    async fn sign_in(
        &self,
        asker: &Asker,
        code: Option<&SecretString>,
    ) -> Result<IssuedCredential, IdentityError> {
        let code = code.map(|code| code.expose_secret().to_owned());
        let message = wire::SignInRequest { asker: Some(asker.to_message()), code };
        let answer = self.service.clone().sign_in(unary(message, self.deadline)).await;

        concluded("signing in", answer, |answer| read("issued", answer.issued))
    }

    async fn issue_credential(
        &self,
        asker: &Asker,
        wanted: &WantedCredential,
    ) -> Result<IssuedCredential, IdentityError> {
        let message = identities::issue_credential_request(asker, wanted);
        let answer = self.service.clone().issue_credential(unary(message, self.deadline)).await;

        concluded("issuing a credential", answer, |answer| read("issued", answer.issued))
    }

    async fn revocations(&self, after: Option<&EventId>) -> Result<Vec<Revocation>, IdentityError> {
        let message = wire::RevokedRequest { after: printed(after) };
        let answer = self.service.clone().revoked(unary(message, self.deadline)).await;

        concluded("reading what was revoked", answer, |answer| read_all(answer.revocations))
    }
}
