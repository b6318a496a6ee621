//! TLS at a gRPC port: its certificate, and those that callers are asked for. Whose certificate it is that was shown
//! is not known here, only what names it has.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use webpki::EndEntityCert;

use crate::{
    config::GrpcTlsConfig,
    reloaded::{FileError, Read, Reloaded},
    shutdown::Shutdown,
};

/// How long a caller may take until both know each other.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The places of the files.
const CERTIFICATE: usize = 0;
const KEY: usize = 1;
const CLIENTS: usize = 2;

/// TLS for the connections of a port.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Reloaded<Arc<ServerConfig>>>);

impl Tls {
    /// With these files.
    ///
    /// # Errors
    /// One cannot be used.
    pub async fn open(config: &GrpcTlsConfig) -> Result<Self, FileError> {
        let mut files: Vec<PathBuf> = vec![config.certificate_file.clone(), config.key_file.clone()];
        files.extend(config.client_ca_file.clone());
        let read: Read<Arc<ServerConfig>> = Box::new(|contents| server_config(contents).map(Arc::new));
        Ok(Self(Arc::new(Reloaded::open(files, read).await?)))
    }

    /// Reads the files again when they change, until the shutdown. Connections that are there stay as they are.
    pub(super) fn keep_fresh(&self, shutdown: &Shutdown) {
        shutdown.spawn(Arc::clone(&self.0).kept_fresh(shutdown.clone()));
    }

    /// Agrees with who has connected; answers the names in the certificate that they have shown, if any.
    pub(super) async fn greet<S>(&self, stream: S) -> io::Result<(TlsStream<S>, Vec<String>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config: Arc<ServerConfig> = (*self.0.current()).clone();
        let stream = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await??;

        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let names = shown.map(names_of).unwrap_or_default();
        Ok((stream, names))
    }
}

fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    certificate.valid_uri_names().chain(certificate.valid_dns_names()).map(ToOwned::to_owned).collect()
}

fn server_config(contents: &[Vec<u8>]) -> Result<ServerConfig, (usize, String)> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let wrong = |file| move |error: rustls::Error| (file, error.to_string());
    let chain = certificates(CERTIFICATE, contents)?;
    let key = PrivateKeyDer::from_pem_slice(&contents[KEY]).map_err(|error| (KEY, error.to_string()))?;

    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(wrong(CERTIFICATE))?;
    let builder = match contents.get(CLIENTS) {
        Some(_) => builder.with_client_cert_verifier(clients(contents, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(wrong(CERTIFICATE))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// A caller without a certificate may come too: it needs a token.
fn clients(
    contents: &[Vec<u8>],
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, (usize, String)> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENTS, contents)? {
        roots.add(certificate).map_err(|error| (CLIENTS, error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier.allow_unauthenticated().build().map_err(|error| (CLIENTS, error.to_string()))
}

fn certificates(file: usize, contents: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>, (usize, String)> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&contents[file]).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err((file, "it has no certificate".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err((file, error.to_string())),
    }
}
