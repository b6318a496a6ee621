//! grpcurl: a gRPC client that knows nothing of this project but what reflection or a proto file tells it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use crate::{certificates::Certificates, process::try_run};

/// How a call shows that it may.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// It shows nothing.
    Nothing,
    /// It shows a token.
    Token(&'a str),
}

/// Lists services, or the methods of one, by reflection.
///
/// # Panics
/// If grpcurl cannot be started.
pub fn list(address: SocketAddr, shown: Shown<'_>, service: Option<&str>) -> (ExitStatus, String) {
    try_run(grpcurl().args(header("-H", shown)).arg(address.to_string()).arg("list").args(service))
}

/// Calls a method with an empty message; reflection, which tells what that is, has `reflection_token`.
///
/// # Panics
/// If grpcurl cannot be started.
pub fn call(
    address: SocketAddr,
    shown: Shown<'_>,
    reflection_token: &str,
    method: &str,
) -> (ExitStatus, String) {
    let reflection = header("-reflect-header", Shown::Token(reflection_token));
    try_run(
        grpcurl().args(reflection).args(header("-rpc-header", shown)).arg(address.to_string()).arg(method),
    )
}

/// Calls a method that is described in `proto`, a file below `directory`, without any token.
///
/// # Panics
/// If grpcurl cannot be started.
pub fn call_described(
    address: SocketAddr,
    directory: &Path,
    proto: &str,
    method: &str,
) -> (ExitStatus, String) {
    let described = ["-import-path".as_ref(), directory.as_os_str(), "-proto".as_ref(), proto.as_ref()];
    try_run(grpcurl().args(described).arg(address.to_string()).arg(method))
}

/// Calls a method with an empty message over TLS, as whoever has the certificate `name`, and shows nothing else.
///
/// # Panics
/// If grpcurl cannot be started.
pub fn call_with_certificate(
    address: SocketAddr,
    certificates: &Certificates,
    name: Option<&str>,
    method: &str,
) -> (ExitStatus, String) {
    let mut command = grpcurl_over_tls();
    command.arg("-cacert").arg(certificates.at("ca.pem"));
    if let Some(name) = name {
        command.arg("-cert").arg(certificates.at(&format!("{name}.pem")));
        command.arg("-key").arg(certificates.at(&format!("{name}.key")));
    }
    // Described by the files, so that whoever is refused is refused for the method and not for reflection.
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    command.arg("-import-path").arg(directory);
    for proto in ["auth", "blob", "metadata"] {
        command.arg("-proto").arg(format!("bucket/v1/{proto}.proto"));
    }
    // Every list of ours takes it; other requests do without.
    command.args(["-allow-unknown-fields", "-d", r#"{"limit":10}"#]);
    try_run(command.arg(address.to_string()).arg(method))
}

fn header(flag: &str, shown: Shown<'_>) -> Vec<String> {
    match shown {
        Shown::Nothing => Vec::new(),
        Shown::Token(token) => vec![flag.to_owned(), format!("authorization: Bearer {token}")],
    }
}

fn grpcurl() -> Command {
    let mut command = grpcurl_over_tls();
    command.arg("-plaintext");
    command
}

fn grpcurl_over_tls() -> Command {
    let cache = std::env::var_os("TEST_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let cache = cache.unwrap_or_else(|| home().join(".cache/bucket"));
    let mut command = Command::new(cache.join("tools/bin/grpcurl"));
    command.args(["-max-time", "20"]);
    command
}
