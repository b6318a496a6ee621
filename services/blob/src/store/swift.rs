//! A store in a container of OpenStack Swift, which any number of processes share. Bytes are segments while they arrive, and
//! content once an object lists them: nothing is copied, no listing is relied on, and nothing is kept in this process.
//! `docs/decisions/0020-blobs-in-swift.md` says why each step comes where it does.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{Generation, SessionId, Span, StoreName};
use secrecy::SecretString;
use service_kit::{
    clock::Clock,
    exchange::{Exchange, ExchangeError},
};
use tokio::sync::Semaphore;

use super::{
    Object, PublicUrl, Store, StoreError, Writer,
    marker::{Marker, Standing, is_marked},
    object::{part::State, plan::Plan},
};
use crate::layout::{self, ObjectName, Place};

use cluster::{Cluster, Unfit};
pub(crate) use config::GivenSwift;
use config::Public;
pub use config::{ConfigError, SwiftConfig};
use container::Container;
use failure::unavailable;
use sessions::Sessions;

mod body;
mod cluster;
mod config;
mod container;
mod credentials;
mod failure;
mod parts;
mod publish;
mod requests;
mod segment;
mod sessions;
mod temp_url;
mod trial;
mod writer;

/// Objects of one upload that are removed between two listings.
const AT_ONCE: usize = 200;

/// Bytes of what is kept of a part, beside those that are in no segment yet.
const LONGEST_STATE_BYTES: u64 = 4 << 20;

/// A store in a container. Clones are the same store.
#[derive(Clone)]
pub struct Swift(Arc<Parts>);

struct Parts {
    container: Arc<Container>,
    plan: Plan,
    /// None if nobody is sent to Swift itself.
    public: Option<Signing>,
    marker: Marker,
    clock: Arc<dyn Clock>,
    /// What checks of this process write under: one key, so that one that was given up leaves nothing for ever.
    probe: Generation,
    /// Held by the check that is under way: another one would remove what it has written.
    checking: Semaphore,
}

/// Where clients are sent, and how.
struct Signing {
    public: Public,
    algorithm: aws_lc_rs::hmac::Algorithm,
}

impl std::fmt::Debug for Swift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Swift").finish_non_exhaustive()
    }
}

/// Why a container cannot be a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Nobody can be asked.
    #[error("the blob store cannot be in Swift: {0}")]
    Unusable(#[from] ExchangeError),
    /// Something that a store needs does not work there.
    #[error("the blob store cannot use the container {container:?} of Swift: {cause}")]
    Refused {
        /// Which.
        container: String,
        /// What was attempted, and what was answered.
        cause: StoreError,
    },
    /// The cluster has not what a store needs.
    #[error("the blob store cannot use the container {container:?} of Swift: {lacks}")]
    Unfit {
        /// Which.
        container: String,
        /// What is missing, and what to do about it.
        lacks: String,
    },
    /// It belongs to another store; its locators would name other bytes.
    #[error("the container {container:?} of Swift is the blob store {found:?}, not {wanted:?}")]
    OtherStore {
        /// Which.
        container: String,
        /// What it says it is.
        found: String,
        /// What it was to be.
        wanted: StoreName,
    },
    /// Two hubs over one container would remove each other's blobs.
    #[error(
        "the container {container:?} of Swift is the blob store of another hub, or of this one before its grant_secret \
         changed; if no other hub uses it, start once with `blob.claim = true`"
    )]
    OtherHub {
        /// Which.
        container: String,
    },
    /// What is there may be another hub's.
    #[error(
        "the container {container:?} of Swift holds blobs and does not say whose; if no other hub uses it, start once \
         with `blob.claim = true`"
    )]
    Unmarked {
        /// Which.
        container: String,
    },
}

impl Swift {
    /// Opens the container of `config`, makes it if it is not there, tries whether it does what a store needs, and finds or
    /// has it say that it is what `marker` says. `probe` names what the trial writes.
    ///
    /// # Errors
    /// With the container, and what does not work there.
    pub async fn open(
        config: &SwiftConfig,
        marker: Marker,
        clock: Arc<dyn Clock>,
        probe: Generation,
    ) -> Result<Self, OpenError> {
        let name = config.container.clone();
        let refused = |cause| OpenError::Refused { container: name.clone(), cause };
        let unfit = |lacks: &str| OpenError::Unfit { container: name.clone(), lacks: lacks.to_owned() };

        let container = Arc::new(connect(config, clock.clone())?);
        let info = container.info().await.map_err(refused)?;
        let cluster = Cluster::read(info.as_deref()).map_err(|lacks: Unfit| unfit(&lacks.to_string()))?;
        container.make().await.map_err(refused)?;

        let public = match &config.public {
            None => None,
            Some(public) => {
                let signed =
                    cluster.signing.ok_or_else(|| unfit("it takes no signed addresses (`tempurl`)"))?;
                Some(Signing { public: public.clone(), algorithm: signed })
            }
        };
        let (plan, checking) = (cluster.plan, Semaphore::new(1));
        let swift = Self(Arc::new(Parts { container, plan, public, marker, clock, probe, checking }));
        if let Some(lacks) = trial::lack(&swift).await.map_err(refused)? {
            return Err(unfit(&lacks));
        }

        let marker = &swift.0.marker;
        let there: &Container = swift.container();
        match marker.claim(there).await.map_err(refused)? {
            Standing::Ours => Ok(swift),
            Standing::OtherHub => Err(OpenError::OtherHub { container: name }),
            Standing::Unmarked => Err(OpenError::Unmarked { container: name }),
            Standing::OtherStore(found) => {
                Err(OpenError::OtherStore { container: name, found, wanted: marker.store().clone() })
            }
        }
    }

    /// Whether the container of `config` says which store it is; it does not if it is not there.
    ///
    /// # Errors
    /// With the container, and what does not work there.
    pub async fn is_marked(config: &SwiftConfig, clock: Arc<dyn Clock>) -> Result<bool, OpenError> {
        let container = connect(config, clock)?;
        let marked = is_marked(&container).await;
        marked.map_err(|cause| OpenError::Refused { container: config.container.clone(), cause })
    }

    /// None if there is no such object; an error if the whole store is not there, as where the container is gone or
    /// another one has its name: blobs would be given up for lost.
    async fn absent<T>(&self) -> Result<Option<T>, StoreError> {
        let there: &Container = self.container();
        if self.0.marker.is_in(there).await? {
            return Ok(None);
        }
        let cause =
            "it does not say that it is this store: see the configured container, project and auth_url";
        Err(unavailable("finding the container by", layout::MARKER, cause))
    }

    /// The address of `key` for `lifetime`, at `endpoint` or else where clients are sent.
    fn signed(
        &self,
        key: &str,
        account: &config::Address,
        lifetime: Duration,
        endpoint: Option<&config::Address>,
    ) -> Option<PublicUrl> {
        let Signing { public, algorithm } = self.0.public.as_ref()?;
        let now = self.0.clock.now();
        let expires = now.saturating_add(lifetime).unwrap_or(now);
        let endpoint = endpoint.unwrap_or(&public.endpoint);
        let path = self.container().path(account, key);
        let key: &SecretString = &public.key;
        Some(temp_url::signed((*algorithm, key), endpoint, &path, expires))
    }

    fn container(&self) -> &Arc<Container> {
        &self.0.container
    }

    fn plan(&self) -> Plan {
        self.0.plan
    }

    fn check_key(&self) -> String {
        layout::check(&self.0.probe)
    }

    /// What has been kept of a part.
    async fn state_of(&self, part: &ObjectName) -> Result<(State, Bytes), StoreError> {
        let most = self.plan().limits.largest_part_bytes.saturating_add(LONGEST_STATE_BYTES);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let Some(object) = self.container().get(part.as_str(), most).await? else {
            self.absent::<()>().await?;
            return Err(StoreError::Missing { name: part.clone() });
        };
        State::read(object).map_err(|error| unavailable("reading", part.as_str(), &error.to_string()))
    }

    /// The same, and none if it is not there.
    async fn known_state_of(&self, part: &ObjectName) -> Result<Option<(State, Bytes)>, StoreError> {
        match self.state_of(part).await {
            Ok(found) => Ok(Some(found)),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The container of `config`, of which nothing has been asked yet.
fn connect(config: &SwiftConfig, clock: Arc<dyn Clock>) -> Result<Container, OpenError> {
    let exchange = Exchange::new()?;
    let sessions = Sessions::new(config.clone(), exchange.clone(), clock);
    Ok(Container::new(exchange, sessions, config.container.clone()))
}

#[async_trait]
impl Store for Swift {
    async fn write(
        &self,
        name: &ObjectName,
        before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError> {
        writer::begin(self, name, before).await
    }

    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError> {
        publish::publish(self, parts, content).await
    }

    /// The last part says what has become of all before it, which are not looked at.
    async fn sizes(&self, parts: &[ObjectName]) -> Result<Vec<Option<u64>>, StoreError> {
        let Some(last) = parts.last() else { return Ok(Vec::new()) };
        let begins: Vec<u64> = parts.iter().filter_map(ObjectName::offset).collect();
        let lengths = begins.windows(2).map(|pair| pair[1].checked_sub(pair[0]));

        let found = self.known_state_of(last).await?;
        let found = found.filter(|(state, _)| Some(state.start) == last.offset());
        let last = found.map(|(state, _)| state.end - state.start);
        Ok(lengths.chain([last]).collect())
    }

    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError> {
        if name.is_part() {
            let found = self.known_state_of(name).await?;
            return Ok(found.map(|(state, _)| state.end - state.start));
        }
        match self.container().size(&layout::own(name)).await? {
            Some(size_bytes) => Ok(Some(size_bytes)),
            None => self.absent().await,
        }
    }

    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        if name.is_part() {
            let Some((state, tail)) = self.known_state_of(name).await? else { return Ok(None) };
            return parts::read(self, name, (&state, tail), span).map(Some);
        }
        match self.container().clone().read(&layout::own(name), span).await? {
            Some(object) => Ok(Some(object)),
            None => self.absent().await,
        }
    }

    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError> {
        let prefix = format!("{}/", layout::upload(session));
        let mut after: Option<String> = None;
        loop {
            let keys = self.container().list(&prefix, after.as_deref(), AT_ONCE).await?;
            for key in &keys {
                // The note goes after the segments that it tells of: what a listing has not shown yet brings the sweeper
                // back.
                let named = ObjectName::parse(key).map(|(name, _)| name);
                if let Some(note) = named.filter(ObjectName::is_opened) {
                    parts::remove_unclaimed(self, note.generation()).await?;
                }
                self.container().remove(key).await?;
            }
            after = keys.into_iter().next_back();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        if name.is_part() {
            return self.container().remove(name.as_str()).await;
        }
        publish::remove(self, name).await
    }

    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        let prefix = format!("{}/", place.prefix());
        let mut after = after.map(|name| name.as_str().to_owned());
        loop {
            let keys = self.container().list(&prefix, after.as_deref(), limit).await?;
            let names = keys.iter().filter_map(|key| ObjectName::parse(key)).map(|(name, _)| name);
            let names: Vec<ObjectName> = names.collect();
            // A page of what others have put there is not the end.
            after = keys.into_iter().next_back();
            if !names.is_empty() || after.is_none() {
                return Ok(names);
            }
        }
    }

    async fn redirect(&self, name: &ObjectName, lifetime: Duration) -> Result<Option<PublicUrl>, StoreError> {
        if self.0.public.is_none() {
            return Ok(None);
        }
        let key = layout::own(name);
        let account = self.container().account().await;
        let account = account.map_err(|failure| failure.of("signing an address of", &key))?;
        Ok(self.signed(&key, &account, lifetime, None))
    }

    async fn check(&self) -> Result<(), StoreError> {
        let (key, container) = (self.check_key(), self.container());
        let _turn = self.0.checking.acquire().await;
        self.absent::<()>().await?;
        let written = Bytes::copy_from_slice(key.as_bytes());
        container.put_whole(&key, vec![written.clone()]).await?;
        let read = container.get(&key, written.len()).await?;
        container.remove(&key).await?;

        if read == Some(written) {
            Ok(())
        } else {
            Err(unavailable("checking the store with", &key, "what was written is not what was read"))
        }
    }
}
