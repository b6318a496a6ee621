//! What an operator asks of a hub, with the program that operators have.

use std::{fs, process::Command};

use crate::{
    hub::{Hub, binary},
    service::Service,
    topology::Topology,
};

impl Hub {
    /// Runs `bucket` with these arguments and what says which hub is meant. What it prints.
    ///
    /// # Errors
    /// What it complains about.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn operator(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(binary("bucket"));
        command.args(arguments);
        if self.topology() == Topology::OneProcess {
            command.arg("--data").arg(self.data());
        } else {
            let token = self.data().join("token");
            fs::write(&token, Service::token()).unwrap();
            let scheme = if self.certificates().is_some() { "https" } else { "http" };
            let metadata = format!("{scheme}://{}", Service::Metadata.listens_at());
            command.args(["--metadata", &metadata, "--service-token-file"]).arg(token);
            if let Some(certificates) = self.certificates() {
                command.arg("--tls-ca").arg(certificates.join("ca.pem"));
            }
        }
        outcome(&mut command)
    }
}

/// Runs `bucket` with these arguments, for what needs no hub. What it prints.
///
/// # Errors
/// What it complains about.
///
/// # Panics
/// If it cannot be started.
pub fn without_hub(arguments: &[&str]) -> Result<String, String> {
    outcome(Command::new(binary("bucket")).args(arguments))
}

fn outcome(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
