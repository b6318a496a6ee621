//! A real nginx with the configuration that the project ships, on this test's own address and ports.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    address,
    process::{Process, run},
};

const HTTP_PORT: u16 = 8080;
const HTTPS_PORT: u16 = 8443;
const CONFIGURATION: &str = include_str!("../../deploy/nginx/bucket.conf");

/// A running nginx with TLS.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    directory: TempDir,
}

/// What nginx reads layers from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layers {
    /// From a directory, as shipped; but nothing is there, as for an nginx that may not read the store.
    Nowhere,
    /// From the directory of the store, as shipped.
    Directory(PathBuf),
    /// From the handoff port of a replica.
    Replica(SocketAddr),
}

impl Nginx {
    /// Starts nginx in front of a hub at `upstream`, whose store it cannot read.
    ///
    /// # Panics
    /// If the shipped configuration lacks what is to be replaced, or nginx does not take it.
    pub fn start(upstream: SocketAddr) -> Self {
        Self::start_with(upstream, &Layers::Nowhere)
    }

    /// Starts nginx in front of a hub at `upstream`, which it reads layers of by itself.
    ///
    /// # Panics
    /// As `start`.
    pub fn start_with(upstream: SocketAddr, layers: &Layers) -> Self {
        let directory = tempfile::Builder::new().prefix("nginx").tempdir().unwrap();
        make_certificate(directory.path());
        fs::write(directory.path().join("bucket.conf"), configured(upstream, layers, directory.path()))
            .unwrap();
        fs::write(directory.path().join("nginx.conf"), surroundings(directory.path())).unwrap();

        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(directory.path()).arg("-c").arg(directory.path().join("nginx.conf"));
        // At this level nginx says when it has opened its sockets and starts its workers.
        let process = Process::start("nginx", command, &directory.path().join("log"), "start worker process");
        Self { process, directory }
    }

    /// Where it speaks TLS, as a registry's name.
    pub fn registry(&self) -> String {
        address::with_port(HTTPS_PORT).to_string()
    }

    /// Where it speaks plain HTTP.
    pub fn plain(&self) -> SocketAddr {
        address::with_port(HTTP_PORT)
    }

    /// The certificate that clients have to trust.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers; killed, it would leave them.
        if self.process.is_alive() {
            self.process.terminate();
        }
    }
}

fn configured(upstream: SocketAddr, layers: &Layers, directory: &Path) -> String {
    let at = address::of_this_process();
    let (store, port, offered) = match layers {
        Layers::Nowhere => (directory.join("nothing"), address::with_port(1), "file"),
        Layers::Directory(store) => (store.clone(), address::with_port(1), "file"),
        Layers::Replica(port) => (directory.join("nothing"), *port, "replica"),
    };
    let mut text = CONFIGURATION.to_owned();
    for (shipped, ours) in [
        ("127.0.0.1:9911".to_owned(), upstream.to_string()),
        ("listen 80;".to_owned(), format!("listen {at}:{HTTP_PORT};")),
        ("listen 443 ".to_owned(), format!("listen {at}:{HTTPS_PORT} ")),
        ("https://$host".to_owned(), format!("https://$host:{HTTPS_PORT}")),
        ("/etc/bucket/tls/".to_owned(), format!("{}/", directory.display())),
        ("/var/log/nginx/".to_owned(), format!("{}/", directory.display())),
        ("/var/lib/bucket/blobs/".to_owned(), format!("{}/", store.display())),
        ("127.0.0.1:7103".to_owned(), port.to_string()),
        ("set $bucket_handoff file;".to_owned(), format!("set $bucket_handoff {offered};")),
    ] {
        assert!(text.contains(&shipped), "deploy/nginx/bucket.conf has no {shipped:?} any more");
        text = text.replace(&shipped, &ours);
    }
    text
}

fn surroundings(directory: &Path) -> String {
    let at = directory.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nuser root;\nworker_processes 2;\npid {at}/pid;\nerror_log stderr notice;\n\
         events {{ worker_connections 256; }}\nhttp {{\n{temporary}include {at}/bucket.conf;\n}}\n"
    )
}

fn make_certificate(directory: &Path) {
    let address = address::of_this_process();
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=bucket test", "-addext", &format!("subjectAltName=IP:{address}")])
        // A server's certificate that is an authority's too is refused by strict clients.
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(directory.join("key.pem"))
        .arg("-out")
        .arg(directory.join("cert.pem")));
}
