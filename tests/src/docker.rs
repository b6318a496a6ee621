//! A docker engine of the test's own: its data, its sockets and its client configuration are in one directory.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::process::{Process, run, try_run};

/// Debian's client: another one may come first on the path.
const CLIENT: &str = "/usr/bin/docker";
const ENGINE: &str = "/usr/sbin/dockerd";

/// A docker engine and its client.
#[derive(Debug)]
pub struct Docker {
    engine: Process,
    directory: TempDir,
    /// Outside of its directory, because the engine reads certificates from one place only.
    trusted: Vec<PathBuf>,
}

/// What an engine puts into every container.
const OF_THE_ENGINE: [&str; 4] = ["dev", "etc", "proc", "sys"];

impl Docker {
    /// Starts an engine that takes loopback registries as insecure ones, as every engine does.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Self {
        Self::start_trusting(&[])
    }

    /// Starts an engine that trusts the certificate for each of these hosts (`name:port`).
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_trusting(certificates: &[(&str, &Path)]) -> Self {
        let directory = tempfile::Builder::new().prefix("docker").tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let trusted = certificates.iter().map(|(host, certificate)| trust(host, certificate)).collect();

        let mut command = Command::new(ENGINE);
        command
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("--host")
            .arg(format!("unix://{}", at("socket").display()))
            .args(["--iptables=false", "--ip-masq=false", "--bridge=none", "--storage-driver=vfs"]);
        let engine = Process::start("dockerd", command, &at("log"), "API listen on");
        Self { engine, directory, trusted }
    }

    /// A command of the client, to be given its arguments.
    pub fn client(&self) -> Command {
        let mut command = Command::new(CLIENT);
        command
            .env("DOCKER_HOST", format!("unix://{}", self.directory.path().join("socket").display()))
            .env("DOCKER_CONFIG", self.directory.path().join("config"))
            .env("DOCKER_BUILDKIT", "0");
        command
    }

    /// Runs the client; answers what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        run(self.client().args(arguments))
    }

    /// Runs the client; answers what it printed.
    ///
    /// # Errors
    /// What it printed, if it fails.
    ///
    /// # Panics
    /// If there is no client.
    pub fn attempt(&self, arguments: &[&str]) -> Result<String, String> {
        let (status, printed) = try_run(self.client().args(arguments));
        if status.success() { Ok(printed) } else { Err(printed) }
    }

    /// Runs the client, which is expected to fail; answers what it printed.
    ///
    /// # Panics
    /// If it succeeds.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let (status, printed) = try_run(self.client().args(arguments));
        assert!(!status.success(), "docker {arguments:?} succeeded:\n{printed}");
        printed
    }

    /// Logs in.
    ///
    /// # Panics
    /// If that is refused.
    pub fn login(&self, registry: &str, user: &str, password: &str) {
        let printed = self.run(&["login", "-u", user, "-p", password, registry]);
        assert!(printed.contains("Login Succeeded"), "{printed}");
    }

    /// What the client keeps of its logins.
    ///
    /// # Panics
    /// If it keeps nothing.
    pub fn kept_logins(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("config/config.json")).unwrap()
    }

    /// Makes an image of the files in `content` without any registry.
    ///
    /// # Panics
    /// If that fails.
    pub fn import(&self, content: &Path, name: &str) {
        let archive = self.directory.path().join("import.tar");
        run(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(content).arg("."));
        self.run(&["import", &archive.display().to_string(), name]);
    }

    /// Builds an image from a directory with a `Dockerfile`.
    ///
    /// # Panics
    /// If that fails.
    pub fn build(&self, content: &Path, name: &str) {
        self.run(&["build", "--no-cache", "-t", name, &content.display().to_string()]);
    }

    /// The id of an image: the digest of its configuration, which names the digests of its unpacked layers.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn image_id(&self, image: &str) -> String {
        self.run(&["image", "inspect", "--format", "{{.Id}}", image]).trim().to_owned()
    }

    /// Removes all images, so that nothing but a pull can bring one back.
    ///
    /// # Panics
    /// If one stays.
    pub fn forget_images(&self) {
        let _ = self.run(&["image", "prune", "--all", "--force"]);
        assert_eq!(self.run(&["image", "ls", "--all", "--quiet"]), "", "images stayed");
    }

    /// Unpacks the image's files into `into`, which must not hold others.
    ///
    /// # Panics
    /// If that fails.
    pub fn export(&self, image: &str, into: &Path) {
        let container = self.run(&["create", image, "none"]);
        let container = container.trim();
        let archive = self.directory.path().join("export.tar");
        self.run(&["export", "-o", &archive.display().to_string(), container]);
        self.run(&["rm", container]);
        run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(into));
        std::fs::remove_file(into.join(".dockerenv")).unwrap();
        for name in OF_THE_ENGINE {
            std::fs::remove_dir_all(into.join(name)).unwrap();
        }
    }

    /// A directory that goes when the engine goes.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // An engine that is killed leaves its containerd behind.
        if self.engine.is_alive() {
            self.engine.terminate();
        }
        for directory in &self.trusted {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

/// Makes the engine trust `certificate` for `host`, which is this test's own.
fn trust(host: &str, certificate: &Path) -> PathBuf {
    let directory = Path::new("/etc/docker/certs.d").join(host);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::copy(certificate, directory.join("ca.crt")).unwrap();
    directory
}
