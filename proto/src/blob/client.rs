//! The blob contract over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use oci::{SessionId, Span};
use service_kit::grpc::{GrpcChannel, streaming, unary};

use super::{Append, Appended, BlobError, Blobs, Finish, Finished, Grant, Opened};
use crate::{
    ByteStream, body,
    call::{self, MAX_MESSAGE_BYTES, concluded},
    convert::{BadField, Wire as _, read},
    status::error_of,
    wire::{self, blob_service_client::BlobServiceClient, open_response::Message},
};

/// The blob contract, over a channel.
#[derive(Debug, Clone)]
pub struct BlobClient {
    service: BlobServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl BlobClient {
    /// A client whose calls end after `deadline`, but for the time that a body takes.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = BlobServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Blobs for BlobClient {
    async fn append(&self, append: Append, body: ByteStream) -> Result<Appended, BlobError> {
        let messages = body::sent(append.to_message(), body);
        let answer = self.service.clone().append(streaming(messages)).await;

        concluded("appending to an upload", answer, |answer| read("appended", answer.appended))
    }

    async fn finish(&self, finish: Finish, last: ByteStream) -> Result<Finished, BlobError> {
        let messages = body::sent(finish.to_message(), last);
        let answer = self.service.clone().finish(streaming(messages)).await;

        concluded("finishing an upload", answer, Finished::from_message)
    }

    async fn open(&self, grant: &Grant, span: Option<Span>) -> Result<Opened, BlobError> {
        let attempted = "opening a blob";
        let message =
            wire::OpenRequest { grant: Some(grant.to_message()), span: span.as_ref().map(Span::to_message) };
        let mut service = self.service.clone();
        let call = async {
            let mut messages = service.open(streaming(message)).await?.into_inner();
            let first = messages.message().await?;
            Ok((first, messages))
        };
        let (first, messages) = call::within(self.deadline, call)
            .await
            .map_err(|status| error_of::<BlobError>(attempted, &status))?;

        let span = announced(first).map_err(|bad| call::unreadable::<BlobError>(attempted, &bad))?;
        let mut body = body::counted(messages, span.length);
        // Nobody asks for the bytes of nothing: the end is heard here.
        if span.length == 0 && body.next().await.is_some() {
            return Err(BlobError::Unavailable { attempted: attempted.into() });
        }
        Ok(Opened { span, body })
    }

    async fn discard(&self, session: &SessionId) -> Result<(), BlobError> {
        let message = wire::DiscardRequest { session: session.to_string() };
        let answer = self.service.clone().discard(unary(message, self.deadline)).await;

        concluded("discarding an upload", answer, |_| Ok(()))
    }
}

fn announced(first: Option<wire::OpenResponse>) -> Result<Span, BadField> {
    match first.and_then(|first| first.message) {
        Some(Message::Header(header)) => read("span", header.span),
        _ => Err(BadField::Absent { field: "header" }),
    }
}
