//! Certificates of a test's own authority, made by openssl: for gRPC ports at this test's address, and for callers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{address, process::run};

/// An authority, with a certificate for ports: `ca.pem`, `port.pem`, `port.key`.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// A new authority.
    ///
    /// # Panics
    /// If openssl does not make it.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("certificates").tempdir().unwrap();
        let made = Self(directory);
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "2", "-subj", "/CN=authority of a test"]);
        command.arg("-keyout").arg(made.at("ca.key")).arg("-out").arg(made.at("ca.pem"));
        run(&mut command);
        made.issue("port", &format!("IP:{}", address::of_this_process()));
        made
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        self.0.path()
    }

    /// The place of a file.
    pub fn at(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// Makes `<name>.pem` and `<name>.key` with a subject alternative name, as `URI:spiffe://…` or `DNS:name`.
    ///
    /// # Panics
    /// If openssl does not make it.
    pub fn issue(&self, name: &str, san: &str) {
        let [certificate, key, request, extensions] =
            ["pem", "key", "csr", "ext"].map(|kind| self.at(&format!("{name}.{kind}")));
        let usage = "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n";
        fs::write(&extensions, format!("subjectAltName={san}\nbasicConstraints=CA:FALSE\n{usage}")).unwrap();

        let mut command = Command::new("openssl");
        command.args(["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-subj", "/CN=of a test"]).arg("-keyout").arg(&key).arg("-out").arg(&request);
        run(&mut command);
        let mut command = Command::new("openssl");
        command.args(["x509", "-req", "-days", "2", "-CAcreateserial"]);
        command.arg("-CA").arg(self.at("ca.pem")).arg("-CAkey").arg(self.at("ca.key"));
        command.arg("-in").arg(&request).arg("-extfile").arg(&extensions).arg("-out").arg(&certificate);
        run(&mut command);
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
