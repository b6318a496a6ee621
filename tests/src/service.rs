//! The processes of a hub: their names, addresses and configurations.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use crate::{
    Topology, address,
    hub::{Federation, Reclaim},
    mailbox,
};

/// A process of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// All of it in one.
    Bucket,
    /// The metadata service.
    Metadata,
    /// The auth service.
    Auth,
    /// A replica of the blob service.
    Blob1,
    /// Another, over the same directory.
    Blob2,
    /// An edge that calls the first replica.
    Edge1,
    /// An edge that calls the second.
    Edge2,
    /// The web UI.
    Ui,
}

const SERVICE_TOKEN: &str = "service token of a test hub";
const GRANT_SECRET: &str = "grant secret of a test hub";
/// Nobody who calls a process goes elsewhere when it is told to end.
const AT_ONCE: &str = "drain_delay = \"0s\"\n";
const KEY_SECRET: &str = "key secret of a test hub";

impl Service {
    /// The processes of a hub, each after those that it needs.
    pub fn all(topology: Topology) -> &'static [Self] {
        match topology {
            Topology::OneProcess => &[Self::Bucket],
            Topology::FiveServices => {
                &[Self::Metadata, Self::Auth, Self::Blob1, Self::Blob2, Self::Edge1, Self::Edge2, Self::Ui]
            }
        }
    }

    /// Whether clients talk to it.
    pub fn is_edge(self) -> bool {
        matches!(self, Self::Bucket | Self::Edge1 | Self::Edge2)
    }

    /// Whether it has a gRPC port.
    pub fn is_grpc(self) -> bool {
        matches!(self, Self::Metadata | Self::Auth | Self::Blob1 | Self::Blob2)
    }

    /// A name for its log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Metadata => "metadata",
            Self::Auth => "auth",
            Self::Blob1 => "blob-1",
            Self::Blob2 => "blob-2",
            Self::Edge1 => "edge-1",
            Self::Edge2 => "edge-2",
            Self::Ui => "ui",
        }
    }

    /// The binary that it runs.
    pub fn binary(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Metadata => "metadata",
            Self::Auth => "auth",
            Self::Blob1 | Self::Blob2 => "blob",
            Self::Edge1 | Self::Edge2 => "registry-api",
            Self::Ui => "ui",
        }
    }

    /// Where it does its work.
    pub fn listens_at(self) -> SocketAddr {
        address::with_port(match self {
            Self::Bucket | Self::Edge1 => 9911,
            Self::Edge2 => 9921,
            Self::Ui => 9931,
            Self::Metadata => 7001,
            Self::Auth => 7002,
            Self::Blob1 => 7003,
            Self::Blob2 => 7004,
        })
    }

    /// Where it answers probes.
    pub fn admin_at(self) -> SocketAddr {
        let own = self.listens_at();
        SocketAddr::new(own.ip(), own.port() + 1_000)
    }

    /// Where a replica of the blob service answers proxies.
    pub fn handoff_at(self) -> SocketAddr {
        let own = self.listens_at();
        SocketAddr::new(own.ip(), own.port() + 100)
    }

    /// What every caller of its gRPC port must know.
    pub fn token() -> &'static str {
        SERVICE_TOKEN
    }

    /// What its configuration file says of reclaim.
    pub(crate) fn reclaiming(self, reclaim: Reclaim) -> String {
        let undo = match reclaim {
            Reclaim::AsShipped => return String::new(),
            Reclaim::Soon => "1h",
            Reclaim::SoonWithoutUndo => "0s",
        };
        // Long enough for the push of a small image, also where everything is slow.
        let times = format!("unused_grace = \"5s\"\nundo_window = \"{undo}\"\ngarbage_delay = \"1s\"\n");
        let sweep = "interval = \"1s\"\nscrub_period = \"1s\"\n";
        match self {
            Self::Bucket => format!("[reclaim]\n{times}[sweep]\n{sweep}"),
            Self::Metadata => format!("[metadata.reclaim]\n{times}"),
            Self::Blob1 | Self::Blob2 => format!("[blob.sweep]\n{sweep}"),
            _ => String::new(),
        }
    }

    /// What its configuration file says of copies.
    pub(crate) fn caching(self, data: &Path, max_bytes: u64) -> String {
        match self {
            Self::Blob1 | Self::Blob2 => {
                let directory = data.join(format!("cache-of-{}", self.name()));
                format!("[blob.cache]\ndirectory = \"{}\"\nmax_bytes = {max_bytes}\n", directory.display())
            }
            _ => String::new(),
        }
    }

    /// What its configuration file says of whose word counts.
    pub(crate) fn federated(self, federation: &Federation) -> String {
        let section = match self {
            Self::Bucket => "",
            Self::Auth => "auth.",
            _ => return String::new(),
        };
        let table = |name: &str, table: &String| format!("[[{section}{name}]]\n{table}\n");
        let providers = federation.providers.iter().map(|of| table("providers", of));
        let issuers = federation.workload_issuers.iter().map(|of| table("workload_issuers", of));
        providers.chain(issuers).collect()
    }

    /// A configuration file with TLS wherever gRPC is spoken.
    pub(crate) fn privately(self, text: &str, certificates: &Path) -> String {
        let at = |name: &str| certificates.join(name).display().to_string();
        let mut private = text.replace("[\"http://", "[\"https://");
        if self.is_grpc() {
            let (certificate, key, clients) = (at("port.pem"), at("port.key"), at("ca.pem"));
            let files = format!("certificate_file = \"{certificate}\"\nkey_file = \"{key}\"");
            writeln!(private, "[grpc.tls]\n{files}\nclient_ca_file = \"{clients}\"").unwrap();
        }
        for upstream in ["auth", "metadata", "blob"] {
            if text.contains(&format!("[{upstream}]\nurls")) {
                writeln!(private, "[{upstream}.tls]\nca_file = \"{}\"", at("ca.pem")).unwrap();
            }
        }
        private
    }

    /// A configuration file whose blobs are where the section `bucket` says.
    pub(crate) fn in_bucket(self, text: &str, bucket: &str) -> String {
        if !matches!(self, Self::Bucket | Self::Blob1 | Self::Blob2) {
            return text.to_owned();
        }
        let others = text.lines().filter(|line| self == Self::Bucket || !line.starts_with("directory = "));
        let lines: Vec<&str> = others.chain([bucket, ""]).collect();
        lines.join("\n")
    }

    /// A configuration file with metadata in a server.
    pub(crate) fn on_engine(self, text: &str, url: &str) -> String {
        if self != Self::Metadata {
            return text.to_owned();
        }
        let url = format!("url = \"{url}\"");
        let lines =
            text.lines().map(|line| if line.starts_with("directory = ") { url.as_str() } else { line });
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// What its configuration file says of mail.
    pub(crate) fn mailing(self, server: SocketAddr) -> String {
        let section = match self {
            Self::Bucket => "mail",
            Self::Auth => "auth.mail",
            _ => return String::new(),
        };
        let (username, password) = (mailbox::USERNAME, mailbox::PASSWORD);
        format!(
            "[{section}]\nurl = \"smtp://{server}\"\nusername = \"{username}\"\npassword = \"{password}\"\n\
             from = \"Bucket <bucket@example.com>\"\nexternal_url = \"http://hub.test:9911\"\n"
        )
    }

    /// Its configuration file.
    pub fn configuration(self, data: &Path) -> String {
        let admin = format!("[admin]\nlisten = \"{}\"\n", self.admin_at());
        let data = data.display();
        let grpc = format!(
            "[grpc]\nlisten = \"{}\"\nservice_token = \"{SERVICE_TOKEN}\"\n{AT_ONCE}",
            self.listens_at()
        );
        let own = match self {
            Self::Bucket => "[password]\nmemory_kib = 64\niterations = 1\n".to_owned(),
            Self::Metadata => {
                format!(
                    "{grpc}[metadata]\ndirectory = \"{data}/metadata\"\ngrant_secret = \"{GRANT_SECRET}\"\n"
                )
            }
            Self::Auth => format!(
                "{grpc}{}[auth]\nkey_secret = \"{KEY_SECRET}\"\n[auth.password]\nmemory_kib = 64\niterations = 1\n",
                client("metadata", Self::Metadata)
            ),
            Self::Blob1 | Self::Blob2 => {
                let metadata = client("metadata", Self::Metadata);
                format!(
                    "{grpc}{metadata}[blob]\ndirectory = \"{data}/blobs\"\ngrant_secret = \"{GRANT_SECRET}\"\n\
                     handoff_listen = \"{}\"\n",
                    self.handoff_at()
                )
            }
            Self::Edge1 | Self::Edge2 => {
                let replica = if self == Self::Edge1 { Self::Blob1 } else { Self::Blob2 };
                let upstream =
                    [client("auth", Self::Auth), client("metadata", Self::Metadata), client("blob", replica)];
                format!("listen = \"{}\"\n{AT_ONCE}{}", self.listens_at(), upstream.concat())
            }
            Self::Ui => {
                let upstream = [client("auth", Self::Auth), client("metadata", Self::Metadata)];
                format!("listen = \"{}\"\n{AT_ONCE}{}", self.listens_at(), upstream.concat())
            }
        };
        own + &admin
    }
}

fn client(name: &str, service: Service) -> String {
    format!("[{name}]\nurls = [\"http://{}\"]\nservice_token = \"{SERVICE_TOKEN}\"\n", service.listens_at())
}
