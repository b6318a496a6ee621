//! The bytes of an object on their way out. If they end too soon, it is asked for the rest of them, as often as requests
//! are attempted at all; they never come twice, and never with a gap.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use oci::Span;
use proto::{ByteStream, StreamError};
use service_kit::exchange::{Answer, ExchangeError};
use tokio::time::sleep;

use super::{container::Container, sessions::PAUSES};

/// What is still to come.
struct Rest {
    container: Arc<Container>,
    key: String,
    first: u64,
    bytes: u64,
    arriving: BoxStream<'static, Result<Bytes, ExchangeError>>,
    /// How often it has ended too soon.
    cut: usize,
}

/// The bytes of `span`, all of which exist and begin with those of `answer`.
pub(super) fn whole(container: Arc<Container>, key: String, span: Span, answer: Answer) -> ByteStream {
    let Span { first, length: bytes } = span;
    let rest = Rest { container, key, first, bytes, arriving: answer.stream(), cut: 0 };
    Box::pin(stream::try_unfold(rest, next))
}

async fn next(mut rest: Rest) -> Result<Option<(Bytes, Rest)>, StreamError> {
    while rest.bytes > 0 {
        if let Some(Ok(mut piece)) = rest.arriving.next().await {
            piece.truncate(usize::try_from(rest.bytes).unwrap_or(usize::MAX));
            rest.first += piece.len() as u64;
            rest.bytes -= piece.len() as u64;
            return Ok(Some((piece, rest)));
        }
        rest.go_on().await?;
    }
    Ok(None)
}

impl Rest {
    /// Asks for the rest.
    async fn go_on(&mut self) -> Result<(), StreamError> {
        let Some(pause) = PAUSES.get(self.cut).copied() else {
            tracing::error!(name = %self.key, "a blob cannot be read to its end: the store breaks off again and again");
            return Err(StreamError::Source);
        };
        self.cut += 1;
        sleep(pause).await;

        let span = Span { first: self.first, length: self.bytes };
        match self.container.reading(&self.key, span).await {
            Ok((answer, _)) if answer.status() != 416 => {
                self.arriving = answer.stream();
                Ok(())
            }
            Ok(_) => Err(StreamError::Source),
            Err(error) => {
                tracing::error!(name = %self.key, %error, "a blob cannot be read to its end");
                Err(StreamError::Source)
            }
        }
    }
}
