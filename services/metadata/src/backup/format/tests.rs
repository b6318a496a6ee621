//! A dump is read as it was written, and in no other way.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use proptest::{collection::vec, prelude::*};

use super::{
    BLOCK_ENTRIES, Bytes, Consistency, DamagedAt, Encoder, Entry, Field, FormatError, HEADER_BYTES, Header,
    Key, LONGEST_BLOCK_BYTES, Part, Reader, Timestamp, Trailer, Ulid,
};

fn header() -> Header {
    Header {
        schema: 1,
        id: Ulid(7),
        taken: Timestamp::from_millisecond(1_893_456_000_000).unwrap(),
        consistency: Consistency::OneMoment,
    }
}

fn encoded(entries: &[Entry]) -> (Vec<u8>, Trailer) {
    let (mut encoder, first) = Encoder::begin(&header());
    let mut dump = first.to_vec();
    for entry in entries {
        if let Some(block) = encoder.add(entry) {
            dump.extend_from_slice(&block);
        }
    }
    let (last, trailer) = encoder.finish();
    dump.extend_from_slice(&last);
    (dump, trailer)
}

/// All that can be read, and how it ended.
fn read(dump: &[u8], piece_bytes: usize) -> (Vec<Entry>, Result<Option<Trailer>, FormatError>) {
    let (mut reader, mut entries, mut trailer) = (Reader::default(), Vec::new(), None);
    for piece in dump.chunks(piece_bytes) {
        reader.feed(piece);
        loop {
            match reader.part() {
                Ok(Some(Part::Header(read))) => assert_eq!(read, header()),
                Ok(Some(Part::Block(block))) => entries.extend(block.0),
                Ok(Some(Part::Trailer(read))) => trailer = Some(read),
                Ok(None) => break,
                Err(error) => return (entries, Err(error)),
            }
        }
    }
    let ended = reader.end();
    (entries, ended.map(|()| trailer))
}

fn numbered(count: usize) -> Vec<Entry> {
    let entry = |number: usize| {
        let (key, name) = (Key::new(format!("key {number}")), format!("name {number}"));
        match number % 3 {
            0 => Entry::Value(key, Bytes::from(name)),
            1 => Entry::Field(key, Field::new(name), Bytes::from_static(b"")),
            _ => Entry::Member(key, Bytes::from(name)),
        }
    };
    (0..count).map(entry).collect()
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let name = || vec(any::<u8>(), 1..40).prop_map(Bytes::from);
    let value = vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    let entry = (0..3, name(), name(), value).prop_map(|(kind, key, name, value)| match kind {
        0 => Entry::Value(Key::new(key), value),
        1 => Entry::Field(Key::new(key), Field::new(name), value),
        _ => Entry::Member(Key::new(key), name),
    });
    vec(entry, 0..1_200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_written_is_read_in_pieces_of_any_size(entries in entries(), piece_bytes in 1_usize..5_000) {
        let (dump, trailer) = encoded(&entries);
        let (found, ended) = read(&dump, piece_bytes);
        prop_assert_eq!(found, entries);
        prop_assert_eq!(ended, Ok(Some(trailer)));
    }

    #[test]
    fn no_bytes_make_it_panic_or_pass(bytes in vec(any::<u8>(), 0..600), header in any::<bool>()) {
        let mut dump = if header { encoded(&[]).0[..HEADER_BYTES + 32].to_vec() } else { Vec::new() };
        dump.extend_from_slice(&bytes);
        let (found, ended) = read(&dump, 64);
        prop_assert!(found.is_empty() && ended.is_err());
    }
}

#[test]
fn a_dump_that_ends_anywhere_before_its_end_was_cut_short() {
    let (dump, _) = encoded(&numbered(1_100));
    let whole = numbered(1_100);
    for length in (0..dump.len()).step_by(7).chain([dump.len() - 1]) {
        let (found, ended) = read(&dump[..length], 4_096);
        assert!(matches!(ended, Err(FormatError::Cut { .. })), "{length}: {ended:?}");
        assert!(found.len().is_multiple_of(BLOCK_ENTRIES) || found.len() == whole.len(), "half a block");
        assert_eq!(found, whole[..found.len()]);
    }
}

#[test]
fn no_bit_can_be_another_and_nothing_of_its_block_is_given_out() {
    let whole = numbered(600);
    let (dump, _) = encoded(&whole);
    for at in (0..dump.len()).step_by(11).chain([HEADER_BYTES, dump.len() - 1]) {
        let mut altered = dump.clone();
        altered[at] ^= 1 << (at % 8);
        let (found, ended) = read(&altered, 4_096);
        assert!(ended.is_err(), "byte {at}");
        assert!(found.len().is_multiple_of(BLOCK_ENTRIES) || found.len() == whole.len(), "half a block");
        assert_eq!(found, whole[..found.len()], "byte {at}");
    }
}

#[test]
fn blocks_cannot_be_left_out_or_change_places() {
    let (dump, _) = encoded(&numbered(1_500));
    let first = HEADER_BYTES + 32;
    let length = |at: usize| 5 + u32::from_be_bytes(dump[at + 1..at + 5].try_into().unwrap()) as usize + 32;
    let second = first + length(first);
    let third = second + length(second);

    let without = [&dump[..second], &dump[third..]].concat();
    let exchanged = [&dump[..first], &dump[second..third], &dump[first..second], &dump[third..]].concat();
    let place = DamagedAt::Frame { blocks: 1, byte: second as u64 };
    assert!(matches!(read(&without, 999).1, Err(FormatError::Damaged { place: at, .. }) if at == place));
    assert!(matches!(read(&exchanged, 999).1, Err(FormatError::Damaged { .. })));

    let more = [&dump[..], b"more"].concat();
    let end = DamagedAt::End;
    assert!(matches!(read(&more, 999).1, Err(FormatError::Damaged { place: at, .. }) if at == end));
}

#[test]
fn a_length_that_cannot_be_is_refused_before_anything_of_it_has_come() {
    let mut reader = Reader::default();
    reader.feed(&encoded(&[]).0[..HEADER_BYTES + 32]);
    assert!(matches!(reader.part(), Ok(Some(Part::Header(_)))));
    let too_long = u32::try_from(LONGEST_BLOCK_BYTES + 1).unwrap();
    reader.feed(&[&b"B"[..], &too_long.to_be_bytes()].concat());
    assert!(matches!(reader.part(), Err(FormatError::Damaged { .. })));
}

#[test]
fn what_a_later_release_or_another_program_wrote_is_refused_by_name() {
    let (mut dump, _) = encoded(&numbered(3));
    dump[9] = 9;
    assert_eq!(read(&dump, 1).1, Err(FormatError::Newer { found: 9 }));
    assert_eq!(read(b"PK\x03\x04 and so on", 1_000).1, Err(FormatError::Unknown));
}

#[test]
fn entries_that_no_engine_takes_are_refused_even_with_the_right_digest() {
    let bytes = Bytes::from_static;
    let hostile = [
        Entry::Value(Key::new(Bytes::new()), bytes(b"no key")),
        Entry::Member(Key::new("key"), Bytes::new()),
        Entry::Member(Key::new("key"), vec![7; 1_025].into()),
        Entry::Field(Key::new(vec![7; 1_025]), Field::from_static("Name"), Bytes::new()),
    ];
    for entry in hostile {
        let (dump, _) = encoded(std::slice::from_ref(&entry));
        let (found, ended) = read(&dump, 999);
        assert!(found.is_empty(), "{entry:?}");
        assert!(matches!(ended, Err(FormatError::Damaged { .. })), "{entry:?}: {ended:?}");
    }
}
