//! skopeo: copies images between a registry and directories, without an engine.

use std::process::Command;

use crate::{
    process::{run, try_run},
    raw::{ADMIN, PASSWORD},
};

/// Copies from the registry to a local place, or the other way round, as the administrator.
///
/// # Panics
/// If it fails.
pub fn copy(from: &str, to: &str) {
    // Without this it compresses layers on their way, and nothing could be compared.
    run(skopeo()
        .args(["copy", "--all", "--preserve-digests"])
        .args(access("src", from))
        .args(access("dest", to))
        .args([from, to]));
}

/// Copies without a login, which is expected to fail; answers what was printed.
///
/// # Panics
/// If it succeeds.
pub fn refused_copy(from: &str, to: &str) -> String {
    let unchecked = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    let (status, printed) = try_run(skopeo().arg("copy").args(unchecked).args([from, to]));
    assert!(!status.success(), "skopeo copied {from} to {to} without a login:\n{printed}");
    printed
}

/// Runs a command that reads from the registry, as the administrator; answers what it printed.
///
/// # Panics
/// If it fails.
pub fn ask(command: &str, image: &str) -> String {
    run(skopeo().args([command, "--tls-verify=false", "--creds", &login(), image]))
}

fn skopeo() -> Command {
    let mut command = Command::new("skopeo");
    command.arg("--insecure-policy");
    command
}

fn access(side: &str, image: &str) -> Vec<String> {
    if !image.starts_with("docker://") {
        return Vec::new();
    }
    vec![format!("--{side}-tls-verify=false"), format!("--{side}-creds={}", login())]
}

fn login() -> String {
    format!("{ADMIN}:{PASSWORD}")
}
