//! The scripts that the server runs, in the dialect that it speaks. What they are asked with and what they answer,
//! `wire.rs` knows.

use redis::Cmd;

use crate::keyspace::Key;

/// How an engine names what engines name differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Redis, Valkey, Kvrocks: one namespace of keys, and `DEL` for all of them.
    Redis,
    /// LedisDB: each type has keys of its own, and a command that removes one; there is no `ZREVRANGEBYLEX`.
    Ledis,
}

impl Dialect {
    fn spelled(self, script: &str) -> String {
        match self {
            Self::Redis => script.replace("HCLEAR", "DEL").replace("ZCLEAR", "DEL"),
            Self::Ledis => script.to_owned(),
        }
    }
}

/// The scripts of one dialect.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) dialect: Dialect,
    pub(super) commit: Script,
    pub(super) fields: Script,
    pub(super) records: Script,
    pub(super) follow: Script,
    pub(super) backward: Script,
}

impl Scripts {
    pub(super) fn of(dialect: Dialect) -> Self {
        let script = |text| Script::new(dialect.spelled(text));
        Self {
            dialect,
            commit: script(include_str!("commit.lua")),
            fields: script(include_str!("fields.lua")),
            records: script(include_str!("records.lua")),
            follow: script(include_str!("follow.lua")),
            backward: script(include_str!("backward.lua")),
        }
    }
}

/// How a script is named to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// By the digest of its text: the server has seen it.
    Digest,
    /// By its text.
    Text,
}

/// One script.
#[derive(Debug)]
pub(super) struct Script {
    text: String,
    digest: String,
}

impl Script {
    fn new(text: String) -> Self {
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }

    /// The command that runs it; the arguments are still to come.
    pub(super) fn run(&self, named: Named) -> Cmd {
        self.run_on(named, &[])
    }

    /// The same, with the keys that it uses said beforehand: by them a server of a cluster knows whether it has them all.
    pub(super) fn run_on(&self, named: Named, keys: &[Key]) -> Cmd {
        let (command, script) = match named {
            Named::Digest => ("EVALSHA", &self.digest),
            Named::Text => ("EVAL", &self.text),
        };
        let mut command = redis::cmd(command);
        command.arg(script.as_str()).arg(keys.len());
        for key in keys {
            command.arg(&key.as_bytes()[..]);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Scripts};

    #[test]
    fn only_ledisdb_is_asked_what_only_ledisdb_knows() {
        let redis = Scripts::of(Dialect::Redis).commit.text;
        assert!(redis.contains("call('DEL', key)") && !redis.contains("CLEAR"), "{redis}");

        let ledis = Scripts::of(Dialect::Ledis).commit.text;
        assert!(ledis.contains("call('HCLEAR', key)") && ledis.contains("call('ZCLEAR', key)"), "{ledis}");
    }
}
