//! podman with all its state in one directory, so that it needs no engine and leaves nothing behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    process::{run, try_run},
    raw::{ADMIN, PASSWORD},
};

/// A podman of the test's own.
#[derive(Debug)]
pub struct Podman {
    directory: TempDir,
}

impl Podman {
    /// One without images and logins.
    ///
    /// # Panics
    /// If there is no room for it.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("podman").tempdir().unwrap();
        // A file that is named but missing is an error, not "no logins".
        fs::write(directory.path().join("auth.json"), "{}").unwrap();
        Self { directory }
    }

    /// Runs it; answers what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        run(self.podman().args(arguments))
    }

    /// Runs it, which is expected to fail; answers what it printed.
    ///
    /// # Panics
    /// If it succeeds.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let (status, printed) = try_run(self.podman().args(arguments));
        assert!(!status.success(), "podman {arguments:?} succeeded:\n{printed}");
        printed
    }

    /// Logs in as the administrator.
    ///
    /// # Panics
    /// If that is refused.
    pub fn login(&self, registry: &str) {
        let printed = self.run(&["login", "--tls-verify=false", "-u", ADMIN, "-p", PASSWORD, registry]);
        assert!(printed.contains("Login Succeeded"), "{printed}");
    }

    /// Builds an image from a directory with a `Dockerfile`.
    ///
    /// # Panics
    /// If that fails.
    pub fn build(&self, content: &Path, name: &str) {
        self.run(&["build", "--isolation", "chroot", "--layers", "-t", name, &content.display().to_string()]);
    }

    /// Where the files of an image are.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn files(&self, image: &str) -> PathBuf {
        self.run(&["image", "mount", image]).trim().into()
    }

    fn podman(&self) -> Command {
        let at = |name: &str| self.directory.path().join(name);
        let mut command = Command::new("podman");
        command
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file"])
            .arg("--root")
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .arg("--tmpdir")
            .arg(at("tmp"))
            .env("REGISTRY_AUTH_FILE", at("auth.json"))
            .env("TMPDIR", self.directory.path());
        command
    }
}

impl Default for Podman {
    fn default() -> Self {
        Self::new()
    }
}
