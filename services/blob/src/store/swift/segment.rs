//! A segment in what is kept of a part: one text, because that is what other stores keep there too.

use std::{fmt, str::FromStr};

use oci::Generation;

use super::container::Piece;
use crate::{
    layout,
    store::object::part::{Opened, State},
};

/// Bytes of an upload that are an object by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// The part that brought its last byte.
    pub(super) by: Generation,
    /// Its MD5 in hex.
    pub(super) etag: String,
    pub(super) size_bytes: u64,
}

/// A text is no segment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the part is damaged, or of another version of this service: it does not say which segments there are"
)]
pub(super) struct Unreadable;

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.by, self.etag, self.size_bytes)
    }
}

impl FromStr for Segment {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let words: Vec<&str> = text.split(' ').collect();
        let [by, etag, size] = words[..] else { return Err(Unreadable) };
        if etag.len() != 32 || !etag.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(Unreadable);
        }
        let by = by.parse().map_err(|_| Unreadable)?;
        let size_bytes = size.parse().map_err(|_| Unreadable)?;
        Ok(Self { by, etag: etag.to_owned(), size_bytes })
    }
}

impl Segment {
    /// What it is in a manifest of the bytes of `generation`.
    pub(super) fn piece(self, generation: &Generation, index: usize) -> Piece {
        let key = layout::segment(generation, index, &self.by);
        Piece { key, etag: self.etag, size_bytes: self.size_bytes }
    }
}

/// All segments that `state` knows, in order.
pub(super) fn pieces(state: &State) -> Result<Vec<Piece>, Unreadable> {
    let Some(Opened { generation, parts, bytes, .. }) = &state.opened else { return Ok(Vec::new()) };
    let segments = parts.iter().enumerate().map(|(index, text)| -> Result<Piece, Unreadable> {
        let segment: Segment = text.parse()?;
        Ok(segment.piece(generation, index))
    });
    let pieces: Vec<Piece> = segments.collect::<Result<_, _>>()?;
    let sum = pieces.iter().try_fold(0_u64, |sum, piece| sum.checked_add(piece.size_bytes));
    if sum == Some(*bytes) { Ok(pieces) } else { Err(Unreadable) }
}

#[cfg(test)]
mod tests {
    use super::{Opened, Segment, State, pieces};

    const FIRST: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

    fn state(parts: Vec<String>, bytes: u64) -> State {
        let opened = Opened { generation: FIRST.parse().unwrap(), id: String::new(), parts, bytes };
        State { start: 0, end: bytes, opened: Some(opened) }
    }

    #[test]
    fn a_segment_is_read_as_it_was_written() {
        let segment = Segment { by: FIRST.parse().unwrap(), etag: MD5.to_owned(), size_bytes: 8 };

        let read = pieces(&state(vec![segment.to_string()], 8)).unwrap();

        assert_eq!(read, [segment.piece(&FIRST.parse().unwrap(), 0)]);
        assert_eq!(read[0].key, format!("data/{FIRST}/000000-{FIRST}"));
    }

    #[test]
    fn what_is_no_list_of_segments_is_refused() {
        let good = format!("{FIRST} {MD5} 8");
        let (longer, other) = (format!("{good} "), format!("{FIRST} x 8"));
        for (text, bytes) in [(&good[..], 9), ("", 8), (&good[1..], 8), (&longer[..], 8), (&other[..], 8)] {
            assert!(pieces(&state(vec![text.to_owned()], bytes)).is_err(), "{text:?}");
        }
    }
}
