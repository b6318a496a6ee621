//! The one log line of a request, written when its answer has ended or was cut off.

use std::time::Instant;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode, header::CONTENT_LENGTH};

use super::{super::admission::Place, super::body::Follow, ClientAddress, Delivered};
use crate::request_id::RequestId;

/// A path may have 64 KiB, and whoever sends it may send it often.
const LONGEST_PATH_BYTES: usize = 1024;

/// The path of a request as it is logged and traced.
pub(super) fn path(request: &Request<Body>) -> &str {
    let path = request.uri().path();
    &path[..path.floor_char_boundary(LONGEST_PATH_BYTES)]
}

pub(super) struct Line {
    method: Method,
    path: String,
    client: ClientAddress,
    id: RequestId,
    start: Instant,
    status: Option<StatusCode>,
    bytes: usize,
    /// What the answer announces, if it does: hyper drops a body with its last byte, before its end is seen.
    announced: Option<usize>,
    end: End,
    delivered: Option<&'static str>,
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Complete,
    CutOff,
}

impl Line {
    pub(super) fn new(request: &Request<Body>, client: ClientAddress, id: &RequestId) -> Self {
        Self {
            method: request.method().clone(),
            // Without the query: it may hold what nobody should read.
            path: path(request).to_owned(),
            client,
            id: id.clone(),
            start: Instant::now(),
            status: None,
            bytes: 0,
            announced: None,
            end: End::CutOff,
            delivered: None,
            place: None,
        }
    }

    /// Keeps a place among the requests at work until the end of the answer.
    pub(super) fn hold(&mut self, place: Place) {
        self.place = Some(place);
    }

    pub(super) fn answered(&mut self, answer: &Response<Body>) {
        self.status = Some(answer.status());
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        self.delivered = answer.extensions().get::<Delivered>().map(|delivered| delivered.0);
        self.announced = length.and_then(|length| length.parse().ok());
    }
}

impl Follow for Line {
    fn data(&mut self, bytes: usize) {
        self.bytes += bytes;
        if Some(self.bytes) == self.announced {
            self.end = End::Complete;
        }
    }

    fn finished(&mut self) {
        self.end = End::Complete;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.place.take());
        tracing::info!(
            request_id = %self.id,
            method = %self.method,
            path = self.path,
            status = self.status.map_or(0, |status| status.as_u16()),
            bytes = self.bytes,
            milliseconds = self.start.elapsed().as_millis(),
            client = %self.client.0,
            end = ?self.end,
            delivered = self.delivered,
            "request"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_cut_between_two_characters() {
        let long = format!("/{}", "é".repeat(1_000));
        let request = Request::get(&long).body(Body::empty()).unwrap();
        assert_eq!(path(&request), &long[..LONGEST_PATH_BYTES - 1]);
    }
}
