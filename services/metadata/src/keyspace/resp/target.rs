//! How a connection to the server is made: where it is, who asks, over what. It asks sentinels where the master is, and
//! takes no server that copies another.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates, Value, aio::MultiplexedConnection,
    io::tcp::TcpSettings,
};
use secrecy::ExposeSecret as _;

use super::{
    address::{Address, Encryption, Place, ServerUrl},
    fault::{Fault, answered},
    info::{Info, Keeping, Spread},
};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To connect to one server.
    pub connect: Duration,
    /// To be answered, once asked.
    pub answer: Duration,
    /// For a replica to have what was committed; shorter than an answer may take.
    pub replica: Duration,
    /// For a call of the port, whatever it takes.
    pub call: Duration,
    /// Looks in turn that see no replica, after which commits wait for none any more; there are two in a second.
    pub unreplicated: u32,
    /// Between two attempts at the start of the process, and how many there are.
    pub start: (Duration, u32),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            answer: Duration::from_secs(5),
            replica: Duration::from_secs(3),
            call: Duration::from_secs(10),
            unreplicated: 1_200,
            start: (Duration::from_millis(500), 120),
        }
    }
}

/// The server, as connections to it are made.
pub(super) struct Target {
    url: ServerUrl,
    certificates: Option<TlsCertificates>,
    limits: Limits,
    keeping: Keeping,
    replicated: AtomicBool,
    /// How many looks in turn have seen no replica.
    unseen: AtomicU32,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Target {
    /// Of `url`. With sentinels there are replicas, or will be.
    pub(super) fn new(
        url: ServerUrl,
        certificates: Option<TlsCertificates>,
        limits: Limits,
        keeping: Keeping,
    ) -> Self {
        let replicated = AtomicBool::new(matches!(url.place, Place::Sentinels { .. }));
        Self { url, certificates, limits, keeping, replicated, unseen: AtomicU32::new(0) }
    }

    pub(super) fn url(&self) -> &ServerUrl {
        &self.url
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether a commit has to reach a replica. A replica that has gone is what the wait is for: only where none came back
    /// for long, and nobody has said that there must be one, there is none any more.
    pub(super) fn replicated(&self) -> bool {
        self.replicated.load(Ordering::Relaxed)
    }

    /// A connection to the server that takes writes.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, Fault> {
        let (sentinels, service) = match &self.url.place {
            Place::Server(server) | Place::Node(server) => return self.connect_to_master(server).await,
            Place::Cluster(nodes) => return self.connect_to_any(nodes).await,
            Place::Sentinels { sentinels, service } => (sentinels, service),
        };

        let mut reason = String::new();
        for sentinel in sentinels {
            let attempt = async {
                let master = self.master_by(sentinel, service).await?;
                self.connect_to_master(&master).await
            };
            match attempt.await {
                Ok(connection) => return Ok(connection),
                Err(lasting @ (Fault::Credentials { .. } | Fault::Untrusted { .. })) => return Err(lasting),
                Err(fault) => reason = fault.to_string(),
            }
        }
        Err(Fault::NoMaster { service: service.clone(), reason })
    }

    /// Refuses a server that copies another (any more), and sees whether there are replicas.
    pub(super) async fn look(&self, connection: &mut MultiplexedConnection) -> Result<(), Fault> {
        let mut command = redis::cmd("INFO");
        command.arg("replication");
        let info = self.said(connection, &command).await?;
        self.see(&info)
    }

    /// What the server says of itself; nothing where it may not say so.
    async fn said(&self, connection: &mut MultiplexedConnection, command: &Cmd) -> Result<Info, Fault> {
        match self.ask(connection, command).await {
            Ok(answer) => Ok(info(&answer)),
            Err(Fault::Refused(error)) if error.code() == "NOPERM" => Ok(Info::default()),
            Err(fault) => Err(fault),
        }
    }

    fn see(&self, info: &Info) -> Result<(), Fault> {
        if info.is_replica() {
            return Err(Fault::Replica { address: self.url.to_string() });
        }
        if info.has_replicas() {
            self.unseen.store(0, Ordering::Relaxed);
            if !self.replicated.swap(true, Ordering::Relaxed) {
                tracing::info!("the metadata engine has replicas: durable commits wait for one");
            }
        } else if info.tells_of_replicas() && self.replicated() {
            self.miss(info);
        }
        Ok(())
    }

    /// No replica is there. Sentinels, and a server that is to have replicas, want one to come back.
    fn miss(&self, info: &Info) {
        if matches!(self.url.place, Place::Sentinels { .. }) || info.needs_replicas() {
            return;
        }
        let unseen = self.unseen.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if unseen >= self.limits.unreplicated && self.replicated.swap(false, Ordering::Relaxed) {
            self.unseen.store(0, Ordering::Relaxed);
            tracing::warn!(
                "the metadata engine has had no replica for long: durable commits wait for none any more; \
                 set min-replicas-to-write to 1 if there is to be one"
            );
        }
    }

    /// Asks one thing and waits for the answer, which is none of the server's errors.
    pub(super) async fn ask(
        &self,
        connection: &mut MultiplexedConnection,
        command: &Cmd,
    ) -> Result<Value, Fault> {
        let answer = connection.send_packed_command(command).await;
        answered(answer.map_err(|error| Fault::asking(error, self.limits.answer))?)
    }

    /// Of what it is said to be.
    pub(super) fn spread(&self) -> Spread {
        match self.url.place {
            Place::Cluster(_) | Place::Node(_) => Spread::Cluster,
            Place::Server(_) | Place::Sentinels { .. } => Spread::OneServer,
        }
    }

    /// A connection to one that says where the masters are, which every server of a cluster knows.
    async fn connect_to_any(&self, nodes: &[Address]) -> Result<MultiplexedConnection, Fault> {
        let mut last = Fault::Away;
        for node in nodes {
            match self.connect_to(node, self.settings()).await {
                Ok(connection) => return Ok(connection),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn connect_to_master(&self, address: &Address) -> Result<MultiplexedConnection, Fault> {
        let mut connection = self.connect_to(address, self.settings()).await?;
        match self.examine(&mut connection, address).await {
            Ok(()) => Ok(connection),
            Err(Fault::Refused(error)) if error.code() == "NOAUTH" => {
                Err(Fault::Credentials { address: address.to_string() })
            }
            Err(Fault::Replica { .. }) => Err(Fault::Replica { address: address.to_string() }),
            Err(fault) => Err(fault),
        }
    }

    /// What was found out at the start is found out of each server that takes its place.
    async fn examine(&self, connection: &mut MultiplexedConnection, address: &Address) -> Result<(), Fault> {
        let info = self.said(connection, &redis::cmd("INFO")).await?;
        self.see(&info)?;
        let refused = info.check(self.keeping, self.spread());
        refused.map_err(|refusal| Fault::Untrusted { address: address.to_string(), refusal })
    }

    async fn master_by(&self, sentinel: &Address, service: &str) -> Result<Address, Fault> {
        let settings =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        let mut connection = self.connect_to(sentinel, settings).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let answer = self.ask(&mut connection, &command).await?;

        let unknown = || Fault::NoMaster {
            service: service.to_owned(),
            reason: format!("the sentinel at {sentinel} does not watch it"),
        };
        let Value::Array(parts) = answer else { return Err(unknown()) };
        let mut parts = parts.iter().map(text);
        let host = parts.next().flatten().ok_or_else(unknown)?;
        let port = parts.next().flatten().and_then(|port| port.parse().ok()).ok_or_else(unknown)?;
        Ok(Address { host, port })
    }

    fn settings(&self) -> RedisConnectionInfo {
        let mut settings = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name()
            .set_db(i64::from(self.url.database));
        if let Some(username) = &self.url.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.url.password {
            settings = settings.set_password(password.expose_secret());
        }
        settings
    }

    async fn connect_to(
        &self,
        address: &Address,
        settings: RedisConnectionInfo,
    ) -> Result<MultiplexedConnection, Fault> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limits.connect))
            .set_response_timeout(Some(self.limits.answer));
        let connected = match self.client(address, settings) {
            Ok(client) => client.get_multiplexed_async_connection_with_config(&config).await,
            Err(error) => Err(error),
        };
        connected.map_err(|reason| Fault::connecting(address.to_string(), reason))
    }

    fn client(&self, address: &Address, settings: RedisConnectionInfo) -> Result<Client, RedisError> {
        let Address { host, port } = address.clone();
        let tcp = TcpSettings::default().set_nodelay(true);
        let with = |address: ConnectionAddr| {
            let connection = address.into_connection_info()?;
            Ok::<_, RedisError>(connection.set_tcp_settings(tcp).set_redis_settings(settings))
        };
        if self.url.encryption == Encryption::Plain {
            return Client::open(with(ConnectionAddr::Tcp(host, port))?);
        }

        let encrypted = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(with(encrypted)?, certificates.clone()),
            None => Client::open(with(encrypted)?),
        }
    }
}

/// The answer to INFO.
pub(super) fn info(answer: &Value) -> Info {
    text(answer).map(|text| Info::parsed(&text)).unwrap_or_default()
}

/// An answer that is a text.
pub(super) fn text(answer: &Value) -> Option<String> {
    match answer {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}
