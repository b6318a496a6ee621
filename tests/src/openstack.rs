//! OpenStack as Debian has it, on this test's own address: Swift, whose users are its own (TempAuth) or Keystone's.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::Arc,
};

use blob::{
    Claim,
    config::Elsewhere,
    store::{
        Marker,
        swift::{OpenError, Swift, SwiftConfig},
    },
};
use proto::blob::GrantKey;
use secrecy::SecretString;
use service_kit::{
    clock::{self, Clock},
    config::{Prefix, load},
};
use tempfile::TempDir;

use crate::{
    address,
    process::{Process, run},
};

/// The container, which is made when the first store is opened.
pub const CONTAINER: &str = "images";

/// What addresses are signed with.
pub const TEMP_URL_KEY: &str = "the key of all addresses";

/// Debian's, whose packages Swift and Keystone are; another one may come first on the path.
const PYTHON: &str = "/usr/bin/python3";

const PROXY: u16 = 8080;
const ACCOUNT: u16 = 6202;
const CONTAINERS: u16 = 6201;
const OBJECT: u16 = 6200;
const MEMCACHED: u16 = 11211;
const IDENTITY: u16 = 5000;

/// Who checks users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// Swift itself.
    TempAuth,
    /// Keystone, which is started as well.
    Keystone,
}

/// A running Swift, and what it needs.
#[derive(Debug)]
pub struct OpenStack {
    users: Users,
    _memcached: Process,
    _swift: Process,
    _keystone: Option<Process>,
    _directory: TempDir,
}

impl OpenStack {
    /// Starts an empty store.
    ///
    /// # Panics
    /// If it does not start; `./test` installs it.
    pub fn start(users: Users) -> Self {
        Self::with_segments(users, 1_000)
    }

    /// The same, where an object has at most so many `segments`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn with_segments(users: Users, segments: usize) -> Self {
        let directory = tempfile::Builder::new().prefix("openstack").tempdir().unwrap();
        let keystone = (users == Users::Keystone).then(|| keystone(directory.path()));
        let memcached = memcached(directory.path());

        let mut command = script("swift_server.py");
        command.arg(Self::listens_at().ip().to_string());
        command.args([PROXY, ACCOUNT, CONTAINERS, OBJECT, MEMCACHED].map(|port| port.to_string()));
        command.arg(directory.path());
        match users {
            Users::TempAuth => command.arg("-"),
            Users::Keystone => command.arg(format!("http://{}", address::with_port(IDENTITY))),
        };
        command.arg(segments.to_string());
        let log = directory.path().join("swift.log");
        let swift = Process::start("swift", command, &log, "the store listens");
        Self { users, _memcached: memcached, _swift: swift, _keystone: keystone, _directory: directory }
    }

    /// Where Swift listens.
    pub fn listens_at() -> SocketAddr {
        address::with_port(PROXY)
    }

    /// Forgets all tokens that Swift itself has given: it keeps them in memory only.
    ///
    /// # Panics
    /// If the memory does not answer.
    pub fn forget_tokens(&self) {
        let mut memory = TcpStream::connect(address::with_port(MEMCACHED)).unwrap();
        memory.write_all(b"flush_all\r\n").unwrap();
        let mut said = [0; 4];
        memory.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"OK\r\n");
    }

    /// How many tokens Keystone has been asked for, by whomever.
    ///
    /// # Panics
    /// If there is no Keystone.
    pub async fn tokens_asked_for(&self) -> usize {
        assert_eq!(self.users, Users::Keystone);
        let answer = reqwest::get(format!("http://{}/count", address::with_port(IDENTITY))).await.unwrap();
        answer.text().await.unwrap().parse().unwrap()
    }

    /// Tells Swift what addresses are signed with, by its own client.
    ///
    /// # Panics
    /// If it does not take that.
    pub fn learn_key(&self) {
        assert_eq!(self.users, Users::TempAuth, "the client is told of TempAuth only");
        let mut command = Command::new("/usr/bin/swift");
        let at = format!("http://{}/auth/v1.0", Self::listens_at());
        command.args(["-A", &at, "-U", "hub:bucket", "-K", "secret-of-the-hub"]);
        run(command.args(["post", "-m", &format!("Temp-URL-Key:{TEMP_URL_KEY}")]));
    }

    /// The keys that name the container, and whoever may use it.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let own = |key, value: &str| (key, value.to_owned());
        let mut keys = vec![own("container", CONTAINER)];
        match self.users {
            Users::TempAuth => keys.extend([
                own("auth", "tempauth"),
                ("auth_url", format!("http://{}/auth/v1.0", Self::listens_at())),
                own("username", "hub:bucket"),
                own("password", "secret-of-the-hub"),
            ]),
            Users::Keystone => keys.extend([
                own("auth", "keystone"),
                ("auth_url", format!("http://{}", address::with_port(IDENTITY))),
                own("username", "hub"),
                own("password", "password of hub"),
                own("project_name", "registry"),
                own("region", "RegionOne"),
            ]),
        }
        keys
    }

    /// The section `name` of a configuration file that names its container.
    pub fn section(&self, name: &str) -> String {
        let lines = self.keys().into_iter().map(|(key, value)| format!("{key} = \"{value}\""));
        let lines: Vec<String> = std::iter::once(format!("[{name}]")).chain(lines).collect();
        lines.join("\n")
    }

    /// How its container is given, but for `other` keys.
    ///
    /// # Panics
    /// If that is no configuration.
    pub fn config(&self, other: &[(&str, &str)]) -> SwiftConfig {
        let mut keys = self.keys();
        keys.retain(|(key, _)| !other.iter().any(|(other, _)| other == key));
        let given = keys.iter().map(|(key, value)| (*key, value.as_str())).chain(other.iter().copied());
        let given =
            given.map(|(key, value)| (format!("BUCKET_SWIFT__{}", key.to_uppercase()), value.to_owned()));
        load::<Elsewhere>(Prefix::default(), None, given).unwrap().container.unwrap()
    }

    /// Opens the container, but for `other` keys.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open(&self, probe: u32, other: &[(&str, &str)]) -> Result<Swift, OpenError> {
        self.open_by(clock::system(), probe, other).await
    }

    /// The same, by another clock than the machine's.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open_by(
        &self,
        clock: Arc<dyn Clock>,
        probe: u32,
        other: &[(&str, &str)],
    ) -> Result<Swift, OpenError> {
        Self::open_for(&self.config(other), ("a hub", Claim::IfNew), clock, probe).await
    }

    /// Opens the container as its hub does that insists.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open_and_insist(&self, probe: u32) -> Result<Swift, OpenError> {
        Self::open_for(&self.config(&[]), ("a hub", Claim::Insisted), clock::system(), probe).await
    }

    /// Opens it as another hub does, and whether that insists.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open_for_another_hub(&self, claim: Claim, probe: u32) -> Result<Swift, OpenError> {
        Self::open_for(&self.config(&[]), ("another hub", claim), clock::system(), probe).await
    }

    async fn open_for(
        config: &SwiftConfig,
        (hub, claim): (&str, Claim),
        clock: Arc<dyn Clock>,
        probe: u32,
    ) -> Result<Swift, OpenError> {
        let grants = GrantKey::new(&SecretString::from(hub));
        let marker = Marker::new(&"swift".parse().unwrap(), &grants, claim);
        Swift::open(config, marker, clock, format!("7{probe:025}").parse().unwrap()).await
    }
}

fn script(name: &str) -> Command {
    let mut command = Command::new(PYTHON);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("setup").join(name));
    command
}

fn memcached(directory: &Path) -> Process {
    let mut command = Command::new("/usr/bin/memcached");
    let ip = OpenStack::listens_at().ip().to_string();
    command.args(["-vv", "-u", "root", "-l", &ip, "-p", &MEMCACHED.to_string()]);
    Process::start("memcached", command, &directory.join("memcached.log"), "server listening")
}

fn keystone(directory: &Path) -> Process {
    let at = directory.join("keystone");
    std::fs::create_dir(&at).unwrap();
    let mut command = script("keystone_server.py");
    let listens_at = address::with_port(IDENTITY);
    command.arg(listens_at.ip().to_string()).arg(listens_at.port().to_string()).arg(&at);
    command.arg(format!("http://{}", OpenStack::listens_at()));
    Process::start("keystone", command, &directory.join("keystone.log"), "the identity service listens")
}
