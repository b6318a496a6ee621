//! What a vendor's error is to the service, and to the operator who must do something about it.

use std::io;

use object_store::Error;

use crate::store::StoreError;

/// Codes that say that there is no room, as the vendors spell it.
const FULL: [&str; 7] = [
    "QuotaExceeded",
    "QuotaExceed",
    "BucketQuotaExceeded",
    "BucketQuotaExceed",
    "StorageQuotaExceeded",
    "InsufficientStorage",
    "XMinioStorageFull",
];

/// Codes that say that a multipart upload cannot come to its end: it is over, or other bytes are in its parts by now.
const LOST: [&str; 4] = ["NoSuchUpload", "InvalidPart", "InvalidPartOrder", "InvalidBlockList"];

/// What an operator can do about a code.
const ADVICE: [(&str, &str); 12] = [
    ("SignatureDoesNotMatch", "the secret does not belong to the access key"),
    ("AuthenticationFailed", "the key does not belong to the account"),
    ("InvalidAccessKeyId", "there is no such access key"),
    ("RequestTimeTooSkewed", "the clock of this machine is wrong: the store's differs too much"),
    ("AccessDenied", "the key must be allowed to read, write, list and delete in the bucket"),
    ("ExpiredToken", "the credentials have expired"),
    ("NoSuchBucket", "there is no such bucket; make it first"),
    ("ContainerNotFound", "there is no such container; make it first"),
    ("InvalidBucketName", "the store has no buckets with such names; COS calls them `<name>-<appid>`"),
    ("PathStyleDomainForbidden", "the bucket belongs in front of the host: set `addressing = \"virtual\"`"),
    ("SecondLevelDomainForbidden", "the bucket belongs in front of the host: set `addressing = \"virtual\"`"),
    ("SlowDown", "the store asks for fewer requests"),
];

// Enough for what matters, and not for the page that a proxy in between may answer.
const MOST_CHARACTERS: usize = 400;

/// The error of attempting something with the object `key`.
pub(super) fn failed(attempted: &str, key: &str, error: &Error) -> StoreError {
    let text = error.to_string();
    if code(&text).is_some_and(|code| FULL.contains(&code)) {
        return StoreError::NoSpace;
    }
    unavailable(attempted, key, &explained(error, &text))
}

/// The same, of a cause in our own words.
pub(super) fn unavailable(attempted: &str, key: &str, cause: &str) -> StoreError {
    StoreError::Unavailable {
        attempted: format!("{attempted} {key}"),
        cause: io::Error::other(cause.to_owned()),
    }
}

/// Whether a multipart upload cannot come to its end any more.
pub(super) fn is_lost(error: &Error) -> bool {
    let text = error.to_string();
    matches!(error, Error::NotFound { .. }) || code(&text).is_some_and(|code| LOST.contains(&code))
}

/// Whether the bytes that were asked for begin behind the last one.
pub(super) fn is_beyond(error: &Error) -> bool {
    let text = error.to_string();
    ["status code: 416", "InvalidRange", "Wanted range"].iter().any(|sign| text.contains(sign))
}

/// Whether the connection broke before there was a whole answer, and the client has not tried again itself.
pub(super) fn is_cut(error: &Error) -> bool {
    let text = error.to_string();
    let answered = ["non-2xx", "<Code>", " retries, max_retries"].iter().any(|sign| text.contains(sign));
    matches!(error, Error::Generic { .. }) && !answered
}

/// What the store said: its code with our advice, and otherwise its words.
fn explained(error: &Error, text: &str) -> String {
    if let Some(code) = code(text) {
        let advice = ADVICE.iter().find(|(known, _)| *known == code).map(|(_, advice)| *advice);
        return match advice {
            Some(advice) => format!("{advice} ({code})"),
            None => format!("the store answered {code}"),
        };
    }
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            "the store refuses our key; see whether key, secret, bucket and the clock of this machine are right"
                .to_owned()
        }
        _ => text.chars().take(MOST_CHARACTERS).collect(),
    }
}

/// The code in an error document of S3 or Azure.
fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(code.trim())
}

#[cfg(test)]
mod tests {
    use object_store::Error;

    use super::{failed, is_lost};
    use crate::store::StoreError;

    fn answered(code: &str) -> Error {
        let body = format!("403: <Error><Code>{code}</Code><StringToSign>PUT secret</StringToSign></Error>");
        Error::Generic { store: "S3", source: body.into() }
    }

    #[test]
    fn what_an_operator_can_mend_is_said_without_the_rest_of_the_answer() {
        for (code, expected) in [
            ("SignatureDoesNotMatch", "the secret does not belong to the access key"),
            ("RequestTimeTooSkewed", "the clock of this machine is wrong"),
            ("NoSuchBucket", "there is no such bucket"),
            ("Weird", "the store answered Weird"),
        ] {
            let said = failed("writing", "tmp/x", &answered(code)).to_string();
            assert!(said.starts_with("writing tmp/x: ") && said.contains(expected), "{said}");
            assert!(!said.contains("StringToSign"), "{said}");
        }
    }

    #[test]
    fn a_full_store_is_full_and_a_lost_upload_is_lost() {
        assert!(matches!(failed("writing", "tmp/x", &answered("QuotaExceeded")), StoreError::NoSpace));
        assert!(is_lost(&answered("InvalidPart")) && is_lost(&answered("NoSuchUpload")));
        assert!(!is_lost(&answered("InternalError")));
    }
}
