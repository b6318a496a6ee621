//! How callers of a gRPC port show who they are, and how a port and its callers are sure of each other.

use std::path::PathBuf;

use serde::Deserialize;

use crate::grpc::{Role, ServiceName};

/// TLS at a gRPC port. The files are read again when they change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcTlsConfig {
    /// The port's certificate, with those that vouch for it (PEM).
    pub certificate_file: PathBuf,
    /// Its private key (PEM).
    pub key_file: PathBuf,
    /// Who vouches for the certificates of callers (PEM). None: callers are not asked for certificates.
    pub client_ca_file: Option<PathBuf>,
}

/// A caller with a certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcCallerConfig {
    /// Under which its writes are recorded.
    pub name: ServiceName,
    /// What its certificate must have as a subject alternative name: a URI (`spiffe://…`) or a DNS name.
    pub san: String,
    /// What it may.
    pub roles: Vec<Role>,
}

/// How a caller makes sure of the port, and perhaps the port of it. The files are read at the start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcClientTlsConfig {
    /// Who vouches for the port's certificate (PEM).
    pub ca_file: PathBuf,
    /// The caller's own certificate (PEM), if it is asked for one.
    pub certificate_file: Option<PathBuf>,
    /// Its private key (PEM).
    pub key_file: Option<PathBuf>,
    /// The name that the port's certificate must have; by default the host of its url.
    pub domain: Option<String>,
}
