//! A server that keeps metadata: a Redis, a Valkey or a sentinel of this test's own, with all its data in one directory.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;

use crate::{
    address,
    process::{Process, run},
};

/// Below the ports that services have at the address of a test.
static NEXT_PORT: AtomicU16 = AtomicU16::new(6_379);

/// What every server keeps: all that it has acknowledged.
const DURABLE: &str = "save \"\"\nappendonly yes\nappendfsync always\nrepl-diskless-sync-delay 0\n";

/// What LedisDB has not, of what Redis has. What it calls otherwise, Redis has under those names here: `UNLINK` and
/// `GETDEL` do what `ZCLEAR` and `DEL` do there.
const AS_LEDISDB: &str = "rename-command DEL HCLEAR\nrename-command UNLINK ZCLEAR\nrename-command GETDEL DEL\n\
    rename-command HELLO \"\"\nrename-command CLIENT \"\"\nrename-command COMMAND \"\"\nrename-command TYPE \"\"\n\
    rename-command MULTI \"\"\nrename-command EXEC \"\"\nrename-command WATCH \"\"\nrename-command SCAN \"\"\n\
    rename-command KEYS \"\"\nrename-command CONFIG \"\"\nrename-command WAIT \"\"\n\
    rename-command ZREVRANGEBYLEX \"\"\nappendonly no\n";

/// What makes a Redis one of a cluster. A master that does not answer for a second is replaced.
const CLUSTERED: &str = "cluster-enabled yes\ncluster-node-timeout 1000\ncluster-announce-ip {ip}\n";

/// What is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Debian's Redis.
    Redis,
    /// Valkey, as `PyPI` has it.
    Valkey,
    /// A Redis that has only commands that LedisDB has, by the names that they have there. It stands in for LedisDB,
    /// which no package registry has; that types have keys of their own there, it does not show.
    LedisStandIn,
    /// A sentinel.
    Sentinel,
}

/// A server, running or not.
#[derive(Debug)]
pub struct Engine {
    program: Program,
    address: SocketAddr,
    process: Option<Process>,
    directory: TempDir,
}

impl Engine {
    /// Starts a server with these lines at the end of its configuration, in which `{port}` is its port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(program: Program, lines: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("engine").tempdir().unwrap();
        let address = address::with_port(NEXT_PORT.fetch_add(1, Ordering::Relaxed));
        let (ip, port) = (address.ip(), address.port().to_string());
        let at = directory.path().display();
        // A master sees 127.0.0.1 as where its replicas are, and sentinels believe it.
        let durable = format!("{DURABLE}replica-announce-ip {ip}\n");
        let own = match program {
            Program::Redis | Program::Valkey => durable,
            Program::LedisStandIn => durable + AS_LEDISDB,
            Program::Sentinel => String::new(),
        };
        let common = format!("bind {ip}\nport {port}\nprotected-mode no\ndir {at}\n");
        let config = common + &own + &lines.replace("{port}", &port).replace("{ip}", &ip.to_string()) + "\n";
        fs::write(directory.path().join("engine.conf"), config).unwrap();

        let mut engine = Self { program, address, process: None, directory };
        engine.start_again();
        engine
    }

    /// Starts it after it was killed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self) {
        let mut command = Command::new(binary(self.program));
        command.arg(self.directory.path().join("engine.conf"));
        let ready = if self.program == Program::Sentinel {
            command.arg("--sentinel");
            "Sentinel ID is"
        } else {
            "Ready to accept connections"
        };
        self.process = Some(Process::start("engine", command, &self.directory.path().join("log"), ready));
    }

    /// Kills it like `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it does not run.
    pub fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a database.
    pub fn url(&self) -> String {
        let scheme = if self.program == Program::LedisStandIn { "ledis" } else { "redis" };
        format!("{scheme}://{}", self.address)
    }

    /// What `redis-cli` prints, asked for one thing.
    ///
    /// # Panics
    /// If it fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
        run(Command::new("redis-cli").args(["-h", &host, "-p", &port]).args(arguments))
    }
}

/// Three masters, each with a replica, that share all keys. It ends with the test.
#[derive(Debug)]
pub struct Cluster {
    /// Masters first, as they were in the beginning.
    pub nodes: Vec<Engine>,
}

impl Cluster {
    /// Starts six servers and makes one of them.
    ///
    /// # Panics
    /// If they do not become one.
    pub fn start() -> Self {
        let nodes: Vec<Engine> = (0..6).map(|_| Engine::start(Program::Redis, CLUSTERED)).collect();
        let addresses: Vec<String> = nodes.iter().map(|node| node.address.to_string()).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        let said = nodes[0].cli(&create);
        assert!(said.contains("All 16384 slots covered"), "{said}");

        let cluster = Self { nodes };
        cluster.wait(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok"));
        cluster.wait(|node| {
            let role = node.cli(&["info", "replication"]);
            role.contains("connected_slaves:1") || role.contains("master_link_status:up")
        });
        cluster
    }

    /// Waits until something is so of each server that runs.
    ///
    /// # Panics
    /// If it does not become so.
    pub fn wait(&self, is_so: impl Fn(&Engine) -> bool) {
        for node in self.nodes.iter().filter(|node| node.process.is_some()) {
            // Each look is a process of its own, some milliseconds long.
            assert!((0..5_000).any(|_| is_so(node)), "{} does not join the others", node.address);
        }
    }

    /// Its URL: two servers suffice to find the others.
    pub fn url(&self) -> String {
        format!("redis+cluster://{},{}", self.nodes[0].address, self.nodes[4].address)
    }

    /// The server that has a key, by its place.
    ///
    /// # Panics
    /// If none of those that run has it.
    pub fn master_of(&self, key: &str) -> usize {
        let slot = self.running().cli(&["cluster", "keyslot", key]).trim().parse::<u32>().unwrap();
        let has = |node: &Engine| {
            let slots = node.cli(&["cluster", "nodes"]);
            let own = slots.lines().find(|line| line.contains("myself")).unwrap_or_default().to_owned();
            own.contains("master") && own.split(' ').skip(8).any(|range| is_within(range, slot))
        };
        let mut places = (0..self.nodes.len()).filter(|place| self.nodes[*place].process.is_some());
        places.find(|place| has(&self.nodes[*place])).expect("a master has the key")
    }

    /// Moves slots from one server to another, by their places.
    ///
    /// # Panics
    /// If that fails.
    pub fn reshard(&self, from: usize, to: usize, slots: usize) {
        let id = |place: usize| self.nodes[place].cli(&["cluster", "myid"]).trim().to_owned();
        let (from, to, slots) = (id(from), id(to), slots.to_string());
        let address = self.running().address.to_string();
        self.running().cli(&[
            "--cluster",
            "reshard",
            &address,
            "--cluster-from",
            &from,
            "--cluster-to",
            &to,
            "--cluster-slots",
            &slots,
            "--cluster-yes",
        ]);
    }

    fn running(&self) -> &Engine {
        self.nodes.iter().find(|node| node.process.is_some()).expect("a server runs")
    }
}

fn is_within(range: &str, slot: u32) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
}

fn binary(program: Program) -> PathBuf {
    if program != Program::Valkey {
        return "/usr/bin/redis-server".into();
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let cache = std::env::var_os("TEST_CACHE").map_or_else(|| home().join(".cache/bucket"), PathBuf::from);
    find(&cache.join("tools/lib"), "valkey-server").expect("valkey-server is installed by ./test")
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let found = files.into_iter().find(|path| path.file_name().is_some_and(|own| own == name));

    found.or_else(|| directories.iter().find_map(|directory| find(directory, name)))
}
