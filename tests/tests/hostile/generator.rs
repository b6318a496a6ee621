//! Hostile requests that follow from a seed, each with what must be answered. Those that HTTP can read are sent
//! one behind the other on connections that stay; what makes a connection end is in `breaking.rs`.

use std::fmt::Write as _;

use oci::{ByteRange, Digest, Target};
use tests::wire::Asked;

use super::manifests;

/// What requests are about: things that exist, and the right to touch them.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// For all that may be done to `team/app`.
    pub(crate) token: String,
    /// A blob of `team/app`.
    pub(crate) blob: Digest,
    pub(crate) blob_bytes: u64,
    /// An upload of `team/app` that has two bytes.
    pub(crate) upload: String,
}

/// A request, and what it deserves.
#[derive(Debug)]
pub(crate) struct Hostile {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) asked: Asked,
    pub(crate) deserved: Deserved,
}

/// What must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deserved {
    /// One of these statuses, with an error as the specification writes it.
    Error(&'static [u16]),
    /// 400 or 413, with an error as OAuth writes it.
    GrantError,
    /// It is a good request after all.
    Status(u16),
}

const WRONG: Deserved = Deserved::Error(&[400, 404]);
const INVALID: Deserved = Deserved::Error(&[400]);
/// The kind of those that answer with problems (RFC 9457).
pub(crate) const MANAGEMENT: &str = "the management API";
const UNKNOWN: Deserved = Deserved::Error(&[404]);

/// xorshift64*: always the same from the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).unwrap() % limit
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Up to `longest` characters of `alphabet`, at least one.
    pub(crate) fn text(&mut self, alphabet: &str, longest: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..=self.below(longest)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

/// A request to be written out.
struct Request {
    method: String,
    target: String,
    headers: String,
    body: Vec<u8>,
}

impl Request {
    fn new(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.into(), target: target.into(), headers: String::new(), body: Vec::new() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        write!(self.headers, "{name}: {value}\r\n").unwrap();
        self
    }

    fn by(self, ground: &Ground) -> Self {
        let bearer = format!("Bearer {}", ground.token);
        self.with("Authorization", &bearer)
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.with("Content-Length", &length)
    }

    fn deserves(self, kind: &'static str, deserved: Deserved) -> Hostile {
        let Self { method, target, headers, body } = self;
        let asked = if method == "HEAD" { Asked::Head } else { Asked::Whole };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: hub.test\r\n{headers}\r\n");
        Hostile { kind, bytes: [head.into_bytes(), body].concat(), asked, deserved }
    }
}

type Kind = fn(&mut Seeded, &Ground) -> Hostile;

/// The kinds, and how often each comes among a thousand.
const KINDS: [(usize, Kind); 18] = [
    (90, broken_escape),
    (90, bad_name),
    (90, bad_reference),
    (80, bad_method),
    (80, bad_page),
    (80, bad_token),
    (60, bad_login),
    (60, bad_form),
    (100, bad_manifest),
    (60, bad_range),
    (40, bad_chunk_of_an_upload),
    (40, unknown_upload),
    (40, bad_mount),
    (30, unknown_things_to_delete),
    (30, other_apis),
    (18, odd_but_good),
    (10, long_headers),
    (2, wrong_blob_in_one_request),
];

/// The next request.
pub(crate) fn next(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let total: usize = KINDS.iter().map(|(weight, _)| weight).sum();
    let mut drawn = seeded.below(total);
    for (weight, kind) in KINDS {
        if drawn < weight {
            return kind(seeded, ground);
        }
        drawn -= weight;
    }
    unreachable!("drawn below the sum of the weights")
}

fn read_method(seeded: &mut Seeded) -> &'static str {
    seeded.pick(&["GET", "GET", "GET", "HEAD"])
}

fn broken_escape(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let escape = seeded.pick(&[
        "%",
        "%z",
        "%f",
        "%ff",
        "%00",
        "%c0%af",
        "%%",
        "%25",
        "%2",
        "%u0041",
        "%ed%a0%80",
        "%0d%0aX:%20y",
        "%+1",
        "%20",
    ]);
    let name = seeded.text("abc/", 8).replace("//", "/");
    let path = match seeded.below(3) {
        0 => format!("/v2/{name}{escape}/tags/list"),
        1 => format!("/v2/team/app/manifests/{escape}{}", seeded.text("v1.", 3)),
        _ => format!("/v2/team/app/blobs/sha256:{escape}"),
    };
    Request::new(read_method(seeded), path).by(ground).deserves("broken escape", WRONG)
}

/// A random path may be that of something that could be there.
fn deserved_by(path: &str, known: Deserved) -> Deserved {
    match Target::parse(path) {
        Err(_) => WRONG,
        Ok(target) if target.repository().is_some_and(|name| name.as_str() == "team/app") => known,
        Ok(_) => Deserved::Error(&[401]),
    }
}

fn bad_name(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let name = match seeded.below(3) {
        0 => seeded.text("abAB.-_/~@:!$&'()*,;=", 24),
        1 => seeded.text("a./-", 300),
        _ => {
            seeded.pick(&["..", ".", "a//b", "/", "-a", "a-", "_catalog", "a/_/b", "a/blobs", "A"]).to_owned()
        }
    };
    let rest =
        seeded.pick(&["tags/list", "manifests/v1", "blobs/uploads/0198c5f6-1f6c-4000-8000-000000000001"]);
    let path = format!("/v2/{name}/{rest}");
    let deserved = deserved_by(&path, UNKNOWN);
    Request::new(read_method(seeded), path).by(ground).deserves("bad name", deserved)
}

fn bad_reference(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let reference = match seeded.below(4) {
        0 => seeded.text("abAB.-_:@!$;=0123456789", 200),
        1 => format!("sha256:{}", seeded.text("0123456789abcdefABCDEFg", 80)),
        2 => format!("{}:{}", seeded.text("shamd5+._-", 9), seeded.text("0123456789abcdef", 128)),
        _ => format!("sha512:{}", seeded.text("0123456789abcdef", 200)),
    };
    let kind = seeded.pick(&["manifests", "blobs", "blobs/uploads"]);
    let path = format!("/v2/team/app/{kind}/{reference}");
    let deserved = deserved_by(&path, UNKNOWN);
    Request::new(read_method(seeded), path).by(ground).deserves("bad reference", deserved)
}

fn bad_method(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let method = match seeded.below(2) {
        0 => seeded
            .pick(&["BREW", "get", "PROPFIND", "M-SEARCH", "OPTIONS", "TRACE", "LINK", "PATCH", "POST"])
            .into(),
        _ => seeded.text("ABCDEFGHIJKLMNOP!#$&'*+-.^_`|~", 40),
    };
    let path = seeded.pick(&[
        "/v2/",
        "/v2/_catalog",
        "/v2/team/app/tags/list",
        "/v2/team/app/manifests/v1",
        "/token",
    ]);
    if method == "POST" && path == "/token" {
        return bad_form(seeded, ground);
    }
    Request::new(&method, path).by(ground).deserves("bad method", Deserved::Error(&[405]))
}

fn bad_page(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let digits = "9".repeat(1 + seeded.below(400));
    let query = match seeded.below(4) {
        0 => format!("n={}", seeded.pick(&["-1", "1e3", "%00", "+5", "", "0x10", "1.0", "%ef%bc%90", "NaN"])),
        1 => format!("last={}", seeded.text("!$'():@/%", 4).replace('%', "%25")),
        2 => format!("n={digits}&last={}", "a".repeat(129 + seeded.below(1_000))),
        _ => {
            let query = format!("{}n={digits}", "a=1&".repeat(seeded.below(10_000)));
            let request = Request::new("GET", format!("/v2/team/app/tags/list?{query}")).by(ground);
            return request.deserves("many parameters", Deserved::Status(200));
        }
    };
    Request::new("GET", format!("/v2/team/app/tags/list?{query}")).by(ground).deserves("bad page", INVALID)
}

fn bad_token(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let (head, signature) = ground.token.rsplit_once('.').unwrap();
    let (header, claims) = head.split_once('.').unwrap();
    let other = seeded.text("ABCDEFabcdef0123456789-_", 200);
    let authorization = match seeded.below(8) {
        0 => format!("Bearer {other}"),
        1 => format!("Bearer {head}.{other}"),
        2 => format!("Bearer {header}.{other}.{signature}"),
        3 => format!("Bearer {other}.{claims}.{signature}"),
        4 => format!("Bearer {}", ".".repeat(1 + seeded.below(2_000))),
        5 => format!("{} {}", seeded.text("abc-", 10), ground.token),
        6 => format!("Bearer eyJhbGciOiJub25lIn0.{claims}."),
        _ => format!("Bearer {}", "x".repeat(1 + seeded.below(50_000))),
    };
    let path = seeded.pick(&["/v2/", "/v2/team/app/tags/list", "/v2/team/app/blobs/uploads/"]);
    let method = if path.ends_with("uploads/") { "POST" } else { read_method(seeded) };
    let request = Request::new(method, path).with("Authorization", &authorization);
    request.deserves("bad token", Deserved::Error(&[401]))
}

fn bad_login(seeded: &mut Seeded, _: &Ground) -> Hostile {
    let login = match seeded.below(3) {
        0 => format!("Basic {}", seeded.text("!$%&()=", 100)),
        // Base64 of what has no colon, or is no UTF-8.
        1 => format!("Basic {}", seeded.pick(&["YWRtaW4=", "/////w==", "AAAA", ""])),
        _ => format!("{} YTpi", seeded.text("NTLMDigest", 10)),
    };
    let scope = seeded.text("repository:*%2,/", 60).replace('%', "%25");
    let request = Request::new("GET", format!("/token?scope={scope}&service=bucket"));
    request.with("Authorization", &login).deserves("bad login", Deserved::Error(&[401]))
}

fn bad_form(seeded: &mut Seeded, _: &Ground) -> Hostile {
    let form = "application/x-www-form-urlencoded";
    let (kind, body) = match seeded.below(4) {
        0 => (form, seeded.text("ab%=&+;", 400)),
        1 => (form, format!("grant_type={}", seeded.text("password%2", 20).replace("password", ""))),
        2 => (form, "grant_type=password&username=admin".to_owned()),
        _ => (
            seeded.pick(&["application/json", "", "text/plain;;", "*"]),
            "{\"grant_type\":\"password\"}".to_owned(),
        ),
    };
    Request::new("POST", "/token")
        .with("Content-Type", kind)
        .body(body)
        .deserves("bad form", Deserved::GrantError)
}

fn bad_manifest(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let (media_type, body) = manifests::next(seeded, &ground.blob);
    let reference = match seeded.below(4) {
        0 => Digest::of_sha256(b"something else").to_string(),
        _ => "v1".to_owned(),
    };
    let request = Request::new("PUT", format!("/v2/team/app/manifests/{reference}")).by(ground);
    let request = request.with("Content-Type", &media_type);
    // A chunk of no bytes would be the last.
    let request = if seeded.below(4) == 0 && !body.is_empty() {
        let chunked =
            [format!("{:x};a=\"b\"\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\nTrailer: x\r\n\r\n"]
                .concat();
        Request { body: chunked, ..request.with("Transfer-Encoding", "chunked") }
    } else {
        request.body(body)
    };
    request.deserves("bad manifest", INVALID)
}

fn bad_range(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let unit = seeded.pick(&["bytes=", "bytes=", "bytes=", "lines=", "bytes", "bytes =", "BYTES=", ""]);
    let number = |seeded: &mut Seeded| match seeded.below(4) {
        0 => String::new(),
        1 => seeded.text("0123456789", 30),
        2 => seeded.text("01", 2),
        _ => seeded.pick(&["-1", "+1", "0x1", "18446744073709551615", "18446744073709551616"]).to_owned(),
    };
    let (first, last, more) =
        (number(seeded), number(seeded), seeded.pick(&["", "", "", ",5-6", ",", ";q=1"]));
    let range = format!("{unit}{first}-{last}{more}");
    let deserved = match ByteRange::parse(range.trim()).map(|range| range.resolve(ground.blob_bytes)) {
        None => Deserved::Status(200),
        Some(Ok(_)) => Deserved::Status(206),
        Some(Err(_)) => Deserved::Error(&[416]),
    };
    let path = format!("/v2/team/app/blobs/{}", ground.blob);
    Request::new("GET", path).by(ground).with("Range", &range).deserves("bad range", deserved)
}

fn bad_chunk_of_an_upload(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let patch = || Request::new("PATCH", ground.upload.as_str()).by(ground);
    let put = |query: &str| Request::new("PUT", format!("{}?{query}", ground.upload)).by(ground);
    let body = "x".repeat(1 + seeded.below(100));
    let (request, deserved) = match seeded.below(6) {
        0 => {
            let range =
                seeded.pick(&["", "2-1", "-", "2-", "bytes */9", "a-b", "2-3/3", "2-18446744073709551616"]);
            (patch().with("Content-Range", range), INVALID)
        }
        1 => (
            patch().with("Content-Range", &format!("{0}-{0}", 3 + seeded.below(9_999))),
            Deserved::Error(&[416]),
        ),
        2 => (patch().with("Content-Range", &format!("2-{}", u64::MAX)), INVALID),
        3 => (put("digest=sha256:12"), INVALID),
        4 => (put(&seeded.text("abc=&", 20)), INVALID),
        _ => (
            put(&format!("digest={}&digest=x", ground.blob)).with("Content-Range", "0-0"),
            Deserved::Error(&[416]),
        ),
    };
    request.body(body).deserves("bad chunk of an upload", deserved)
}

fn unknown_upload(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let path = format!("/v2/team/app/blobs/uploads/0198c5f6-1f6c-4000-8000-{:012x}", seeded.below(1 << 30));
    let method = seeded.pick(&["PATCH", "PUT", "GET", "DELETE", "HEAD"]);
    let query = if method == "PUT" { format!("?digest={}", ground.blob) } else { String::new() };
    let request = Request::new(method, path + &query).by(ground);
    let request =
        if method.starts_with('P') { request.body("x".repeat(seeded.below(5_000))) } else { request };
    request.deserves("unknown upload", UNKNOWN)
}

fn bad_mount(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let query = match seeded.below(3) {
        0 => format!("mount={}&from=team/app", seeded.text("sha256:%", 80).replace('%', "%ff")),
        1 => format!("mount={}&from={}", ground.blob, seeded.text("ABC/_", 40)),
        _ => format!("digest={}", seeded.text("sha512:f", 140)),
    };
    Request::new("POST", format!("/v2/team/app/blobs/uploads/?{query}"))
        .by(ground)
        .body("")
        .deserves("bad mount", INVALID)
}

fn unknown_things_to_delete(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let unknown = Digest::of_sha256(seeded.text("ab", 20).as_bytes());
    let (path, deserved) = match seeded.below(3) {
        0 => (format!("manifests/{unknown}"), UNKNOWN),
        1 => (format!("manifests/no-{}", seeded.text("abc", 20)), UNKNOWN),
        _ => (format!("blobs/{unknown}"), UNKNOWN),
    };
    Request::new("DELETE", format!("/v2/team/app/{path}")).by(ground).deserves("delete", deserved)
}

fn other_apis(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let path = seeded.text("abcv12/._-", 60);
    let managed = ["/api", "/api/v1"];
    let root = seeded.pick(&["/v1", managed[0], managed[1]]);
    let kind = if managed.contains(&root) { MANAGEMENT } else { "another API" };
    let method = seeded.pick(&["GET", "POST", "PUT", "DELETE"]);
    Request::new(method, format!("{root}/{path}")).by(ground).deserves(kind, UNKNOWN)
}

/// What must be ignored, or taken as it is.
fn odd_but_good(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let noise = seeded.text("abc\",;=:[]()<>/\\ %", 200);
    let target = seeded.pick(&["/v2/", "http://other.test/v2/", "/v2?a=%", "/v2/?%00"]);
    let request = Request::new(read_method(seeded), target).by(ground);
    let name = seeded.pick(&[
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "Forwarded",
        "X-Request-Id",
        "Accept",
        "Cookie",
        "If-None-Match",
        "traceparent",
        "Content-Range",
        "Content-Type",
        "Range",
        "Expect",
    ]);
    request.with(name, noise.trim()).deserves("odd but good", Deserved::Status(200))
}

fn long_headers(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let (length, deserved) = match seeded.below(2) {
        0 => (1 + seeded.below(60_000), Deserved::Status(200)),
        _ => (66_000 + seeded.below(100_000), Deserved::Error(&[431])),
    };
    let request = Request::new("GET", "/v2/").by(ground);
    if seeded.below(2) == 0 {
        return request.with("X-Long", &"x".repeat(length)).deserves("a long header", deserved);
    }
    let count = 101 + seeded.below(300);
    let request = (0..count).fold(request, |request, number| request.with(&format!("X-{number}"), "y"));
    request.deserves("many headers", Deserved::Error(&[431]))
}

fn wrong_blob_in_one_request(seeded: &mut Seeded, ground: &Ground) -> Hostile {
    let body = seeded.text("abc", 5_000);
    let wrong = Digest::of_sha256(format!("not {body}").as_bytes());
    let request = Request::new("POST", format!("/v2/team/app/blobs/uploads/?digest={wrong}"));
    request.by(ground).body(body).deserves("a blob with another digest", INVALID)
}
