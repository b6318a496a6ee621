//! Bodies as messages, and back. A body that fails is sent as messages without an end, and an answer is
//! counted against the span it announces: a truncation never looks like a success.

use std::future::ready;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tonic::Status;

use crate::{
    ByteStream, StreamError,
    blob::Opened,
    convert::{BadField, Wire as _},
    empty_stream, wire,
};

// Larger messages would only cost memory: HTTP/2 frames are no larger either.
const MAX_DATA_BYTES: usize = 256 * 1024;

/// The messages of a request that has a body.
pub(crate) trait BodyMessage: Send + Sized + 'static {
    /// What the first message says.
    type Header: Send + 'static;

    fn header(header: Self::Header) -> Self;
    fn data(data: Bytes) -> Self;
    fn end() -> Self;

    /// None if it says nothing that we know.
    fn said(self) -> Option<Said<Self::Header>>;
}

/// What a message of a request says.
pub(crate) enum Said<H> {
    Header(H),
    Data(Bytes),
    End,
}

macro_rules! body_message {
    ($request:ident, $module:ident, $header:ident) => {
        impl BodyMessage for wire::$request {
            type Header = wire::$header;

            fn header(header: Self::Header) -> Self {
                Self { message: Some(wire::$module::Message::Header(header)) }
            }

            fn data(data: Bytes) -> Self {
                Self { message: Some(wire::$module::Message::Data(data)) }
            }

            fn end() -> Self {
                Self { message: Some(wire::$module::Message::End(wire::BodyEnd {})) }
            }

            fn said(self) -> Option<Said<Self::Header>> {
                Some(match self.message? {
                    wire::$module::Message::Header(header) => Said::Header(header),
                    wire::$module::Message::Data(data) => Said::Data(data),
                    wire::$module::Message::End(wire::BodyEnd {}) => Said::End,
                })
            }
        }
    };
}

body_message!(AppendRequest, append_request, AppendHeader);
body_message!(FinishRequest, finish_request, FinishHeader);

/// The messages that carry `header` and `body`; without an end if the body fails.
pub(crate) fn sent<M: BodyMessage>(
    header: M::Header,
    body: ByteStream,
) -> impl Stream<Item = M> + Send + 'static {
    let data = pieces(body).map_ok(M::data);
    let end = stream::once(ready(Ok(M::end())));

    stream::once(ready(Ok(M::header(header))))
        .chain(data)
        .chain(end)
        .scan((), |(), message| ready(message.ok()))
}

/// The same bytes, in pieces that fit into messages.
pub(crate) fn pieces(body: ByteStream) -> impl Stream<Item = Result<Bytes, StreamError>> + Send + 'static {
    stream::unfold((body, Bytes::new()), |(mut body, mut rest)| async move {
        while rest.is_empty() {
            match body.next().await? {
                Ok(chunk) => rest = chunk,
                Err(error) => return Some((Err(error), (body, rest))),
            }
        }

        let piece = rest.split_to(rest.len().min(MAX_DATA_BYTES));
        Some((Ok(piece), (body, rest)))
    })
}

/// The header and the body that `messages` carry.
pub(crate) async fn received<M, S>(mut messages: S) -> Result<(M::Header, ByteStream), Status>
where
    M: BodyMessage,
    S: Stream<Item = Result<M, Status>> + Send + Unpin + 'static,
{
    let first = messages.next().await.transpose()?.and_then(M::said);
    let Some(Said::Header(header)) = first else {
        return Err(BadField::Absent { field: "header" }.into());
    };

    let body = stream::unfold(Some(messages), |messages| async move {
        let mut messages = messages?;
        match messages.next().await {
            Some(Ok(message)) => match message.said() {
                Some(Said::Data(data)) => Some((Ok(data), Some(messages))),
                Some(Said::End) => None,
                Some(Said::Header(_)) | None => Some((Err(StreamError::Source), None)),
            },
            Some(Err(_)) | None => Some((Err(StreamError::Cut), None)),
        }
    });
    Ok((header, Box::pin(body)))
}

/// The messages of an answer that streams a blob, or says where it is.
pub(crate) fn opened(
    opened: Opened,
) -> impl Stream<Item = Result<wire::OpenResponse, Status>> + Send + 'static {
    use wire::open_response::Message;

    let (first, body) = match opened {
        Opened::Stream { span, body } => {
            (Message::Header(wire::OpenHeader { span: Some(span.to_message()) }), body)
        }
        Opened::Handoff { path } => (Message::Handoff(path.as_str().to_owned()), empty_stream()),
        Opened::Redirect { url } => (Message::Redirect(url.as_str().to_owned()), empty_stream()),
    };
    let first = stream::once(ready(Ok(first)));
    let data = pieces(body).map_ok(Message::Data).map_err(|error| Status::unavailable(error.to_string()));
    first.chain(data).map_ok(|message| wire::OpenResponse { message: Some(message) })
}

/// The `length` bytes that the rest of an answer carries; fewer, or more, are an error.
///
/// The last bytes are given out only with the end of the answer behind them: who knows the length asks for no
/// more, and a call that is dropped before its end is reset, which HTTP/2 counts as misconduct.
pub(crate) fn counted<S>(messages: S, length: u64) -> ByteStream
where
    S: Stream<Item = Result<wire::OpenResponse, Status>> + Send + Unpin + 'static,
{
    let body = stream::try_unfold((messages, length), |(mut messages, missing)| async move {
        let Some(data) = next_data(&mut messages, missing).await? else {
            return Ok(None);
        };
        let missing = missing - data.len() as u64;
        if missing == 0 && next_data(&mut messages, 0).await?.is_some() {
            return Err(interrupted("more came than was announced", 0));
        }
        Ok(Some((data, (messages, missing))))
    });
    Box::pin(body)
}

/// The next bytes, no more than are `missing`; none at the end, once nothing is.
async fn next_data<S>(messages: &mut S, missing: u64) -> Result<Option<Bytes>, StreamError>
where
    S: Stream<Item = Result<wire::OpenResponse, Status>> + Unpin,
{
    let Some(message) = messages.next().await else {
        return if missing == 0 { Ok(None) } else { Err(interrupted("it ended", missing)) };
    };

    let data = data_of(message).map_err(|why| interrupted(&why, missing))?;
    if data.len() as u64 > missing {
        return Err(interrupted("more came than was announced", missing));
    }
    Ok(Some(data))
}

fn data_of(message: Result<wire::OpenResponse, Status>) -> Result<Bytes, String> {
    match message.map_err(|status| status.to_string())?.message {
        Some(wire::open_response::Message::Data(data)) => Ok(data),
        _ => Err("a message came that is no data".to_owned()),
    }
}

fn interrupted(why: &str, missing: u64) -> StreamError {
    tracing::warn!(why, missing, "a blob was cut short on its way from the blob service");
    StreamError::Source
}
