//! Which bucket is used, as `[blob.s3]` and its siblings give it: the only place that reads it. Each section takes the
//! words of its own vendor.

use std::{path::PathBuf, sync::Arc};

use object_store::{
    ObjectStore, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder,
    list::PaginatedListStore, multipart::MultipartStore, signer::Signer,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use service_kit::config::{SecretError, given_secret};

use super::{Addressing, Vendor, bucket::Bucket, plan::Plan, wire::Wire};
use crate::{claim::Claim, store::swift::GivenSwift};

const SECRET: &str = "secret_access_key";
const ACCOUNT_KEY: &str = "access_key";

/// Who speaks S3 and has no regions signs for this one.
const ANY_REGION: &str = "us-east-1";

/// A bucket, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct ObjectsConfig {
    /// Whose it is.
    pub vendor: Vendor,
    /// Its name; of Azure, the container.
    pub bucket: String,
    region: Option<String>,
    endpoint: Option<Endpoint>,
    public_endpoint: Option<Endpoint>,
    addressing: Option<Addressing>,
    key: Key,
    wire: Wire,
}

/// What opens a bucket.
#[derive(Debug, Clone)]
enum Key {
    /// What the machine itself is allowed to do.
    Machine,
    Pair {
        id: String,
        secret: SecretString,
    },
    Account {
        name: String,
        secret: SecretString,
    },
    File(PathBuf),
}

/// Where a store is: `http://` or `https://` and a host, with or without a port.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Endpoint {
    scheme: String,
    host: String,
}

/// Why there is no bucket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A secret is missing, or cannot be read.
    #[error("`{section}`: {error}")]
    Secret {
        /// Where.
        section: &'static str,
        /// What is wrong.
        error: SecretError,
    },
    /// A key that is needed.
    #[error("missing field `{section}.{key}`")]
    Missing {
        /// Where.
        section: &'static str,
        /// Which.
        key: &'static str,
    },
    /// Blobs lie in one place only.
    #[error("`{one}` and `{other}` exclude each other: blobs lie in one place")]
    Several {
        /// A place.
        one: &'static str,
        /// Another.
        other: &'static str,
    },
    /// Not an address of a store.
    #[error("{given:?} is not `http://host` or `https://host`, with or without a port")]
    Endpoint {
        /// What was given.
        given: String,
    },
}

/// The sections that say where blobs are, of which at most one may be there, and whether that is claimed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sections {
    pub(crate) s3: Option<GivenS3>,
    pub(crate) oss: Option<GivenS3>,
    pub(crate) cos: Option<GivenS3>,
    pub(crate) kodo: Option<GivenS3>,
    pub(crate) bos: Option<GivenS3>,
    pub(crate) azure: Option<GivenAzure>,
    pub(crate) gcs: Option<GivenGcs>,
    pub(crate) swift: Option<GivenSwift>,
    pub(crate) claim: Claim,
}

/// S3 and those that speak it: OSS says `access_key_secret`, COS `secret_id` and `secret_key`, Kodo `access_key`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenS3 {
    bucket: String,
    region: Option<String>,
    endpoint: Option<Endpoint>,
    public_endpoint: Option<Endpoint>,
    addressing: Option<Addressing>,
    #[serde(alias = "secret_id", alias = "access_key")]
    access_key_id: Option<String>,
    #[serde(alias = "access_key_secret", alias = "secret_key")]
    secret_access_key: Option<SecretString>,
    #[serde(alias = "access_key_secret_file", alias = "secret_key_file")]
    secret_access_key_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenAzure {
    account: String,
    container: String,
    access_key: Option<SecretString>,
    access_key_file: Option<PathBuf>,
    endpoint: Option<Endpoint>,
    public_endpoint: Option<Endpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenGcs {
    bucket: String,
    service_account_file: Option<PathBuf>,
    endpoint: Option<Endpoint>,
    public_endpoint: Option<Endpoint>,
}

impl Sections {
    /// The bucket that is given, if one is.
    ///
    /// # Errors
    /// What is missing in its section, or which two exclude each other.
    pub fn bucket(self) -> Result<Option<ObjectsConfig>, ConfigError> {
        let Self { s3, oss, cos, kodo, bos, azure, gcs, swift: _, claim: _ } = self;
        let speaking_s3 = [
            (Vendor::S3, s3),
            (Vendor::Oss, oss),
            (Vendor::Cos, cos),
            (Vendor::Kodo, kodo),
            (Vendor::Bos, bos),
        ];
        let speaking_s3 =
            speaking_s3.into_iter().map(|(vendor, given)| given.map(|given| given.config(vendor)));
        let others = [azure.map(GivenAzure::config), gcs.map(|given| Ok(given.config()))];

        let mut chosen: Option<ObjectsConfig> = None;
        for given in speaking_s3.chain(others).flatten() {
            let given = given?;
            if let Some(chosen) = chosen {
                let (one, other) = (chosen.vendor.section(), given.vendor.section());
                return Err(ConfigError::Several { one, other });
            }
            chosen = Some(given);
        }
        Ok(chosen)
    }
}

impl GivenS3 {
    fn config(self, vendor: Vendor) -> Result<ObjectsConfig, ConfigError> {
        let section = vendor.section();
        let missing = |key| ConfigError::Missing { section, key };
        // Only Amazon's has a default, and only others that speak S3 need no region.
        let elsewhere = vendor == Vendor::S3 && self.endpoint.is_some();
        if self.region.is_none() && !elsewhere {
            return Err(missing("region"));
        }

        let silent = self.secret_access_key.is_none() && self.secret_access_key_file.is_none();
        let key = match self.access_key_id {
            // Machines of Amazon have credentials of their own.
            None if silent && vendor == Vendor::S3 && !elsewhere => Key::Machine,
            None => return Err(missing("access_key_id")),
            Some(id) => {
                let secret = given_secret(SECRET, self.secret_access_key, self.secret_access_key_file);
                Key::Pair { id, secret: secret.map_err(|error| ConfigError::Secret { section, error })? }
            }
        };
        Ok(ObjectsConfig {
            vendor,
            bucket: self.bucket,
            region: self.region,
            endpoint: self.endpoint,
            public_endpoint: self.public_endpoint,
            addressing: self.addressing.or(elsewhere.then_some(Addressing::Path)),
            key,
            wire: Wire::default(),
        })
    }
}

impl GivenAzure {
    fn config(self) -> Result<ObjectsConfig, ConfigError> {
        let secret = given_secret(ACCOUNT_KEY, self.access_key, self.access_key_file);
        let section = Vendor::Azure.section();
        let secret = secret.map_err(|error| ConfigError::Secret { section, error })?;
        Ok(ObjectsConfig {
            vendor: Vendor::Azure,
            bucket: self.container,
            region: None,
            endpoint: self.endpoint,
            public_endpoint: self.public_endpoint,
            addressing: None,
            key: Key::Account { name: self.account, secret },
            wire: Wire::default(),
        })
    }
}

impl GivenGcs {
    fn config(self) -> ObjectsConfig {
        ObjectsConfig {
            vendor: Vendor::Gcs,
            bucket: self.bucket,
            region: None,
            endpoint: self.endpoint,
            public_endpoint: self.public_endpoint,
            addressing: None,
            key: self.service_account_file.map_or(Key::Machine, Key::File),
            wire: Wire::default(),
        }
    }
}

impl ObjectsConfig {
    /// The same bucket, spoken to over `wire`.
    #[cfg(feature = "suite")]
    #[must_use]
    pub fn over(self, wire: Wire) -> Self {
        Self { wire, ..self }
    }

    /// How its uploads are cut.
    pub(super) fn plan(&self) -> Plan {
        self.wire.plan(self.vendor.preset().limits)
    }

    /// What speaks to the bucket. Nothing is asked of it yet.
    pub(super) fn connect(&self) -> Result<Bucket, String> {
        let (own, public) = (self.endpoint.as_ref(), self.public_endpoint.as_ref());
        match self.vendor {
            Vendor::Azure => over(|at| self.azure(at).build(), own, public),
            Vendor::Gcs => over(|at| self.gcs(at).build(), own, public),
            _ => over(|at| self.s3(at).build(), own, public),
        }
    }

    fn s3(&self, endpoint: Option<&Endpoint>) -> AmazonS3Builder {
        let preset = self.vendor.preset();
        let region = self.region.as_deref().unwrap_or(ANY_REGION);
        let addressing = self.addressing.unwrap_or(preset.addressing);
        let usual = preset.endpoint.replace("{region}", region);
        let endpoint = endpoint.map_or(usual, ToString::to_string);
        let endpoint = match (addressing, endpoint.split_once("://")) {
            (Addressing::Virtual, Some((scheme, host))) => format!("{scheme}://{}.{host}", self.bucket),
            _ => endpoint,
        };

        let builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(region)
            .with_virtual_hosted_style_request(addressing == Addressing::Virtual)
            .with_retry(Wire::retry())
            .with_client_options(self.wire.client(&endpoint))
            .with_endpoint(endpoint)
            .with_disable_tagging(true)
            .with_disable_bulk_delete(true);
        match &self.key {
            Key::Pair { id, secret } => {
                builder.with_access_key_id(id).with_secret_access_key(secret.expose_secret())
            }
            Key::Machine | Key::Account { .. } | Key::File(_) => builder,
        }
    }

    fn azure(&self, endpoint: Option<&Endpoint>) -> MicrosoftAzureBuilder {
        let endpoint = endpoint.map(ToString::to_string);
        let builder = MicrosoftAzureBuilder::new()
            .with_container_name(&self.bucket)
            .with_retry(Wire::retry())
            .with_client_options(self.wire.client(endpoint.as_deref().unwrap_or_default()))
            .with_disable_tagging(true);
        let builder = match &self.key {
            Key::Account { name, secret } => {
                builder.with_account(name).with_access_key(secret.expose_secret())
            }
            Key::Pair { .. } | Key::Machine | Key::File(_) => builder,
        };
        match endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint),
            None => builder,
        }
    }

    fn gcs(&self, endpoint: Option<&Endpoint>) -> GoogleCloudStorageBuilder {
        let endpoint = endpoint.map(ToString::to_string);
        let builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&self.bucket)
            .with_retry(Wire::retry())
            .with_client_options(self.wire.client(endpoint.as_deref().unwrap_or_default()));
        let builder = match &self.key {
            Key::File(file) => builder.with_service_account_path(file.to_string_lossy()),
            Key::Pair { .. } | Key::Machine | Key::Account { .. } => builder,
        };
        match endpoint {
            Some(endpoint) => builder.with_base_url(&endpoint),
            None => builder,
        }
    }
}

/// The bucket at `own`; whoever is sent to it finds it at `public`.
fn over<V>(
    build: impl Fn(Option<&Endpoint>) -> object_store::Result<V>,
    own: Option<&Endpoint>,
    public: Option<&Endpoint>,
) -> Result<Bucket, String>
where
    V: ObjectStore + MultipartStore + PaginatedListStore + Signer,
{
    let opened = |at| build(at).map_err(|error| error.to_string());
    let public = public.map(|at| opened(Some(at))).transpose()?;
    let signer = public.map(|signer| Arc::new(signer) as Arc<dyn Signer>);
    Ok(Bucket::new(opened(own)?, signer))
}

impl TryFrom<String> for Endpoint {
    type Error = ConfigError;

    fn try_from(given: String) -> Result<Self, ConfigError> {
        let found = ["https", "http"].into_iter().find_map(|scheme| {
            let host = given.strip_prefix(scheme)?.strip_prefix("://")?.trim_end_matches('/');
            Some(Self { scheme: scheme.to_owned(), host: host.to_owned() })
        });
        let proper = |at: &Self| !at.host.is_empty() && !at.host.contains(['/', '?', '#', '@', ' ']);
        found.filter(proper).ok_or(ConfigError::Endpoint { given })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)
    }
}
