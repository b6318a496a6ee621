//! The registries that are compared, each with its data in a directory of its own on the same disk.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::http::{Client, Request};

mod bucket;
mod distribution;
mod nginx;

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const PASSWORD: &str = "secret of a benchmark";

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// nginx, serving the same bytes as files: what HTTP costs.
    Nginx,
    /// The same, reading the files into its own memory as every program without sendfile must.
    NginxWithoutSendfile,
    /// CNCF distribution as Debian packages it.
    Distribution,
    /// `bucket serve`.
    Bucket,
    /// The five services.
    Services,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Nginx, Self::NginxWithoutSendfile, Self::Distribution, Self::Bucket, Self::Services];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxWithoutSendfile => "nginx, sendfile off",
            Self::Distribution => "distribution 2.8",
            Self::Bucket => "Bucket",
            Self::Services => "Bucket, 5 services",
        }
    }

    /// Whether it is a registry, and not files.
    pub(crate) fn takes_pushes(self) -> bool {
        !matches!(self, Self::Nginx | Self::NginxWithoutSendfile)
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Bucket | Self::Services)
    }
}

/// What checking a password costs a server of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordCost {
    /// As the shipped configuration has it.
    AsShipped,
    /// Next to nothing: logging in is not what is measured.
    Little,
}

/// A replica of the blob service.
pub(crate) struct Replica {
    /// Of its process.
    pub(crate) id: u32,
    /// Where it tells what it counts.
    pub(crate) metrics: SocketAddr,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// Its data; files that nginx serves are put here.
    pub(crate) directory: PathBuf,
    processes: Vec<Child>,
}

impl Server {
    /// Starts a server with its data in the directory `under`.
    pub(crate) fn start(kind: Kind, under: &Path) -> io::Result<Self> {
        let directory = under.join(format!("{kind:?}"));
        fs::create_dir_all(&directory)?;
        let mut server = Self { kind, address: free_address()?, directory, processes: Vec::new() };
        match kind {
            Kind::Nginx => nginx::start(&mut server, "on")?,
            Kind::NginxWithoutSendfile => nginx::start(&mut server, "off")?,
            Kind::Distribution => distribution::start(&mut server)?,
            Kind::Bucket => bucket::start_one(&mut server, PasswordCost::Little)?,
            Kind::Services => bucket::start_five(&mut server)?,
        }
        Ok(server)
    }

    /// Starts `bucket serve` with its data in the directory `under`.
    pub(crate) fn start_bucket(under: &Path, cost: PasswordCost) -> io::Result<Self> {
        let directory = under.join("logins");
        fs::create_dir_all(&directory)?;
        let mut server =
            Self { kind: Kind::Bucket, address: free_address()?, directory, processes: Vec::new() };
        bucket::start_one(&mut server, cost)?;
        Ok(server)
    }

    /// Starts nginx in front of `hub`, which sends what the hub hands off to it; its own data is in the directory `under`.
    pub(crate) fn start_in_front_of(hub: &Self, under: &Path) -> io::Result<Self> {
        let directory = under.join("front");
        fs::create_dir_all(&directory)?;
        let mut server = Self { kind: hub.kind, address: free_address()?, directory, processes: Vec::new() };
        nginx::start_in_front_of(&mut server, hub.address, &hub.directory.join("data/blobs"))?;
        Ok(server)
    }

    /// Starts the services with `count` replicas of the blob service, over one directory.
    pub(crate) fn start_replicas(under: &Path, count: usize) -> io::Result<(Self, Vec<Replica>)> {
        let directory = under.join(format!("replicas-{count}"));
        fs::create_dir_all(&directory)?;
        let mut server =
            Self { kind: Kind::Services, address: free_address()?, directory, processes: Vec::new() };
        let replicas = bucket::start_replicas(&mut server, count)?;
        Ok((server, replicas))
    }

    /// Ids of its processes; they may have children.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(Child::id).collect()
    }

    /// The header line that lets a client do everything in `repository`, if one is needed.
    pub(crate) fn authorization(&self, repository: &str) -> io::Result<String> {
        if !self.kind.is_ours() {
            return Ok(String::new());
        }
        self.token(&format!("repository:{repository}:pull,push,delete"))
    }

    /// The same in two repositories, for a mount.
    pub(crate) fn authorization_for_two(&self, into: &str, from: &str) -> io::Result<String> {
        if !self.kind.is_ours() {
            return Ok(String::new());
        }
        self.token(&format!("repository:{into}:pull,push&scope=repository:{from}:pull"))
    }

    /// The same for the list of all repositories.
    pub(crate) fn authorization_for_catalog(&self) -> io::Result<String> {
        if self.kind.is_ours() { self.token("registry:catalog:*") } else { Ok(String::new()) }
    }

    fn token(&self, scope: &str) -> io::Result<String> {
        let login = BASE64_STANDARD.encode(format!("admin:{PASSWORD}"));
        let path = format!("/token?service=bucket&scope={scope}");
        let request = Request::new("GET", &path, &format!("Authorization: Basic {login}\r\n"));
        let (_, body) = Client::connect(self.address)?.read(&request)?;

        let answer: Value = serde_json::from_slice(&body)?;
        let token =
            answer["token"].as_str().ok_or_else(|| io::Error::other(format!("no token: {answer}")))?;
        Ok(format!("Authorization: Bearer {token}\r\n"))
    }

    /// Runs a program of it, and waits until it listens at `address`.
    fn run(&mut self, mut command: Command, address: SocketAddr) -> io::Result<()> {
        let program = command.get_program().to_string_lossy().into_owned();
        let log = File::options().create(true).append(true).open(self.directory.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child =
            command.spawn().map_err(|error| io::Error::other(format!("starting {program}: {error}")))?;
        self.processes.push(child);

        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = self.processes.last_mut().map_or(Ok(None), Child::try_wait)?;
            if ended.is_some() || began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("{program} does not start: {log}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().rev() {
            if let Some(id) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(id, Signal::TERM);
            }
            let began = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && began.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A binary of this workspace, built beside this one.
fn built(name: &str) -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.exists() {
        return Ok(path);
    }
    Err(io::Error::other(format!("{} is not built: use bench/run", path.display())))
}
