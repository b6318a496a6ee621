//! What a server says of itself, and whether metadata may be trusted to it.

use std::collections::BTreeMap;

use super::script::Dialect;

/// The oldest Redis whose scripts are replicated and kept by what they do, not by their text.
const LEAST_REDIS: (u32, u32) = (5, 0);

/// The oldest Redis that holds scripts back, too, if it has fewer replicas than `min-replicas-to-write`.
const LEAST_REPLICATED_REDIS: (u32, u32) = (7, 0);

/// The answer to INFO, by name.
#[derive(Debug, Default)]
pub(super) struct Info(BTreeMap<String, String>);

impl Info {
    pub(super) fn parsed(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether it copies another server. LedisDB and Kvrocks have the word too.
    pub(super) fn is_replica(&self) -> bool {
        self.get("role") == Some("slave")
    }

    /// Whether it says anything of who copies it.
    pub(super) fn tells_of_replicas(&self) -> bool {
        self.get("role").is_some()
    }

    /// Whether others copy it and say so. What only takes a copy (`redis-cli --rdb`) has no port, and what is in its first
    /// copy has acknowledged nothing yet.
    pub(super) fn has_replicas(&self) -> bool {
        let begun = self.get("master_repl_offset").is_some_and(|offset| offset != "0");
        let connected = |replica: &str| {
            let said: BTreeMap<&str, &str> =
                replica.split(',').filter_map(|pair| pair.split_once('=')).collect();
            said.get("state").is_none_or(|state| *state == "online")
                && said.get("port").is_some_and(|port| *port != "0")
                && said.get("offset").is_some_and(|offset| !begun || *offset != "0")
        };
        (0..).map_while(|number| self.get(&format!("slave{number}"))).any(connected)
    }

    /// Whether whoever runs it wants it to have replicas: `min-replicas-to-write` is set.
    pub(super) fn needs_replicas(&self) -> bool {
        self.get("min_slaves_good_slaves").is_some()
    }

    /// Refuses a server with replicas that writes also when it has lost them.
    pub(super) fn check_replicated(&self) -> Result<(), Refusal> {
        let engine = self.engine();
        if engine.name == "Redis" && engine.numbers().is_some_and(|found| found < LEAST_REPLICATED_REDIS) {
            return Err(Refusal::OldForReplicas { found: engine.version });
        }
        Ok(())
    }

    pub(super) fn engine(&self) -> Engine {
        let kinds = [
            ("ledisdb_version", "LedisDB"),
            ("kvrocks_version", "Kvrocks"),
            ("valkey_version", "Valkey"),
            ("redis_version", "Redis"),
        ];
        let found = kinds.into_iter().find_map(|(field, name)| Some((name, self.get(field)?)));
        let (name, version) = found.unwrap_or(("an unknown engine", "unknown"));
        Engine { name, version: version.to_owned() }
    }

    /// Refuses a server that would lose metadata by itself, or cannot do what is needed.
    pub(super) fn check(&self, keeping: Keeping, spread: Spread) -> Result<(), Refusal> {
        let engine = self.engine();
        if self.is_replica() {
            return Err(Refusal::Replica);
        }
        match (self.get("cluster_enabled") == Some("1"), spread) {
            (true, Spread::OneServer) => return Err(Refusal::Cluster),
            (false, Spread::Cluster) => return Err(Refusal::NoCluster),
            _ => {}
        }
        if engine.name == "Redis" && engine.numbers().is_some_and(|found| found < LEAST_REDIS) {
            return Err(Refusal::Old { found: engine.version });
        }
        if let Some(policy) = self.get("maxmemory_policy").filter(|policy| *policy != "noeviction") {
            return Err(Refusal::Evicts { policy: policy.to_owned() });
        }
        if self.get("aof_enabled") == Some("0") && keeping == Keeping::Required {
            return Err(Refusal::Forgets);
        }
        Ok(())
    }
}

/// Which engine it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Engine {
    pub(super) name: &'static str,
    pub(super) version: String,
}

impl Engine {
    pub(super) fn dialect(&self) -> Dialect {
        if self.name == "LedisDB" { Dialect::Ledis } else { Dialect::Redis }
    }

    fn numbers(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// Whether what is written must be on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Yes: an engine that keeps nothing is refused.
    Required,
    /// No: metadata may be lost with the server.
    Volatile,
}

/// Whether a server has all keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    OneServer,
    Cluster,
}

/// Why metadata is not trusted to a server, and what helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It takes no writes.
    #[error("it is a replica, which takes no writes: name its master, or its sentinels (redis+sentinel://)")]
    Replica,
    /// It has a part of the keys.
    #[error("it is part of a Redis Cluster: name some of its servers, redis+cluster://host1:6379,host2:6379")]
    Cluster,
    /// It is alone.
    #[error("it is not part of a Redis Cluster (cluster-enabled no): name it as redis://host:6379")]
    NoCluster,
    /// It cannot do what is needed.
    #[error("it is Redis {found}: use {}.{} or later", LEAST_REDIS.0, LEAST_REDIS.1)]
    Old {
        /// What it is.
        found: String,
    },
    /// It would take commits without its replicas.
    #[error(
        "it is Redis {found} with replicas, whose scripts min-replicas-to-write does not hold back: use {}.{} or later, or Valkey",
        LEAST_REPLICATED_REDIS.0,
        LEAST_REPLICATED_REDIS.1
    )]
    OldForReplicas {
        /// What it is.
        found: String,
    },
    /// It throws away what it has no room for.
    #[error(
        "its maxmemory-policy is {policy}, by which it may throw metadata away: set `maxmemory-policy noeviction`"
    )]
    Evicts {
        /// By which rule.
        policy: String,
    },
    /// It has everything in memory only.
    #[error(
        "it keeps nothing on disk (appendonly no), so that its restart would lose metadata: set `appendonly yes`, \
         or allow that loss with `volatile = true` (`bucket serve --volatile`)"
    )]
    Forgets,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n\
                        # Persistence\r\naof_enabled:1\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\
                        # Cluster\r\ncluster_enabled:0\r\n";

    #[test]
    fn a_server_that_loses_metadata_is_refused() {
        let check = |from: &str, to: &str| {
            Info::parsed(&GOOD.replace(from, to)).check(Keeping::Required, Spread::OneServer)
        };

        assert_eq!(check("", ""), Ok(()));
        assert_eq!(check("aof_enabled:1", "aof_enabled:0"), Err(Refusal::Forgets));
        assert_eq!(
            check("noeviction", "allkeys-lru"),
            Err(Refusal::Evicts { policy: "allkeys-lru".to_owned() })
        );
        assert_eq!(check("role:master", "role:slave"), Err(Refusal::Replica));
        assert_eq!(check("cluster_enabled:0", "cluster_enabled:1"), Err(Refusal::Cluster));
        assert_eq!(check("7.0.15", "4.0.9"), Err(Refusal::Old { found: "4.0.9".to_owned() }));

        let forgets = Info::parsed(&GOOD.replace("aof_enabled:1", "aof_enabled:0"));
        assert_eq!(forgets.check(Keeping::Volatile, Spread::OneServer), Ok(()));
    }

    #[test]
    fn only_a_cluster_is_a_cluster() {
        let node = Info::parsed(&GOOD.replace("cluster_enabled:0", "cluster_enabled:1"));
        assert_eq!(node.check(Keeping::Required, Spread::Cluster), Ok(()));
        assert_eq!(Info::parsed(GOOD).check(Keeping::Required, Spread::Cluster), Err(Refusal::NoCluster));
    }

    #[test]
    fn engines_are_told_apart() {
        let engine = |text: &str| Info::parsed(text).engine();

        assert_eq!(engine(GOOD).name, "Redis");
        assert_eq!(engine("redis_version:7.2.4\r\nvalkey_version:9.1.2\r\n").name, "Valkey");
        assert_eq!(engine("redis_version:4.0.0\r\nkvrocks_version:2.9.0\r\n").name, "Kvrocks");
        let ledis = engine("os:linux\r\nledisdb_version:0.5\r\n");
        assert_eq!((ledis.name, ledis.dialect()), ("LedisDB", Dialect::Ledis));
        assert_eq!(engine("").dialect(), Dialect::Redis);
    }

    #[test]
    fn replicas_are_seen() {
        let has = |replicas: &str| {
            Info::parsed(&format!("role:master\r\nmaster_repl_offset:70\r\n{replicas}\r\n")).has_replicas()
        };
        assert!(!Info::parsed(GOOD).has_replicas());
        assert!(has("slave0:ip=10.0.0.2,port=6379,state=online,offset=56,lag=0"));
        assert!(has("slave0:ip=10.0.0.2,port=6379,offset=56,lag=0"), "Kvrocks says no state");
        let copying = "slave0:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0";
        assert!(!has(copying));
        assert!(!has("slave0:ip=10.0.0.2,port=6379,state=online,offset=0,lag=9"), "it loads the copy");
        assert!(!has("slave0:ip=10.0.0.2,port=0,state=online,offset=0,lag=0"), "redis-cli --rdb");
        assert!(has(&format!("{copying}\r\nslave1:ip=10.0.0.3,port=6379,state=online,offset=70,lag=1")));
        let idle = "role:master\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=0,lag=0\r\nmaster_repl_offset:0\r\n";
        assert!(Info::parsed(idle).has_replicas(), "there was nothing to acknowledge");
    }

    #[test]
    fn an_old_server_with_replicas_is_refused() {
        let old = Info::parsed(&GOOD.replace("7.0.15", "6.2.14"));
        assert_eq!(old.check(Keeping::Required, Spread::OneServer), Ok(()));
        assert_eq!(old.check_replicated(), Err(Refusal::OldForReplicas { found: "6.2.14".to_owned() }));
        assert_eq!(Info::parsed(GOOD).check_replicated(), Ok(()));
        assert_eq!(
            Info::parsed("redis_version:6.0.0\r\nvalkey_version:8.0.0\r\n").check_replicated(),
            Ok(())
        );
    }
}
