//! The blob contract over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use oci::{SessionId, Span};
use service_kit::grpc::{GrpcChannel, placed, streaming, unary};

use super::{
    Append, Appended, BlobError, Blobs, Delivery, Finish, Finished, Grant, HandoffPath, Opened, RedirectUrl,
};
use crate::{
    ByteStream, body,
    call::{self, MAX_MESSAGE_BYTES, concluded},
    convert::{BadField, Wire as _, parsed, read},
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

    async fn open(&self, grant: &Grant, span: Option<Span>, delivery: Delivery) -> Result<Opened, BlobError> {
        let attempted = "opening a blob";
        let message = wire::OpenRequest {
            grant: Some(grant.to_message()),
            span: span.as_ref().map(Span::to_message),
            delivery: Some(delivery.to_message()),
        };
        // Each replica may keep what it has read: the same content is read at the same one, as long as that can be.
        let request = placed(streaming(message), &grant.locator.content.to_string());
        let mut service = self.service.clone();
        let call = async {
            let mut messages = service.open(request).await?.into_inner();
            let first = messages.message().await?.and_then(|first| first.message);
            // Nothing follows: the end is heard here, because a call that is given up counts as misconduct.
            if matches!(first, Some(Message::Handoff(_) | Message::Redirect(_))) {
                messages.message().await?;
            }
            Ok((first, messages))
        };
        let (first, messages) = call::within(self.deadline, call)
            .await
            .map_err(|status| error_of::<BlobError>(attempted, &status))?;

        let announced = announced(first).map_err(|bad| call::unreadable::<BlobError>(attempted, &bad))?;
        let span = match announced {
            Announced::Bytes(span) => span,
            Announced::Handoff(path) => return Ok(Opened::Handoff { path }),
            Announced::Redirect(url) => return Ok(Opened::Redirect { url }),
        };
        let mut body = body::counted(messages, span.length);
        // Nobody asks for the bytes of nothing: the end is heard here.
        if span.length == 0 && body.next().await.is_some() {
            return Err(BlobError::Unavailable { attempted: attempted.into() });
        }
        Ok(Opened::Stream { span, body })
    }

    async fn discard(&self, session: &SessionId) -> Result<(), BlobError> {
        let message = wire::DiscardRequest { session: session.to_string() };
        let answer = self.service.clone().discard(unary(message, self.deadline)).await;

        concluded("discarding an upload", answer, |_| Ok(()))
    }
}

/// What the first message of an answer says.
enum Announced {
    Bytes(Span),
    Handoff(HandoffPath),
    Redirect(RedirectUrl),
}

fn announced(first: Option<Message>) -> Result<Announced, BadField> {
    match first {
        Some(Message::Header(header)) => read("span", header.span).map(Announced::Bytes),
        Some(Message::Handoff(path)) => parsed("handoff", &path).map(Announced::Handoff),
        Some(Message::Redirect(url)) => parsed("redirect", &url).map(Announced::Redirect),
        _ => Err(BadField::Absent { field: "header" }),
    }
}
