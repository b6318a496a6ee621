//! The rules, one function for each: from a request to how it is refused.

use blob::store::object::Addressing;
use hyper::{Method, header};

use super::{
    asked::{Asked, Operation},
    rules::{Habit, Headers, Refusal, Rules},
    uploads::Size,
};

const fn refusal(status: u16, code: &'static str, message: &'static str) -> Refusal {
    Refusal { status, code, message }
}

// Codes and statuses are those of "Error responses" (S3), which the vendors' own pages repeat where they have them.
const NO_BUCKET: Refusal = refusal(404, "NoSuchBucket", "The specified bucket does not exist.");
const BAD_NAME: Refusal = refusal(400, "InvalidBucketName", "The specified bucket is not valid.");
const UNSIGNED: Refusal = refusal(403, "AccessDenied", "Access Denied");
const BADLY_SIGNED: Refusal =
    refusal(400, "AuthorizationHeaderMalformed", "The authorization header that you provided is not valid.");
const UNKNOWN: Refusal = refusal(
    501,
    "NotImplemented",
    "A header or parameter that you provided implies functionality that is not implemented.",
);
const CHUNKED: Refusal = refusal(
    400,
    "InvalidArgument",
    "aws-chunked encoding is not supported with the specified x-amz-content-sha256 value.",
);
const NO_LENGTH: Refusal =
    refusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
const BAD_NUMBER: Refusal =
    refusal(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.");
const TOO_LARGE: Refusal =
    refusal(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.");
const TOO_SMALL: Refusal =
    refusal(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size.");
const DISORDER: Refusal = refusal(400, "InvalidPartOrder", "The list of parts was not in ascending order.");
pub(super) const NO_PART: Refusal =
    refusal(400, "InvalidPart", "One or more of the specified parts could not be found.");
pub(super) const NO_UPLOAD: Refusal =
    refusal(404, "NoSuchUpload", "The specified multipart upload does not exist.");

/// Parameters of "`ListObjectsV2`" (S3).
const LISTED: [&str; 8] = [
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "list-type",
    "max-keys",
    "prefix",
    "start-after",
];

/// Everything that a request alone shows. Answers the bucket, and the path in it.
pub(super) fn alone<'a>(asked: &'a Asked, rules: &Rules) -> Result<(&'a str, &'a str), Refusal> {
    let place = addressed(asked, rules)?;
    signed(asked)?;
    known(asked, rules)?;
    encoded(asked, rules)?;
    listed(asked, rules)?;
    sized(asked, rules)?;
    Ok(place)
}

fn addressed<'a>(asked: &'a Asked, rules: &Rules) -> Result<(&'a str, &'a str), Refusal> {
    let (addressing, bucket, path) = asked.place(rules.host).ok_or(NO_BUCKET)?;
    if let (Addressing::Path, Some(refusal)) = (addressing, rules.path_style) {
        return Err(refusal);
    }
    let account = bucket.rsplit_once('-').map_or("", |(_, account)| account);
    let named = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    if rules.has(Habit::BucketsNameTheAccount) && !named {
        return Err(BAD_NAME);
    }
    Ok((bucket, path))
}

/// The shape of "Authenticating Requests: Using the Authorization Header": the store behind checks the signature.
fn signed(asked: &Asked) -> Result<(), Refusal> {
    if asked.query.contains_key("X-Amz-Signature") {
        return Ok(());
    }
    let given = asked.header("authorization").ok_or(UNSIGNED)?;
    let given = given.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(BADLY_SIGNED)?;

    let scope = field(given, "Credential=").unwrap_or_default();
    let signature = field(given, "Signature=").unwrap_or_default();
    let names: Vec<&str> = field(given, "SignedHeaders=").unwrap_or_default().split(';').collect();
    let sent = asked.headers.keys().map(header::HeaderName::as_str);
    let all =
        sent.filter(|name| name.starts_with("x-amz-")).chain(["host"]).all(|name| names.contains(&name));
    let whole = scope.split('/').count() == 5 && scope.ends_with("/s3/aws4_request");
    let sum = signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
    let dated = asked.header("x-amz-date").is_some() && asked.header("x-amz-content-sha256").is_some();
    if all && whole && sum && dated { Ok(()) } else { Err(BADLY_SIGNED) }
}

fn field<'a>(given: &'a str, name: &str) -> Option<&'a str> {
    given.split(',').find_map(|field| field.trim().strip_prefix(name))
}

fn known(asked: &Asked, rules: &Rules) -> Result<(), Refusal> {
    let conditions = [header::IF_MATCH, header::IF_NONE_MATCH];
    let conditional = asked.writes() && conditions.iter().any(|name| asked.headers.contains_key(name));
    if conditional && !rules.has(Habit::ConditionalWrites) {
        return Err(UNKNOWN);
    }
    let Headers::Only(known) = rules.headers else {
        return Ok(());
    };
    let mut sent = asked.headers.keys().map(header::HeaderName::as_str);
    if sent.any(|name| name.starts_with("x-amz-") && !known.contains(&name)) {
        return Err(UNKNOWN);
    }
    Ok(())
}

fn encoded(asked: &Asked, rules: &Rules) -> Result<(), Refusal> {
    if asked.writes() && !asked.headers.contains_key(header::CONTENT_LENGTH) {
        return Err(NO_LENGTH);
    }
    let chunked = asked.header("content-encoding").is_some_and(|encoding| encoding.contains("aws-chunked"));
    let sum = asked.header("x-amz-content-sha256").unwrap_or_default();
    if !(chunked || sum.starts_with("STREAMING-")) || rules.has(Habit::Chunks) {
        return Ok(());
    }
    match sum {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if rules.has(Habit::StreamedChunks) => Ok(()),
        // It says so in as many words to who sends trailers, which are another rule's.
        _ if rules.has(Habit::StreamedChunks) && !sum.ends_with("-TRAILER") => Err(CHUNKED),
        _ => Err(UNKNOWN),
    }
}

fn listed(asked: &Asked, rules: &Rules) -> Result<(), Refusal> {
    if asked.operation() != Operation::List {
        return Ok(());
    }
    let knows = |name: &String| LISTED.contains(&name.as_str()) && !rules.unlisted.contains(&name.as_str());
    if asked.query.keys().all(knows) { Ok(()) } else { Err(UNKNOWN) }
}

fn sized(asked: &Asked, rules: &Rules) -> Result<(), Refusal> {
    let most = match asked.operation() {
        Operation::Put => rules.largest_put_bytes,
        Operation::Part { number, .. } => {
            let number =
                number.parse::<usize>().ok().filter(|number| (1..=rules.limits.parts).contains(number));
            number.ok_or(BAD_NUMBER)?;
            Some(rules.limits.largest_part_bytes)
        }
        _ => None,
    };
    let large = asked.method == Method::PUT && most.is_some_and(|most| asked.size_bytes() > most);
    if large { Err(TOO_LARGE) } else { Ok(()) }
}

/// What only shows when parts are to become an object: sizes are looked at then, because the last may have any.
pub(super) fn together(parts: &[Size], rules: &Rules) -> Result<(), Refusal> {
    let Some((_, others)) = parts.split_last() else {
        return Err(NO_PART);
    };
    if !parts.is_sorted_by(|one, next| one.number < next.number) {
        return Err(DISORDER);
    }
    let gaps = parts.iter().zip(1..).any(|(part, number)| part.number != number);
    if gaps && rules.has(Habit::PartsWithoutGaps) {
        return Err(NO_PART);
    }
    if !others.iter().all(|part| rules.fills_a_part(part.bytes)) {
        return Err(TOO_SMALL);
    }
    let whole: u64 = parts.iter().map(|part| part.bytes).sum();
    if whole > rules.limits.largest_object_bytes { Err(TOO_LARGE) } else { Ok(()) }
}
