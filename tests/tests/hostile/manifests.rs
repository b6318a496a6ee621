//! Bodies that are no manifest that could be stored, each in a way of its own.

use oci::Digest;
use tests::image::{OCI_INDEX, OCI_MANIFEST};

use super::generator::Seeded;

type Kind = fn(&mut Seeded, &Digest) -> (String, Vec<u8>);

const KINDS: [Kind; 8] = [noise, cut_short, nested, key_twice, bad_size, loops, other_type, contradictory];

/// A media type and a body, of which at least one is wrong.
pub(crate) fn next(seeded: &mut Seeded, blob: &Digest) -> (String, Vec<u8>) {
    let kind = KINDS[seeded.below(KINDS.len())];
    kind(seeded, blob)
}

/// An image of nothing but blobs that are there.
fn good(blob: &Digest) -> String {
    let descriptor = descriptor(blob, "1");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{descriptor},"layers":[{descriptor}]}}"#
    )
}

fn descriptor(digest: &Digest, size: &str) -> String {
    format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":{size}}}"#)
}

fn image(body: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (OCI_MANIFEST.to_owned(), body.into())
}

fn index(children: &str) -> (String, Vec<u8>) {
    (OCI_INDEX.to_owned(), format!(r#"{{"schemaVersion":2,"manifests":[{children}]}}"#).into())
}

fn noise(seeded: &mut Seeded, _: &Digest) -> (String, Vec<u8>) {
    let length = seeded.below(4_000);
    image(tests::image::noise(seeded.below(1 << 30) as u64, length))
}

fn cut_short(seeded: &mut Seeded, blob: &Digest) -> (String, Vec<u8>) {
    let good = good(blob).into_bytes();
    let length = seeded.below(good.len());
    image(&good[..length])
}

fn nested(seeded: &mut Seeded, _: &Digest) -> (String, Vec<u8>) {
    let depth = 200 + seeded.below(10_000);
    let (open, close) = seeded.pick(&[&("[", "]"), &("{\"a\":", "}"), &("{\"manifests\":[", "]}")]);
    image(format!(r#"{{"schemaVersion":2,"layers":{}1{}}}"#, open.repeat(depth), close.repeat(depth)))
}

fn key_twice(seeded: &mut Seeded, blob: &Digest) -> (String, Vec<u8>) {
    let key = seeded.pick(&["layers", "config", "digest", "size", "schemaVersion", "mediaType"]);
    let other = match key {
        "digest" | "mediaType" => format!("{key:?}:\"x\",{key:?}:"),
        _ => format!("{key:?}:7,{key:?}:"),
    };
    image(good(blob).replacen(&format!("{key:?}:"), &other, 1))
}

fn bad_size(seeded: &mut Seeded, blob: &Digest) -> (String, Vec<u8>) {
    let size = seeded.pick(&[
        "-1",
        "1.5",
        "1e3",
        "18446744073709551616",
        "-0",
        "\"1\"",
        "[]",
        "9e999",
        "true",
        "00",
    ]);
    image(good(blob).replacen("\"size\":1", &format!("\"size\":{size}"), 1))
}

/// An index that names itself would have to know its own digest; two that name each other, each other's.
fn loops(seeded: &mut Seeded, _: &Digest) -> (String, Vec<u8>) {
    let itself = Digest::of_sha256(seeded.text("abcdef", 30).as_bytes());
    let children: Vec<_> =
        (0..=seeded.below(50)).map(|_| descriptor(&itself, &u64::MAX.to_string())).collect();
    index(&children.join(","))
}

fn other_type(seeded: &mut Seeded, blob: &Digest) -> (String, Vec<u8>) {
    let kind = seeded.pick(&["", "text/html", "application/json", "///", "a", OCI_INDEX, "\"", "a/b;c=d"]);
    let body = good(blob).replacen(&format!("\"mediaType\":\"{OCI_MANIFEST}\","), "", 1);
    (kind.to_owned(), body.into())
}

fn contradictory(seeded: &mut Seeded, blob: &Digest) -> (String, Vec<u8>) {
    let (field, value) = seeded.pick(&[
        &("\"schemaVersion\":2", "\"schemaVersion\":1"),
        &("\"schemaVersion\":2", "\"schemaVersion\":\"2\""),
        &("\"schemaVersion\":2", "\"schemaVersion\":2,\"manifests\":[]"),
        &("\"schemaVersion\":2", "\"schemaVersion\":2,\"Layers\":[]"),
        &("\"layers\":[", "\"layers\":{\"0\":["),
        &("\"config\":{", "\"config\":null,\"x\":{"),
        &("\"digest\":\"sha256:", "\"digest\":\"sha512:"),
    ]);
    image(good(blob).replacen(field, value, 1))
}
