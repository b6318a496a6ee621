//! A hub of real processes on this test's own address, with all its data in one directory.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    Topology,
    process::Process,
    raw::{ADMIN, PASSWORD, Raw},
    service::Service,
};

/// What a service prints once it can do its work.
const READY: &str = r#""message":"ready""#;

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    topology: Topology,
    options: Options,
    running: BTreeMap<Service, Process>,
    directory: TempDir,
}

/// What is unusual about a hub.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where data lives. None: in a directory of the hub's own.
    pub data: Option<PathBuf>,
    /// Variables of the environment of every service, as `BUCKET_…` settings.
    pub environment: Vec<(String, String)>,
    /// The same, of the edges alone.
    pub edges: Vec<(String, String)>,
    /// The same, of the services that have a gRPC port.
    pub ports: Vec<(String, String)>,
    /// The same, of the auth service.
    pub auth: Vec<(String, String)>,
    /// The certificates that gRPC ports and their callers know each other by. None: they speak plainly.
    pub certificates: Option<PathBuf>,
    /// When what nobody needs goes.
    pub reclaim: Reclaim,
    /// The server that mail is sent by. None: there is no mail.
    pub mail: Option<SocketAddr>,
    /// Whose word counts besides its own.
    pub federation: Federation,
    /// The section that names the bucket of its blobs. None: they are in a directory.
    pub bucket: Option<String>,
    /// What each replica of the blob service keeps on a disk of its own. None: nothing.
    pub cache_bytes: Option<u64>,
    /// The URL of the server that keeps metadata. None: a file does.
    pub metadata: Option<String>,
}

/// Whose word counts besides a hub's own, each as a table of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Federation {
    /// Providers of identities.
    pub providers: Vec<String>,
    /// Issuers of the tokens of workloads.
    pub workload_issuers: Vec<String>,
}

/// When what nobody needs goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reclaim {
    /// After hours and days, as by default.
    #[default]
    AsShipped,
    /// After seconds, and everything is verified each second. What was deleted can be restored for an hour.
    Soon,
    /// The same, but what was deleted cannot be restored.
    SoonWithoutUndo,
}

impl Hub {
    /// Starts a hub and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start, with what it printed.
    pub fn start(topology: Topology) -> Self {
        Self::start_with(topology, Options::default())
    }

    /// Starts a hub with something unusual.
    ///
    /// # Panics
    /// As `start`.
    pub fn start_with(topology: Topology, options: Options) -> Self {
        let directory = tempfile::Builder::new().prefix("hub").tempdir().unwrap();
        let mut hub = Self { topology, options, running: BTreeMap::new(), directory };
        fs::create_dir_all(hub.data()).unwrap();
        hub.start_all();
        hub
    }

    /// How it is run.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.options.data.clone().unwrap_or_else(|| self.directory.path().join("data"))
    }

    /// The services it consists of, each after those that it needs.
    pub fn services(&self) -> &'static [Service] {
        Service::all(self.topology)
    }

    /// Where its edges listen.
    pub fn edges(&self) -> Vec<SocketAddr> {
        self.services()
            .iter()
            .filter(|service| service.is_edge())
            .map(|service| service.listens_at())
            .collect()
    }

    /// The first edge as a registry's name, `host:port`.
    pub fn registry(&self) -> String {
        self.edges()[0].to_string()
    }

    /// A raw client at the first edge.
    pub fn raw(&self) -> Raw {
        self.raws().swap_remove(0)
    }

    /// Raw clients, one at each edge.
    pub fn raws(&self) -> Vec<Raw> {
        let first = Raw::new(&format!("http://{}", self.edges()[0]));
        self.edges().iter().map(|edge| first.at(&format!("http://{edge}"))).collect()
    }

    /// The certificates of its gRPC ports, if it has any.
    pub fn certificates(&self) -> Option<&Path> {
        self.options.certificates.as_deref()
    }

    /// The name and password of the administrator.
    pub fn administrator(&self) -> (&'static str, &'static str) {
        (ADMIN, PASSWORD)
    }

    /// A running service.
    ///
    /// # Panics
    /// If it has been killed.
    pub fn process(&mut self, service: Service) -> &mut Process {
        self.running.get_mut(&service).unwrap_or_else(|| panic!("{service:?} is not running"))
    }

    /// Kills a service like `kill -9`.
    ///
    /// # Panics
    /// If it is not running.
    pub fn kill(&mut self, service: Service) {
        self.process(service).kill();
        self.running.remove(&service);
    }

    /// Waits until a service has died at its failpoint.
    ///
    /// # Panics
    /// If it does not, or ends in another way.
    pub fn wait_for_death(&mut self, service: Service) {
        use std::os::unix::process::ExitStatusExt as _;
        let ended = self.process(service).wait_for_end();
        assert_eq!(ended.signal(), Some(9), "{service:?} ended with {ended}");
        self.running.remove(&service);
    }

    /// Starts a service that is not running.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start_service(&mut self, service: Service) {
        self.start_service_with(service, &[]);
    }

    /// Starts a service that is killed when it comes to a failpoint.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start_to_fail(&mut self, service: Service, failpoint: &str) {
        self.start_service_with(service, &[("BUCKET_FAILPOINT", failpoint)]);
    }

    fn start_service_with(&mut self, service: Service, environment: &[(&str, &str)]) {
        let log = self.directory.path().join(format!("{}.log", service.name()));
        let command = self.command_for(service, environment);
        let process = Process::start(service.name(), command, &log, READY);
        assert!(self.running.insert(service, process).is_none(), "{service:?} was running");
    }

    /// Asks every service to end, waits, and starts them again.
    ///
    /// # Panics
    /// If one does not end cleanly or does not start.
    pub fn restart(&mut self) {
        self.stop();
        self.start_all();
    }

    /// Asks every service to end and waits: those that need others first.
    ///
    /// # Panics
    /// If one does not end cleanly.
    pub fn stop(&mut self) {
        for service in self.services().iter().rev() {
            if let Some(mut process) = self.running.remove(service) {
                let ended = process.terminate();
                assert!(ended.success(), "{service:?} ended with {ended}:\n{}", process.log());
            }
        }
    }

    /// What a service counts, in Prometheus' text format.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn metrics(&self, service: Service) -> String {
        let url = format!("http://{}/metrics", service.admin_at());
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    /// The command that starts a service, with more variables in its environment.
    pub fn command_for(&self, service: Service, environment: &[(&str, &str)]) -> Command {
        let mut command = self.command(service);
        command.envs(environment.iter().copied());
        command
    }

    fn start_all(&mut self) {
        for service in self.services() {
            self.start_service(*service);
        }
    }

    fn command(&self, service: Service) -> Command {
        let config = self.directory.path().join(format!("{}.toml", service.name()));
        let reclaim = service.reclaiming(self.options.reclaim);
        let mail = self.options.mail.map(|server| service.mailing(server)).unwrap_or_default();
        let federation = service.federated(&self.options.federation);
        let cache =
            self.options.cache_bytes.map(|most| service.caching(&self.data(), most)).unwrap_or_default();
        let mut text = service.configuration(&self.data()) + &reclaim + &mail + &federation + &cache;
        if let Some(bucket) = &self.options.bucket {
            text = service.in_bucket(&text, bucket);
        }
        if let Some(certificates) = &self.options.certificates {
            text = service.privately(&text, certificates);
        }
        if let Some(url) = &self.options.metadata {
            text = service.on_engine(&text, url);
        }
        fs::write(&config, text).unwrap();

        let mut command = Command::new(binary(service.binary()));
        if service == Service::Bucket {
            command.arg("serve").arg("--data").arg(self.data());
            command.arg("--listen").arg(service.listens_at().to_string());
            command.args(self.options.metadata.iter().flat_map(|url| ["--metadata", url.as_str()]));
        }
        command
            .arg("--config")
            .arg(config)
            .env("BUCKET_ADMIN_PASSWORD", PASSWORD)
            .envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        if service.is_edge() {
            command.envs(self.options.edges.iter().map(|(name, value)| (name, value)));
        }
        if service == Service::Auth {
            command.envs(self.options.auth.iter().map(|(name, value)| (name, value)));
        }
        if service.is_grpc() {
            command.envs(self.options.ports.iter().map(|(name, value)| (name, value)));
        }
        command
    }
}

/// The binary that was built beside this test: `target/debug/deps/test` → `target/debug/name`.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        built.exists(),
        "{} is not built: run ./test, or cargo build --workspace --bins --tests",
        built.display()
    );
    built
}
