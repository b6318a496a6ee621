//! Replicas by the addresses of a name, as a headless service of Kubernetes has them. The name is looked up again when its
//! records have lived; an answer that does not come, or is empty, changes nothing.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_resolver::{
    ResolverBuilder, TokioResolver, config::LookupIpStrategy, net::runtime::TokioRuntimeProvider,
};
use tokio::time::{sleep, timeout};

use super::{
    endpoint::{Trust, endpoint},
    replica::{Health, Replica},
    replicas::Replicas,
};
use crate::config::GrpcName;

/// A name is looked up again after this time at the earliest, and at the latest.
const EARLIEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(5);

/// An answer that takes longer is none.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

/// Replicas of one name, at most: more are no service but a mistake.
const MOST_ADDRESSES: usize = 256;

/// Knows the addresses of names.
pub(super) trait Resolve: Send + Sync + 'static {
    /// The addresses of `host` now.
    fn resolve(&self, host: &str) -> impl Future<Output = io::Result<Found>> + Send;
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) addresses: Vec<IpAddr>,
    /// For how long.
    pub(super) lives: Duration,
}

/// The system's DNS.
pub(super) struct Dns(TokioResolver);

impl Dns {
    /// With the servers and search domains of the system.
    pub(super) fn of_system() -> io::Result<Self> {
        Self::built(TokioResolver::builder_tokio().map_err(io::Error::other)?)
    }

    fn built(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> io::Result<Self> {
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // Whoever asks here wants to know what has changed.
        options.cache_size = 0;
        options.positive_max_ttl = Some(LATEST);
        options.negative_max_ttl = Some(EARLIEST);
        builder.build().map(Self).map_err(io::Error::other)
    }
}

impl Resolve for Dns {
    async fn resolve(&self, host: &str) -> io::Result<Found> {
        let found = self.0.lookup_ip(host).await.map_err(io::Error::other)?;
        let lives = found.valid_until().saturating_duration_since(Instant::now());
        Ok(Found { addresses: found.iter().collect(), lives })
    }
}

/// The names of a service, and what they stand for.
pub(super) struct Discovery {
    names: Vec<Named>,
    fixed: BTreeSet<String>,
    trust: Option<Trust>,
    replicas: Arc<Replicas>,
}

struct Named {
    name: GrpcName,
    found: BTreeSet<String>,
}

impl Discovery {
    /// Of `names`, beside the urls that are `fixed`.
    pub(super) fn new(
        names: Vec<GrpcName>,
        fixed: BTreeSet<String>,
        trust: Option<Trust>,
        replicas: Arc<Replicas>,
    ) -> Self {
        let names = names.into_iter().map(|name| Named { name, found: BTreeSet::new() }).collect();
        Self { names, fixed, trust, replicas }
    }

    /// Looks the names up again and again.
    pub(super) async fn run(mut self, resolver: impl Resolve) {
        loop {
            let mut pause = LATEST;
            for named in &mut self.names {
                let lives = named.look_up(&resolver).await;
                pause = pause.min(lives.unwrap_or(EARLIEST));
            }
            self.tell();
            sleep(pause.clamp(EARLIEST, LATEST)).await;
        }
    }

    fn tell(&self) {
        let found = self.names.iter().flat_map(|named| &named.found);
        let all: BTreeSet<String> = self.fixed.iter().chain(found).cloned().collect();
        self.replicas.become_those_at(&all, |address| self.replica(address));
    }

    /// A replica that was not known before.
    fn replica(&self, address: &str) -> Option<Arc<Replica>> {
        let named = self.names.iter().find(|named| named.found.contains(address));
        let tls = self.trust.as_ref().map(|trust| match named {
            Some(named) => trust.of_name(&named.name.host),
            None => trust.of_urls(),
        });
        match endpoint(address, tls) {
            Ok(endpoint) => {
                tracing::info!(address, "a replica has been found");
                Some(Arc::new(Replica::new(address, endpoint.connect_lazy(), Health::Followed)))
            }
            Err(error) => {
                tracing::warn!(%error, "a replica cannot be used");
                None
            }
        }
    }
}

impl Named {
    /// What is found replaces what was; how long that lives, if anything was found.
    async fn look_up(&mut self, resolver: &impl Resolve) -> Option<Duration> {
        let GrpcName { scheme, host, port } = &self.name;
        let late = |_| Err(io::ErrorKind::TimedOut.into());
        match timeout(LOOKUP_LIMIT, resolver.resolve(host)).await.unwrap_or_else(late) {
            Ok(found) if !found.addresses.is_empty() => {
                let addresses = found.addresses.into_iter().take(MOST_ADDRESSES);
                let url = |address| format!("{scheme}://{}", SocketAddr::new(address, *port));
                self.found = addresses.map(url).collect();
                Some(found.lives)
            }
            Ok(_) => {
                tracing::warn!(
                    host,
                    known = self.found.len(),
                    "a name has no addresses; its replicas are kept"
                );
                None
            }
            Err(error) => {
                tracing::warn!(host, %error, known = self.found.len(), "a name was not found; its replicas are kept");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    use tokio::net::UdpSocket;

    use super::*;

    impl Dns {
        /// The DNS server at `address`, and nothing of the system's.
        fn at(address: SocketAddr) -> Self {
            let mut server = NameServerConfig::udp(address.ip());
            server.connections[0].port = address.port();
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            Self::built(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())).unwrap()
        }
    }

    const A: [u8; 2] = [0, 1];
    const AAAA: [u8; 2] = [0, 28];

    /// Answers one query (RFC 1035, §4.1) with addresses that live for 3 s, each as the bytes of its record.
    async fn answer(socket: &UdpSocket, fours: &[[u8; 4]], sixes: &[[u8; 16]]) {
        let mut query = [0; 512];
        let (length, from) = socket.recv_from(&mut query).await.unwrap();
        let name = query[12..length].iter().position(|byte| *byte == 0).unwrap();
        let question = &query[12..12 + name + 5];
        let kind = [query[12 + name + 1], query[12 + name + 2]];
        let records: Vec<&[u8]> = match kind {
            A => fours.iter().map(|it| &it[..]).collect(),
            AAAA => sixes.iter().map(|it| &it[..]).collect(),
            other => panic!("{other:?} was asked for"),
        };

        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
        answer.extend(question);
        for record in records {
            // The name by a pointer to the question, the class IN, the time to live, the length.
            answer.extend([
                0xc0,
                12,
                kind[0],
                kind[1],
                0,
                1,
                0,
                0,
                0,
                3,
                0,
                u8::try_from(record.len()).unwrap(),
            ]);
            answer.extend(record);
        }
        socket.send_to(&answer, from).await.unwrap();
    }

    #[tokio::test]
    async fn both_kinds_of_addresses_are_found_with_their_time_to_live() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dns = Dns::at(socket.local_addr().unwrap());
        let six = "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap();
        let serving = async {
            for _ in 0..2 {
                answer(&socket, &[[10, 0, 0, 1], [10, 0, 0, 2]], &[six.octets()]).await;
            }
        };

        let (found, ()) = tokio::join!(dns.resolve("blob-headless.test."), serving);

        let found = found.unwrap();
        let mut addresses = found.addresses;
        addresses.sort();
        let wanted: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), six.into()];
        assert_eq!(addresses, wanted);
        assert!(found.lives <= Duration::from_secs(3) && found.lives > Duration::from_secs(1));
    }

    #[tokio::test]
    async fn each_lookup_asks_anew() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dns = Dns::at(socket.local_addr().unwrap());
        let serving = async {
            for last in [1, 1, 2, 2] {
                let mut six = [0x20; 16];
                six[15] = last;
                answer(&socket, &[[10, 0, 0, last]], &[six]).await;
            }
        };
        let asking = async {
            let mut all = Vec::new();
            for _ in 0..2 {
                let found = dns.resolve("blob-headless.test.").await.unwrap();
                all.extend(found.addresses.into_iter().filter(IpAddr::is_ipv4));
            }
            all
        };

        let (found, ()) = tokio::join!(asking, serving);

        let wanted: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        assert_eq!(found, wanted);
    }
}
