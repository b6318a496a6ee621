//! What is different from vendor to vendor, as data. The numbers are from the vendors' documents, whose titles stand
//! with them; none of the vendors was tried on a live account. What no entry needs is in no entry: nothing is copied in
//! the store, no condition, trailing checksum or `aws-chunked` body is sent, and objects are deleted one by one.

use std::fmt;

use super::plan::Limits;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

/// Whose store it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Amazon S3, and what speaks it: Ceph, `MinIO`, `SeaweedFS` and others.
    S3,
    /// Aliyun OSS, by its S3 interface.
    Oss,
    /// Tencent COS, by its S3 interface.
    Cos,
    /// Qiniu Kodo, by its S3 interface.
    Kodo,
    /// Baidu BOS, by its S3 interface.
    Bos,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcs,
}

/// Where the name of a bucket is in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// In front of the host.
    Virtual,
    /// At the beginning of the path.
    Path,
}

/// What is known of a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its address for a region, which stands for `{region}`.
    pub endpoint: &'static str,
    /// How it finds buckets there.
    pub addressing: Addressing,
    /// What it allows.
    pub limits: Limits,
}

impl Vendor {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::S3, Self::Oss, Self::Cos, Self::Kodo, Self::Bos, Self::Azure, Self::Gcs];

    /// What is known of it.
    pub const fn preset(self) -> Preset {
        match self {
            Self::S3 => S3,
            Self::Oss => OSS,
            Self::Cos => COS,
            Self::Kodo => KODO,
            Self::Bos => BOS,
            Self::Azure => AZURE,
            Self::Gcs => GCS,
        }
    }

    /// Its section in the configuration.
    pub const fn section(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Oss => "oss",
            Self::Cos => "cos",
            Self::Kodo => "kodo",
            Self::Bos => "bos",
            Self::Azure => "azure",
            Self::Gcs => "gcs",
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3 => "S3",
            Self::Oss => "Aliyun OSS",
            Self::Cos => "Tencent COS",
            Self::Kodo => "Qiniu Kodo",
            Self::Bos => "Baidu BOS",
            Self::Azure => "Azure Blob Storage",
            Self::Gcs => "Google Cloud Storage",
        })
    }
}

/// "Amazon S3 multipart upload limits" says 48.8 TiB; 5 TiB is what it was for long, and what those who speak S3 keep.
const S3: Preset = Preset {
    endpoint: "https://s3.{region}.amazonaws.com",
    addressing: Addressing::Virtual,
    limits: Limits {
        smallest_part_bytes: 5 * MIB,
        largest_part_bytes: 5 * GIB,
        parts: 10_000,
        largest_object_bytes: 5 * TIB,
    },
};

/// "Accessing OSS with the AWS SDK" (address), "S3 API on OSS: supported operations and limitations" (bucket in front of
/// the host), "0017-00000220" and "0042-00000213" (100 KB to 5 GB, 10,000 parts), "Upload objects" (48.8 TB).
const OSS: Preset = Preset {
    endpoint: "https://s3.oss-{region}.aliyuncs.com",
    addressing: Addressing::Virtual,
    limits: Limits {
        smallest_part_bytes: 100 * KIB,
        largest_part_bytes: 5 * GIB,
        parts: 10_000,
        largest_object_bytes: 48 * TIB,
    },
};

/// "Upload Part" (1 MB to 5 GB, 10,000 parts), "Accessing COS with AWS S3 SDK". Buckets are called `<name>-<appid>`.
const COS: Preset = Preset {
    endpoint: "https://cos.{region}.myqcloud.com",
    addressing: Addressing::Virtual,
    limits: Limits {
        smallest_part_bytes: MIB,
        largest_part_bytes: 5 * GIB,
        parts: 10_000,
        largest_object_bytes: 48 * TIB,
    },
};

/// "分片上传 v2 版" (multipart upload v2: 1 MB to 1 GB, 10,000 parts), "七牛云对象存储兼容 AWS S3 协议" (address, the bucket
/// in front of the host or in the path). Neither says how large an object may be: as large as such parts make it.
const KODO: Preset = Preset {
    endpoint: "https://s3.{region}.qiniucs.com",
    addressing: Addressing::Virtual,
    limits: Limits {
        smallest_part_bytes: MIB,
        largest_part_bytes: GIB,
        parts: 10_000,
        largest_object_bytes: 9 * TIB,
    },
};

/// "`UploadPart`" (at least 5 MB or whole megabytes, at most 5 GB, 10,000 parts, 5 TB in all), "服务域名" of the S3
/// interface (service domain: address), "Get Access Domain Name" (new buckets only in front of the host).
const BOS: Preset = Preset {
    endpoint: "https://s3.{region}.bcebos.com",
    addressing: Addressing::Virtual,
    limits: Limits {
        smallest_part_bytes: 5 * MIB,
        largest_part_bytes: 5 * GIB,
        parts: 10_000,
        largest_object_bytes: 5 * TIB,
    },
};

/// "Put Block" (4,000 MiB in a block, 50,000 blocks). Blocks have names of their own at each sending, an
/// upload has no beginning of its own, and a blob that is there can be completed again: see `publish`. Objects are removed
/// by "Blob Batch", of one each: whoever stands in front of the store must let that through.
const AZURE: Preset = Preset {
    endpoint: "https://{region}.blob.core.windows.net",
    addressing: Addressing::Path,
    limits: Limits {
        smallest_part_bytes: 1,
        largest_part_bytes: 4_000 * MIB,
        parts: 50_000,
        largest_object_bytes: 190 * TIB,
    },
};

/// "XML API multipart uploads" (5 MiB to 5 GiB, 10,000 parts, 5 TiB in all).
const GCS: Preset = Preset {
    endpoint: "https://storage.googleapis.com",
    addressing: Addressing::Path,
    limits: Limits {
        smallest_part_bytes: 5 * MIB,
        largest_part_bytes: 5 * GIB,
        parts: 10_000,
        largest_object_bytes: 5 * TIB,
    },
};
