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
    if let Err(printed) = try_copy(Some((ADMIN, PASSWORD)), from, to) {
        panic!("skopeo did not copy {from} to {to}:\n{printed}");
    }
}

/// The same with that name and password or secret, or without any; answers what was printed.
///
/// # Errors
/// What was printed, if it fails.
///
/// # Panics
/// If there is no skopeo.
pub fn try_copy(login: Option<(&str, &str)>, from: &str, to: &str) -> Result<String, String> {
    let mut command = skopeo();
    command.args(["copy", "--all", "--preserve-digests"]);
    command.args(access(login, "src", from)).args(access(login, "dest", to)).args([from, to]);
    let (status, printed) = try_run(&mut command);
    if status.success() { Ok(printed) } else { Err(printed) }
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
    run(skopeo().args([command, "--tls-verify=false", "--creds", &format!("{ADMIN}:{PASSWORD}"), image]))
}

fn skopeo() -> Command {
    let mut command = Command::new("skopeo");
    command.arg("--insecure-policy");
    command
}

fn access(login: Option<(&str, &str)>, side: &str, image: &str) -> Vec<String> {
    if !image.starts_with("docker://") {
        return Vec::new();
    }
    let credentials = match login {
        Some((user, secret)) => format!("--{side}-creds={user}:{secret}"),
        None => format!("--{side}-no-creds"),
    };
    vec![format!("--{side}-tls-verify=false"), credentials]
}
