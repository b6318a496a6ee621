//! The contract `Quotas`. What a namespace uses is counted in its record by every commit that links or unlinks, and
//! looked at before: pushes that end at the same moment may exceed the limit by what they bring.

use async_trait::async_trait;
use oci::{Namespace, RepositoryName};
use proto::metadata::{
    Actor, Quotas, RepositoryError, UploadError,
    audit::Action,
    quotas::{ByteLimit, Quota},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    failure::{next, parsed},
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Key, Mutation},
    namespaces::Owner,
    step,
};

mod recount;

#[async_trait]
impl Quotas for Service {
    async fn quota(&self, namespace: &Namespace) -> Result<Quota, RepositoryError> {
        let (_, record) = self.counted_record(namespace).await?;
        Ok(self.usage(&record).await?)
    }

    async fn put_quota(
        &self,
        namespace: &Namespace,
        own: Option<ByteLimit>,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        for _ in 0..ATTEMPTS {
            let (owner, record) = self.counted_record(namespace).await?;
            let kept = self.fields(&[(record.clone(), field::QUOTA)]).await?.pop().flatten();
            if kept == own.map(|own| own.to_string().into()) {
                return Ok(());
            }
            let change = match own {
                Some(limit) => Mutation::SetField(record.clone(), field::QUOTA, limit.to_string().into()),
                None => Mutation::RemoveField(record.clone(), field::QUOTA),
            };
            let audit = Audit::of_namespace(Action::QuotaPut, owner, namespace);
            let audit = audit.to(own.map_or_else(|| "default".to_owned(), |own| own.to_string()));
            let commit = Commit::synced()
                .when(Condition::FieldPresent(record.clone(), field::NAME))
                .when(Condition::unchanged(record, field::QUOTA, kept))
                .then_all(self.audited(actor, &audit).await?)
                .then(change);
            if self.commit(step!("put_quota"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(RepositoryError::Conflict { attempted: format!("changing the quota of {namespace}").into() })
    }
}

impl Service {
    /// The refusal of a new upload: nothing fits into the namespace any more.
    pub(crate) async fn full(
        &self,
        owner: Owner,
        name: &RepositoryName,
    ) -> Result<Option<UploadError>, Error> {
        self.over_quota(owner, name, None).await
    }

    /// The refusal of so many bytes more.
    pub(crate) async fn too_much(
        &self,
        owner: Owner,
        name: &RepositoryName,
        size_bytes: u64,
    ) -> Result<Option<UploadError>, Error> {
        self.over_quota(owner, name, Some(size_bytes)).await
    }

    /// The refusal of a repository that comes from another namespace.
    pub(crate) async fn no_room_for(
        &self,
        owner: Owner,
        name: &RepositoryName,
        size_bytes: u64,
    ) -> Result<Option<RepositoryError>, Error> {
        let namespace = name.namespace();
        let Quota { used_bytes, limit, .. } = self.usage(&keys::namespace(owner, &namespace)).await?;
        let exceeded = limit.bytes().filter(|limit| used_bytes.saturating_add(size_bytes) > *limit);
        Ok(exceeded.map(|limit_bytes| RepositoryError::QuotaExceeded {
            namespace,
            used_bytes,
            limit_bytes,
            size_bytes,
        }))
    }

    /// The same, wherever the repository is or will be. A namespace that is not there refuses by itself.
    pub(crate) async fn too_much_for(
        &self,
        name: &RepositoryName,
        size_bytes: u64,
    ) -> Result<Option<UploadError>, Error> {
        let owner = match self.placement(name).await? {
            Some(placement) => Some(placement.owner),
            None => self.claimed(&name.namespace()).await?,
        };
        match owner {
            Some(owner) => self.too_much(owner, name, size_bytes).await,
            None => Ok(None),
        }
    }

    async fn over_quota(
        &self,
        owner: Owner,
        name: &RepositoryName,
        size_bytes: Option<u64>,
    ) -> Result<Option<UploadError>, Error> {
        let namespace = name.namespace();
        let Quota { used_bytes, limit, .. } = self.usage(&keys::namespace(owner, &namespace)).await?;
        let Some(limit_bytes) = limit.bytes() else { return Ok(None) };

        let fits = match size_bytes {
            Some(size_bytes) => used_bytes.saturating_add(size_bytes) <= limit_bytes,
            None => used_bytes < limit_bytes,
        };
        let refusal = UploadError::QuotaExceeded { namespace, used_bytes, limit_bytes, size_bytes };
        Ok((!fits).then_some(refusal))
    }

    async fn usage(&self, record: &Key) -> Result<Quota, Error> {
        let asked = [field::BYTES, field::QUOTA].map(|field| (record.clone(), field));
        let mut values = self.keyspace().get_many(&asked).await?.into_iter();

        let used: i64 = match next(&mut values) {
            Some(used) => parsed(record, &field::BYTES, Some(&used))?,
            None => 0,
        };
        let own = next(&mut values).map(|own| parsed(record, &field::QUOTA, Some(&own))).transpose()?;
        let used_bytes = u64::try_from(used).unwrap_or_default();
        Ok(Quota { used_bytes, own, limit: own.unwrap_or(self.0.quota) })
    }

    /// The record of a namespace that is there.
    async fn counted_record(&self, namespace: &Namespace) -> Result<(Owner, Key), RepositoryError> {
        let unknown = || RepositoryError::NamespaceUnknown { namespace: namespace.clone() };
        let owner = self.claimed(namespace).await?.ok_or_else(unknown)?;
        let record = keys::namespace(owner, namespace);
        // A crash may have left the claim alone.
        let name = self.fields(&[(record.clone(), field::NAME)]).await?.pop().flatten();

        name.map(|_| (owner, record)).ok_or_else(unknown)
    }
}
