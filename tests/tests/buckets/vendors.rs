//! The same over the rules that vendors have written down, each kept by a proxy: what a store must do, blobs that are
//! larger than a vendor takes at once, and requests that it would refuse.

use std::sync::Arc;

use blob::{
    layout::ObjectName,
    store::{
        self, Store as _,
        object::{Scale, Vendor, Wire},
    },
};
use proto::{
    blob::{Blobs as _, suite},
    empty_stream,
};
use reqwest::{Body, Client, Method, Proxy, RequestBuilder, Response, header::HeaderValue};
use rstest::rstest;
use service_kit::clock::ManualClock;
use tests::{
    address, image,
    seaweed::{Seaweed, WRONG_SECRET, bucket_of},
    strict::{
        Behind, Strict,
        rules::{Habit, REGION, Rules},
    },
};

use super::{append, finish, harness, published, pulled, replica, session};

/// A gigabyte is a megabyte here, and ten parts are one.
const SMALL: Scale = Scale { bytes: 1_000, parts: 10 };
const GIB: usize = 1 << 30;
/// What parts have at first.
const FIRST_BYTES: usize = (8 << 20) / 1_000;

fn nothing() -> Vec<String> {
    Vec::new()
}

#[rstest]
#[case::s3(Vendor::S3)]
#[case::oss(Vendor::Oss)]
#[case::cos(Vendor::Cos)]
#[case::kodo(Vendor::Kodo)]
#[case::bos(Vendor::Bos)]
#[tokio::test]
async fn a_vendor_is_asked_for_nothing_that_it_does_not_document(#[case] vendor: Vendor) {
    let _seaweed = Seaweed::start();
    let way = Strict::start(Seaweed::behind(), Rules::of(vendor)).await;
    let wire = Wire::default().through(way.listens_at());
    let objects = Seaweed::open_as(vendor, wire, &[]).await.unwrap();
    let clock = Arc::new(ManualClock::default());

    store::suite::run(&objects).await;
    suite::run(&harness(replica(&objects, &clock, 1), &clock)).await;

    assert_eq!(way.refused(), nothing());
    assert!(way.passed() > 100, "only {} requests came this way", way.passed());
}

#[rstest]
#[case::s3(Vendor::S3)]
#[case::oss(Vendor::Oss)]
#[case::cos(Vendor::Cos)]
#[case::kodo(Vendor::Kodo)]
#[case::bos(Vendor::Bos)]
#[tokio::test]
async fn what_is_too_large_for_one_request_comes_in_parts_that_grow(#[case] vendor: Vendor) {
    let _seaweed = Seaweed::start();
    let rules = Rules::of(vendor).scaled(SMALL);
    let way = Strict::start(Seaweed::behind(), rules).await;
    let wire = Wire::default().through(way.listens_at()).scaled(SMALL);
    let objects = Seaweed::open_as(vendor, wire, &[]).await.unwrap();
    let blobs = replica(&objects, &Arc::new(ManualClock::default()), 1);

    for (number, size) in [(6, 6 * GIB / 1_000), (11, 11 * GIB / 1_000)] {
        let content = image::noise(u64::from(number), size);
        assert!(content.len() as u64 > rules.limits.largest_part_bytes, "it would fit into one part");
        let mut recorded = Vec::new();
        for piece in content.chunks(size / 3 + 1) {
            recorded.push(append(&blobs, session(number), &recorded, piece).await);
        }
        let asked = finish(session(number), &recorded, image::digest(&content));
        let locator = published(blobs.finish(asked, empty_stream()).await);

        assert!(pulled(&blobs, &locator, content.len()).await.unwrap() == content, "{size} bytes");
    }
    assert!(11 * GIB / 1_000 / FIRST_BYTES > rules.limits.parts, "it would fit into parts that do not grow");
    assert_eq!(way.refused(), nothing());
}

#[tokio::test]
async fn what_needs_more_parts_than_a_vendor_takes_is_refused_by_the_store() {
    let scale = Scale { bytes: 1_000_000, parts: 100 };
    let _seaweed = Seaweed::start();
    let way = Strict::start(Seaweed::behind(), Rules::of(Vendor::Bos).scaled(scale)).await;
    let wire = Wire::default().through(way.listens_at()).scaled(scale);
    let objects = Seaweed::open_as(Vendor::Bos, wire, &[]).await.unwrap();
    let name = ObjectName::part(&session(12), 0, &format!("6{:025}", 1).parse().unwrap());
    let mut writer = objects.write(&name, None).await.unwrap();

    let error = writer.append(image::noise(12, 100_000).into()).await.unwrap_err().to_string();

    assert!(error.contains("the store takes no object as large as that"), "{error}");
    assert_eq!(way.refused(), nothing());
    drop(writer);
    objects.remove_upload(&session(12)).await.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_is_refused_behind_a_vendors_own_name_too() {
    let _seaweed = Seaweed::start();
    let way = Strict::start(Seaweed::behind(), Rules::of(Vendor::Oss)).await;
    let wire = Wire::default().through(way.listens_at());

    let error = Seaweed::open_as(Vendor::Oss, wire, &[("SECRET_ACCESS_KEY", WRONG_SECRET)]).await;

    let error = error.unwrap_err().to_string();
    assert!(error.contains("the secret does not belong to the access key"), "{error}");
    assert_eq!(way.refused(), nothing(), "it broke no rule of the vendor's");
}

#[rstest]
#[case::path(Vendor::Cos, ("ADDRESSING", "path"), "set `addressing = \"virtual\"`")]
#[case::oss_path(Vendor::Oss, ("ADDRESSING", "path"), "set `addressing = \"virtual\"`")]
#[case::name(Vendor::Cos, ("BUCKET", "images"), "COS calls them `<name>-<appid>`")]
#[tokio::test]
async fn what_a_vendor_does_not_take_is_said_at_the_start(
    #[case] vendor: Vendor,
    #[case] changed: (&'static str, &str),
    #[case] expected: &str,
) {
    let way = Strict::start(nobody(), Rules::of(vendor)).await;
    let wire = Wire::default().through(way.listens_at());

    let error = Seaweed::open_as(vendor, wire, &[changed]).await.unwrap_err().to_string();

    assert!(error.contains(expected), "{error}");
}

/// Whom no request may reach.
fn nobody() -> Behind {
    Behind { store: address::with_port(1), files: address::with_port(1) }
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    PathStyle,
    SomebodyElse,
    BucketWithoutAccount,
    Unsigned,
    OldSignature,
    HeaderNotSigned,
    Chunked,
    Trailer,
    Checksum,
    Condition,
    NoLength,
    Encoding,
    Owner,
    LargePut,
    LargePart,
    PartNumber(usize),
}

/// Sends what a vendor takes, but for what is `wrong`, to its own address by way of `way`.
async fn ask(way: &Strict, rules: &Rules, wrong: Wrong) -> Response {
    let (host, bucket) = (rules.host, bucket_of(rules.vendor));
    let client = client(way);
    let large = |most: u64| vec![0_u8; usize::try_from(most).unwrap() + 1];
    let object = format!("http://{bucket}.{host}/data/x");
    let put = |url: String| signed(client.put(url)).body("bytes");

    let request = match wrong {
        Wrong::Nothing => put(object),
        Wrong::PathStyle => put(format!("http://{host}/{bucket}/data/x")),
        Wrong::SomebodyElse => put(format!("http://{bucket}.example.com/data/x")),
        Wrong::BucketWithoutAccount => put(format!("http://images.{host}/data/x")),
        Wrong::Unsigned => client.put(object).body("bytes"),
        Wrong::OldSignature => {
            client.put(object).header("authorization", "AWS key:c3VtIG9mIGl0").body("bytes")
        }
        Wrong::HeaderNotSigned => put(object).header("x-amz-acl", "private"),
        Wrong::Chunked => put(object).header("content-encoding", "aws-chunked"),
        Wrong::Trailer => put(object).header("x-amz-trailer", "x-amz-checksum-crc32"),
        Wrong::Checksum => put(object).header("x-amz-checksum-crc32", "AAAAAA=="),
        Wrong::Condition => put(object).header("if-none-match", "*"),
        Wrong::NoLength => put(object).body(Body::wrap_stream(unsized_body())),
        Wrong::Encoding => list(&client, rules, "list-type=2&encoding-type=url"),
        Wrong::Owner => list(&client, rules, "list-type=2&fetch-owner=true"),
        Wrong::LargePut => put(object).body(large(rules.largest_put_bytes.unwrap())),
        Wrong::LargePart => {
            put(format!("{object}?partNumber=1&uploadId=u")).body(large(rules.limits.largest_part_bytes))
        }
        Wrong::PartNumber(number) => put(format!("{object}?partNumber={number}&uploadId=u")),
    };
    request.send().await.unwrap()
}

/// Who finds any address at the proxy.
fn client(way: &Strict) -> Client {
    let proxy = Proxy::all(format!("http://{}", way.listens_at())).unwrap();
    Client::builder().proxy(proxy).build().unwrap()
}

fn list(client: &Client, rules: &Rules, query: &str) -> RequestBuilder {
    signed(client.get(format!("http://{}.{}/?{query}", bucket_of(rules.vendor), rules.host)))
}

/// A signature of the right form, of all that is ever sent here.
fn signed(request: RequestBuilder) -> RequestBuilder {
    let scope = format!("key/20261130/{REGION}/s3/aws4_request");
    let names = "host;x-amz-checksum-crc32;x-amz-content-sha256;x-amz-date;x-amz-trailer";
    let signature = "0".repeat(64);
    request
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"),
        )
        .header("x-amz-date", "20261130T120000Z")
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
}

fn unsized_body() -> impl futures_util::Stream<Item = Result<&'static str, std::io::Error>> + Send + 'static {
    futures_util::stream::iter([Ok("of no "), Ok("length")])
}

#[rstest]
#[case(Vendor::S3, Wrong::SomebodyElse, 404, "NoSuchBucket")]
#[case(Vendor::S3, Wrong::Unsigned, 403, "AccessDenied")]
#[case(Vendor::S3, Wrong::HeaderNotSigned, 400, "AuthorizationHeaderMalformed")]
#[case(Vendor::S3, Wrong::NoLength, 411, "MissingContentLength")]
#[case(Vendor::S3, Wrong::LargePut, 400, "EntityTooLarge")]
#[case(Vendor::S3, Wrong::PartNumber(0), 400, "InvalidArgument")]
#[case(Vendor::Oss, Wrong::PathStyle, 403, "SecondLevelDomainForbidden")]
#[case(Vendor::Oss, Wrong::Chunked, 400, "InvalidArgument")]
#[case(Vendor::Oss, Wrong::Trailer, 501, "NotImplemented")]
#[case(Vendor::Oss, Wrong::Checksum, 501, "NotImplemented")]
#[case(Vendor::Oss, Wrong::Condition, 501, "NotImplemented")]
#[case(Vendor::Oss, Wrong::LargePut, 400, "EntityTooLarge")]
#[case(Vendor::Oss, Wrong::PartNumber(1_001), 400, "InvalidArgument")]
#[case(Vendor::Cos, Wrong::PathStyle, 403, "PathStyleDomainForbidden")]
#[case(Vendor::Cos, Wrong::BucketWithoutAccount, 400, "InvalidBucketName")]
#[case(Vendor::Cos, Wrong::Chunked, 501, "NotImplemented")]
#[case(Vendor::Cos, Wrong::Condition, 501, "NotImplemented")]
#[case(Vendor::Cos, Wrong::NoLength, 411, "MissingContentLength")]
#[case(Vendor::Cos, Wrong::LargePart, 400, "EntityTooLarge")]
#[case(Vendor::Kodo, Wrong::Unsigned, 403, "AccessDenied")]
#[case(Vendor::Kodo, Wrong::Encoding, 501, "NotImplemented")]
#[case(Vendor::Kodo, Wrong::LargePart, 400, "EntityTooLarge")]
#[case(Vendor::Kodo, Wrong::PartNumber(1_001), 400, "InvalidArgument")]
#[case(Vendor::Bos, Wrong::PathStyle, 403, "AccessDenied")]
#[case(Vendor::Bos, Wrong::OldSignature, 400, "AuthorizationHeaderMalformed")]
#[case(Vendor::Bos, Wrong::Owner, 501, "NotImplemented")]
#[case(Vendor::Bos, Wrong::Checksum, 501, "NotImplemented")]
#[case(Vendor::Bos, Wrong::LargePut, 400, "EntityTooLarge")]
#[tokio::test]
async fn what_a_vendor_refuses_does_not_get_through(
    #[case] vendor: Vendor,
    #[case] wrong: Wrong,
    #[case] status: u16,
    #[case] code: &str,
) {
    let rules = Rules::of(vendor).scaled(SMALL);
    let way = Strict::start(nobody(), rules).await;

    let right = ask(&way, &rules, Wrong::Nothing).await;
    assert_eq!((right.status().as_u16(), way.passed()), (502, 1), "what is right goes on, to nobody");
    let answer = ask(&way, &rules, wrong).await;

    let answered = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(answered, status, "{text}");
    assert!(text.contains(&format!("<Code>{code}</Code>")), "{text}");
    let elements = rules.error_elements.iter().all(|name| text.contains(&format!("<{name}>")));
    assert!(elements, "{:?} in {text}", rules.error_elements);
    assert_eq!(way.passed(), 1);
}

#[rstest]
#[case(Vendor::S3, Wrong::Condition)]
#[case(Vendor::S3, Wrong::Chunked)]
#[case(Vendor::S3, Wrong::PathStyle)]
#[case(Vendor::S3, Wrong::Owner)]
#[case(Vendor::Kodo, Wrong::PathStyle)]
#[case(Vendor::Kodo, Wrong::Owner)]
#[case(Vendor::Bos, Wrong::Encoding)]
#[tokio::test]
async fn what_another_vendor_refuses_gets_through(#[case] vendor: Vendor, #[case] wrong: Wrong) {
    let rules = Rules::of(vendor).scaled(SMALL);
    let way = Strict::start(nobody(), rules).await;

    let answer = ask(&way, &rules, wrong).await;

    assert_eq!((answer.status().as_u16(), way.refused()), (502, nothing()));
}

/// A multipart upload as somebody else would make it.
struct Parts<'a> {
    way: &'a Strict,
    rules: &'a Rules,
    id: String,
}

impl<'a> Parts<'a> {
    async fn begin(way: &'a Strict, rules: &'a Rules) -> Self {
        let unnamed = Self { way, rules, id: String::new() };
        let text = unnamed.send(Method::POST, "uploads", Vec::new()).await.text().await.unwrap();
        let (_, rest) = text.split_once("<UploadId>").unwrap();
        let (id, _) = rest.split_once('<').unwrap();
        Self { id: id.to_owned(), ..unnamed }
    }

    async fn send(&self, method: Method, query: &str, body: Vec<u8>) -> Response {
        let (host, bucket) = (self.rules.host, bucket_of(self.rules.vendor));
        let url = format!("http://{bucket}.{host}/data/x?{query}");
        // Of nothing, the client says no length by itself.
        let length = body.len().to_string();
        let request = signed(client(self.way).request(method, url)).header("content-length", length);
        request.body(body).send().await.unwrap()
    }

    /// Sends a part; answers its entity tag.
    async fn part(&self, number: usize, size: usize) -> HeaderValue {
        let query = format!("partNumber={number}&uploadId={}", self.id);
        let answer = self.send(Method::PUT, &query, vec![0; size]).await;
        answer.headers()["etag"].clone()
    }

    /// Ends the upload; answers how that is refused.
    async fn end(&self, parts: &[(usize, &HeaderValue)]) -> String {
        let named = parts.iter().map(|(number, tag)| {
            let tag = tag.to_str().unwrap();
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
        });
        let named: Vec<String> = named.collect();
        let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", named.concat());
        let answer = self.send(Method::POST, &format!("uploadId={}", self.id), body.into_bytes()).await;
        let text = answer.text().await.unwrap();
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map_or("none", |(code, _)| code).to_owned()
    }
}

#[rstest]
#[case::s3(Vendor::S3)]
#[case::oss(Vendor::Oss)]
#[case::cos(Vendor::Cos)]
#[case::kodo(Vendor::Kodo)]
#[case::bos(Vendor::Bos)]
#[tokio::test]
async fn parts_that_a_vendor_does_not_take_become_no_object(#[case] vendor: Vendor) {
    let rules = Rules::of(vendor).scaled(SMALL);
    let way = Strict::start(nobody(), rules).await;
    let parts = Parts::begin(&way, &rules).await;
    let smallest = usize::try_from(rules.limits.smallest_part_bytes).unwrap();
    let (one, three, five) =
        (parts.part(1, smallest).await, parts.part(3, smallest - 1).await, parts.part(5, 1).await);

    assert_eq!(parts.end(&[(3, &three), (1, &one)]).await, "InvalidPartOrder");
    let without_gaps = rules.habits.contains(&Habit::PartsWithoutGaps);
    let gaps = if without_gaps { "InvalidPart" } else { "EntityTooSmall" };
    assert_eq!(parts.end(&[(1, &one), (3, &three), (5, &five)]).await, gaps);
    assert_eq!(parts.end(&[(1, &five)]).await, "InvalidPart", "that is another part's tag");
    let capitals = one.to_str().unwrap().to_uppercase() == one.to_str().unwrap();
    assert_eq!(capitals, rules.habits.contains(&Habit::TagsInCapitals), "{one:?}");

    let two = parts.part(2, smallest - 1).await;
    assert_eq!(parts.end(&[(1, &one), (2, &two), (3, &three)]).await, "EntityTooSmall");
    // Nobody is there to take it, but no rule is broken.
    assert_eq!(parts.end(&[(1, &one), (2, &two)]).await, "none");
    let over = parts.send(Method::DELETE, &format!("uploadId={}", parts.id), Vec::new()).await;
    assert_eq!(over.status().as_u16(), 204);
    assert_eq!(parts.end(&[(1, &one)]).await, "NoSuchUpload");
}

#[test]
fn a_part_of_whole_megabytes_is_large_enough_for_bos_alone() {
    let whole = 2 * (1 << 20);
    let enough = |vendor| Rules::of(vendor).fills_a_part(whole);

    assert!(enough(Vendor::Bos) && !enough(Vendor::S3));
    assert!(!Rules::of(Vendor::Bos).fills_a_part(whole + 1));
}
