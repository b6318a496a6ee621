//! Pages of hashes that have too many fields to be read whole: what is in memory at one time is a page, or the names.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Resp, fault::port_error, script::Dialect, wire};
use crate::keyspace::{Error, Field, Key, Keyspace as _};

/// Fields that one step of a scan looks at.
const AT_ONCE: usize = 1_000;

const ATTEMPTED: &str = "reading a page of fields";

impl Resp {
    /// The first fields above `after`, at most `limit`; fewer only if there are no more.
    pub(super) async fn page_of_many(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        match (limit, self.scripts.dialect) {
            (0, _) => Ok(Vec::new()),
            (_, Dialect::Redis) => self.scanned(key, after, limit).await,
            (_, Dialect::Ledis) => self.picked(key, after, limit).await,
        }
    }

    /// Scans the whole hash, in the order of the server, and keeps what belongs to the page. On one connection: what a
    /// scan goes on by means something else to another process of the server.
    async fn scanned(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let failed = |fault| port_error(&fault, ATTEMPTED);
        let mut connection = self.reads.connection().await.map_err(failed)?;
        let (mut least, mut place) = (BTreeMap::new(), Bytes::from_static(b"0"));
        loop {
            let mut command = redis::cmd("HSCAN");
            command.arg(wire::text(key)).arg(&place[..]).arg("COUNT").arg(AT_ONCE);
            let answer = self.reads.target().ask(&mut connection, &command).await.map_err(failed)?;
            let (next, fields) = wire::scanned(answer)?;

            least.extend(fields.into_iter().filter(|(field, _)| after.is_none_or(|after| field > after)));
            while least.len() > limit {
                least.pop_last();
            }
            if next[..] == *b"0" {
                return Ok(least.into_iter().collect());
            }
            place = next;
        }
    }

    /// Reads all names, and the values of those that belong to the page: LedisDB scans otherwise.
    async fn picked(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let mut command = redis::cmd("HKEYS");
        command.arg(wire::text(key));
        let mut names = wire::members(self.ask(ATTEMPTED, &command).await?)?;
        names.retain(|name| after.is_none_or(|after| name > after));
        names.sort_unstable();

        let mut page = Vec::with_capacity(limit);
        // What has gone meanwhile leaves room for more: a page that is short is taken for the last.
        for some in names.chunks(limit) {
            let asked: Vec<_> = some.iter().map(|name| (key.clone(), Field::new(name.clone()))).collect();
            let values = self.get_many(&asked).await?;
            let found = some.iter().cloned().zip(values).filter_map(|(name, value)| Some((name, value?)));
            page.extend(found.take(limit - page.len()));
            if page.len() == limit {
                break;
            }
        }
        Ok(page)
    }
}
