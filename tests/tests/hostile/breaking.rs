//! What HTTP itself refuses, or what makes a connection end: one request each.

use super::generator::{Ground, Seeded};

/// What is sent before this side says that nothing more comes, and which statuses may be answered.
#[derive(Debug)]
pub(crate) struct Breaking {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) deserved: &'static [u16],
}

type Kind = fn(&mut Seeded, &Ground) -> Breaking;

const KINDS: [Kind; 6] = [|seeded, _| no_http(seeded), bad_line, bad_header, bad_framing, bad_body, too_long];

/// The next one.
pub(crate) fn next(seeded: &mut Seeded, ground: &Ground) -> Breaking {
    let kind = KINDS[seeded.below(KINDS.len())];
    kind(seeded, ground)
}

fn breaking(kind: &'static str, bytes: impl Into<Vec<u8>>, deserved: &'static [u16]) -> Breaking {
    Breaking { kind, bytes: bytes.into(), deserved }
}

/// A closed connection is an answer to what is no HTTP.
const CLOSED: u16 = 0;

/// Noise, some of it behind the beginning of another protocol.
pub(crate) fn no_http(seeded: &mut Seeded) -> Breaking {
    let noise = tests::image::noise(seeded.below(1 << 30) as u64, 1 + seeded.below(2_000));
    let bytes = match seeded.below(3) {
        0 => noise,
        // A TLS handshake.
        1 => [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &noise[..]].concat(),
        _ => [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &noise[..]].concat(),
    };
    breaking("no HTTP", bytes, &[400, CLOSED])
}

fn bad_line(seeded: &mut Seeded, _: &Ground) -> Breaking {
    let line = seeded.pick(&[
        &b"GET /v2/\0 HTTP/1.1"[..],
        b"GET /v2/\xff\xfe/tags/list HTTP/1.1",
        b"GET /v2/\xc0\xaf HTTP/1.1",
        b"GET  /v2/ HTTP/1.1",
        b"GET /v2/ /v2/ HTTP/1.1",
        b"GET /v2/ HTTP/3.0",
        b"GET /v2/ HTTP/1.11",
        b"GET /v2/",
        b"G\0T /v2/ HTTP/1.1",
        b"GET /v2/<a>\x7f HTTP/1.1",
        b" GET /v2/ HTTP/1.1",
    ]);
    breaking("a bad request line", [line, b"\r\nHost: a\r\n\r\n"].concat(), &[400])
}

fn bad_header(seeded: &mut Seeded, _: &Ground) -> Breaking {
    let header = seeded.pick(&[
        "Host : a",
        "Host: a\r\n folded",
        "Host",
        ": a",
        "Host: a\r\nX\0: b",
        "Host: a\r\nX: b\0c",
        "Host: a\r\nX: b\rc",
        "Host: a\r\n\x01: c",
        "Host: a\r\nX\u{e9}: c",
        "Host: a\r\nTransfer-Encoding: gzip",
        "Host: a\r\nTransfer-Encoding: chunked, gzip",
        "Host: a\r\nContent-Length: -1",
        "Host: a\r\nContent-Length: +1",
        "Host: a\r\nContent-Length: 1e3",
        "Host: a\r\nContent-Length: 0x10",
        "Host: a\r\nContent-Length: 1, 1",
        "Host: a\r\nContent-Length: 99999999999999999999",
        "Host: a\r\nContent-Length: 18446744073709551615",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 2",
    ]);
    breaking("a bad header", format!("GET /v2/ HTTP/1.1\r\n{header}\r\n\r\nx"), &[400, 431])
}

fn put(ground: &Ground, headers: &str, body: &str) -> String {
    format!(
        "PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n{headers}\r\n\r\n{body}",
        ground.token
    )
}

/// What one server takes for a body, another may take for the next request: only one answer may come.
fn bad_framing(seeded: &mut Seeded, ground: &Ground) -> Breaking {
    let (length, chunked) = ("Content-Length: 3", "Transfer-Encoding: chunked");
    let both = if seeded.below(2) == 0 { [length, chunked] } else { [chunked, length] };
    let smuggled = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n";
    let body = format!("2\r\n{{}}\r\n0\r\n\r\n{smuggled}");
    breaking("two framings", put(ground, &both.join("\r\n"), &body), &[400])
}

fn bad_body(seeded: &mut Seeded, ground: &Ground) -> Breaking {
    let chunks = seeded.pick(&[
        "fffffffffffffffff\r\n{}",
        "ffffffffffffffff\r\n{}",
        "zz\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}xx0\r\n\r\n",
        "2\r\n{}\r\n",
        "\r\n\r\n",
        "",
    ]);
    let target = seeded.pick(&["manifests/v1", "blobs/uploads"]);
    let text = match seeded.below(3) {
        0 => put(ground, &format!("Content-Length: {}", 3 + seeded.below(1 << 30)), "{}"),
        1 => put(ground, "Transfer-Encoding: chunked", chunks),
        _ => put(ground, "Transfer-Encoding: chunked", chunks).replacen("manifests/v1", "manifests/%", 1),
    };
    let text = if target == "blobs/uploads" {
        let upload = ground.upload.trim_start_matches("/v2/team/app/");
        // The bytes that came would be kept, which is right: so the chunk must begin elsewhere.
        text.replacen("PUT", "PATCH", 1).replacen("manifests/v1", upload, 1).replacen(
            "Host: a",
            "Host: a\r\nContent-Range: 7-8",
            1,
        )
    } else {
        text
    };
    breaking("a bad body", text, &[400, 404, 405, 413, 416])
}

fn too_long(seeded: &mut Seeded, _: &Ground) -> Breaking {
    let long = "x".repeat(500_000 + seeded.below(100_000));
    match seeded.below(3) {
        0 => breaking(
            "a long line",
            format!("GET /v2/?{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            &[414, 431, CLOSED],
        ),
        1 => breaking(
            "a longer header",
            format!("GET /v2/ HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            &[431, CLOSED],
        ),
        _ => {
            let many = "X: y\r\n".repeat(600);
            breaking("more headers", format!("GET /v2/ HTTP/1.1\r\nHost: a\r\n{many}\r\n"), &[431])
        }
    }
}
