//! How a replica is connected to: the settings of HTTP/2, and whom TLS believes.

use std::{path::PathBuf, time::Duration};

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::ConnectError;
use crate::{
    config::GrpcClientTlsConfig,
    grpc::{
        CONNECTION_WINDOW_BYTES, FRAME_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, STREAM_WINDOW_BYTES,
    },
};

/// An error travels in headers, and one that names a hundred digests does not fit into the 16 KiB by default.
const HEADER_LIST_BYTES: u32 = 64 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Whom TLS believes.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    tls: ClientTlsConfig,
    domain: Option<String>,
}

impl Trust {
    /// Reads the files.
    pub(super) fn read(config: &GrpcClientTlsConfig) -> Result<Self, ConnectError> {
        let read = |file: &PathBuf| {
            std::fs::read(file).map_err(|error| ConnectError::File { file: file.clone(), error })
        };
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&config.ca_file)?));
        if let (Some(certificate), Some(key)) = (&config.certificate_file, &config.key_file) {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(Self { tls, domain: config.domain.clone() })
    }

    /// For urls whose host is what a certificate names.
    pub(super) fn of_urls(&self) -> ClientTlsConfig {
        match &self.domain {
            Some(domain) => self.tls.clone().domain_name(domain.clone()),
            None => self.tls.clone(),
        }
    }

    /// For addresses that were found under `host`: certificates name that, and not the address of the day.
    pub(super) fn of_name(&self, host: &str) -> ClientTlsConfig {
        self.tls.clone().domain_name(self.domain.as_deref().unwrap_or(host))
    }
}

/// The endpoint of `url`.
pub(super) fn endpoint(url: &str, tls: Option<ClientTlsConfig>) -> Result<Endpoint, ConnectError> {
    let unusable = |error| ConnectError::Url { url: url.to_owned(), error };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(unusable)?;
    let endpoint = match tls {
        Some(tls) => endpoint.tls_config(tls).map_err(unusable)?,
        None => endpoint,
    };
    Ok(tuned(endpoint))
}

/// Sized as the server is: the receiver's settings govern.
pub(in crate::grpc) fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .max_frame_size(FRAME_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        // Whoever aborts a pull resets its call while data is under way. Counted over the life of a connection, that
        // would in the end break the calls of everybody else; and the peer is no stranger.
        .http2_max_local_error_reset_streams(None)
}
