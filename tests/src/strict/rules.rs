//! What the vendors' documents say of their S3 interfaces, a row for each vendor, with the titles of the pages. Where a
//! document only says that something is not supported, it is refused here: the adapter must do without. Largest objects
//! are those that the pages name; where there is no page, there is no rule.

use blob::store::object::{Limits, Scale, Vendor};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

/// A region that no vendor has: a request that missed its proxy would find nobody.
pub const REGION: &str = "nowhere-0";

/// What one vendor takes.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Whose rules these are.
    pub vendor: Vendor,
    /// Its host in [`REGION`]; the name of a bucket stands in front of it.
    pub host: &'static str,
    /// What it allows in uploads of many parts.
    pub limits: Limits,
    /// Bytes in an object that is put at once, at most, if a document says so.
    pub largest_put_bytes: Option<u64>,
    /// How it refuses a bucket that stands in the path; none if it takes it.
    pub path_style: Option<Refusal>,
    /// Headers of S3 that it knows.
    pub headers: Headers,
    /// Parameters of listings that it does not know.
    pub unlisted: &'static [&'static str],
    /// What else is its own.
    pub habits: &'static [Habit],
    /// What its errors say besides code and message.
    pub error_elements: &'static [&'static str],
    /// By how much sizes and counts are smaller here.
    pub scale: Scale,
}

/// Headers that begin with `x-amz-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// All that there are.
    All,
    /// These, and no others.
    Only(&'static [&'static str]),
}

/// What is different from vendor to vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Writes may have conditions. "How to prevent object overwrites with conditional writes" (S3). OSS and COS have
    /// headers of their own instead, `x-oss-forbid-overwrite` and `x-cos-forbid-overwrite`.
    ConditionalWrites,
    /// Bodies may be `aws-chunked`, with or without a trailer.
    Chunks,
    /// Bodies may be `aws-chunked` if their sum says that they are. "0017-00000804" (OSS).
    StreamedChunks,
    /// Entity tags of parts have capital letters, as in the examples of "`CompleteMultipartUpload`" (OSS).
    TagsInCapitals,
    /// Buckets are called `<name>-<appid>`. "Upload Part" (COS).
    BucketsNameTheAccount,
    /// Numbers of parts have no gaps. "Complete Multipart Upload" (COS).
    PartsWithoutGaps,
    /// An answer begins before it is known, and blanks keep the connection. "Complete Multipart Upload" (COS).
    BlanksBeforeTheResult,
    /// A part may be smaller than the smallest if it has whole megabytes. "`UploadPart`" (BOS).
    WholeMegabytes,
}

/// How something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Of HTTP.
    pub status: u16,
    /// In the document.
    pub code: &'static str,
    /// In the document.
    pub message: &'static str,
}

/// What all must know to check signatures. "Authenticating Requests: Using the Authorization Header" (S3).
const SIGNED: [&str; 3] = ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// "Amazon S3 multipart upload limits" (5 MiB to 5 GiB, 10,000 parts, 48.8 TiB), "Uploading objects" (5 GB in one PUT),
/// "Virtual hosting of buckets" (both styles), "Error responses".
const S3: Rules = Rules {
    vendor: Vendor::S3,
    host: "s3.nowhere-0.amazonaws.com",
    limits: Limits {
        smallest_part_bytes: 5 * MIB,
        largest_part_bytes: 5 * GIB,
        parts: 10_000,
        largest_object_bytes: 48 * TIB,
    },
    largest_put_bytes: Some(5 * GIB),
    path_style: None,
    headers: Headers::All,
    unlisted: &[],
    habits: &[Habit::ConditionalWrites, Habit::Chunks],
    error_elements: &["Resource", "RequestId", "HostId"],
    scale: UNSCALED,
};

/// "S3 API on OSS: supported operations and limitations" (only virtual-hosted requests), "0017-00000220" (part numbers,
/// 100 KB to 5 GB), "0042-00000213" (small parts are refused at the end), "Upload objects" (5 GB in one PUT, 48.8 TB in
/// parts), "0017-00000804" (`aws-chunked`, what errors say). The code for a bucket in the path is from the tests of `oss2`.
const OSS: Rules = Rules {
    vendor: Vendor::Oss,
    host: "s3.oss-nowhere-0.aliyuncs.com",
    limits: Limits {
        smallest_part_bytes: 100 * KIB,
        largest_part_bytes: 5 * GIB,
        parts: 10_000,
        largest_object_bytes: 48 * TIB,
    },
    largest_put_bytes: Some(5 * GIB),
    path_style: Some(Refusal {
        status: 403,
        code: "SecondLevelDomainForbidden",
        message: "The bucket you are attempting to access must be addressed using OSS third level domain.",
    }),
    headers: Headers::Only(&SIGNED),
    unlisted: &[],
    habits: &[Habit::StreamedChunks, Habit::TagsInCapitals],
    error_elements: &["RequestId", "HostId", "EC"],
    scale: UNSCALED,
};

/// "Upload Part" (1 MB to 5 GB, 10,000 parts, names of buckets), "Complete Multipart Upload", "Error Codes" (what errors
/// say, `EntityTooLarge`), "path-style 域名相关问题" (new buckets are not found in the path). No page that could be read
/// names the largest object, or the largest in one PUT.
const COS: Rules = Rules {
    vendor: Vendor::Cos,
    host: "cos.nowhere-0.myqcloud.com",
    limits: Limits {
        smallest_part_bytes: MIB,
        largest_part_bytes: 5 * GIB,
        parts: 10_000,
        largest_object_bytes: u64::MAX,
    },
    largest_put_bytes: None,
    path_style: Some(Refusal {
        status: 403,
        code: "PathStyleDomainForbidden",
        message: "The bucket you are attempting to access must be addressed using COS virtual-styled domain.",
    }),
    headers: Headers::Only(&SIGNED),
    unlisted: &[],
    habits: &[Habit::BucketsNameTheAccount, Habit::PartsWithoutGaps, Habit::BlanksBeforeTheResult],
    error_elements: &["Resource", "RequestId", "TraceId"],
    scale: UNSCALED,
};

/// "分片上传 v2 版" (1 MB to 1 GB, 10,000 parts), "七牛云对象存储兼容 AWS S3 协议" (both styles, signatures always), its table
/// of interfaces (listings without `encoding-type`). Errors of the S3 interface are on no page: they are as S3's.
const KODO: Rules = Rules {
    vendor: Vendor::Kodo,
    host: "s3.nowhere-0.qiniucs.com",
    limits: Limits {
        smallest_part_bytes: MIB,
        largest_part_bytes: GIB,
        parts: 10_000,
        largest_object_bytes: u64::MAX,
    },
    largest_put_bytes: None,
    path_style: None,
    headers: Headers::Only(&SIGNED),
    unlisted: &["encoding-type"],
    habits: &[],
    error_elements: &["Resource", "RequestId"],
    scale: UNSCALED,
};

/// "`UploadPart`" (5 MB or whole megabytes, to 5 GB, 10,000 parts, 5 TB in all), "兼容公共头" (headers), "兼容接口" (listings
/// without `fetch-owner`), "Get Access Domain Name" (new buckets are not found in the path), "Error code"
/// (`EntityTooLarge`, `EntityTooSmall`), and the largest PUT from `bce-python-sdk`. The code for a bucket in the path is
/// on no page, nor is the form of errors of the S3 interface: they are as S3's.
const BOS: Rules = Rules {
    vendor: Vendor::Bos,
    host: "s3.nowhere-0.bcebos.com",
    limits: Limits {
        smallest_part_bytes: 5 * MIB,
        largest_part_bytes: 5 * GIB,
        parts: 10_000,
        largest_object_bytes: 5 * TIB,
    },
    largest_put_bytes: Some(5 * GIB),
    path_style: Some(Refusal { status: 403, code: "AccessDenied", message: "Access denied." }),
    headers: Headers::Only(&SIGNED),
    unlisted: &["fetch-owner"],
    habits: &[Habit::WholeMegabytes],
    error_elements: &["Resource", "RequestId"],
    scale: UNSCALED,
};

const UNSCALED: Scale = Scale { bytes: 1, parts: 1 };

impl Rules {
    /// Those of all vendors whose documents were read.
    pub const ALL: [Self; 5] = [S3, OSS, COS, KODO, BOS];

    /// Those of `vendor`.
    ///
    /// # Panics
    /// If its documents were not read.
    pub fn of(vendor: Vendor) -> Self {
        Self::ALL.into_iter().find(|rules| rules.vendor == vendor).unwrap()
    }

    /// The same, where one thing stands for so many as `scale` says.
    #[must_use]
    pub fn scaled(self, scale: Scale) -> Self {
        let largest_put_bytes = self.largest_put_bytes.map(|bytes| bytes / scale.bytes);
        Self { limits: self.limits.scaled(scale), largest_put_bytes, scale, ..self }
    }

    pub(crate) fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    /// Whether `size_bytes` are enough for a part that is not the last.
    pub fn fills_a_part(&self, size_bytes: u64) -> bool {
        let whole = self.has(Habit::WholeMegabytes) && size_bytes.is_multiple_of(MIB / self.scale.bytes);
        size_bytes >= self.limits.smallest_part_bytes || (whole && size_bytes > 0)
    }
}
