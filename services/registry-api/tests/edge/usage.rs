//! Quotas and pictures, which are kept as a test puts them and write down who has changed them.

use std::sync::Mutex;

use async_trait::async_trait;
use oci::Namespace;
use proto::metadata::{
    Actor, Avatars, Quotas, RepositoryError,
    avatars::{Avatar, AvatarOf},
    quotas::{ByteLimit, Quota},
};

use crate::services::{Faults, When};

#[derive(Default)]
pub(crate) struct FakeUsage {
    pub(crate) faults: Faults<RepositoryError>,
    pub(crate) own: Mutex<Option<ByteLimit>>,
    pub(crate) avatar: Mutex<Option<Avatar>>,
    /// What was written, by whom last.
    pub(crate) done: Mutex<Vec<String>>,
}

impl FakeUsage {
    fn write(&self, call: &'static str, what: &str, actor: &Actor) -> Result<(), RepositoryError> {
        self.faults.check(call, When::Before)?;
        self.done.lock().unwrap().push(format!("{call} {what} by {}", actor.subject));
        Ok(())
    }
}

#[async_trait]
impl Quotas for FakeUsage {
    async fn quota(&self, _: &Namespace) -> Result<Quota, RepositoryError> {
        self.faults.check("quota", When::Before)?;
        let own = *self.own.lock().unwrap();
        Ok(Quota { used_bytes: 17, own, limit: own.unwrap_or(ByteLimit::Bytes(100)) })
    }

    async fn put_quota(
        &self,
        namespace: &Namespace,
        own: Option<ByteLimit>,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        self.write("put_quota", &format!("{namespace} {own:?}"), actor)?;
        *self.own.lock().unwrap() = own;
        Ok(())
    }
}

#[async_trait]
impl Avatars for FakeUsage {
    async fn avatar(&self, _: &AvatarOf) -> Result<Option<Avatar>, RepositoryError> {
        self.faults.check("avatar", When::Before)?;
        Ok(self.avatar.lock().unwrap().clone())
    }

    async fn put_avatar(
        &self,
        of: &AvatarOf,
        avatar: Option<&Avatar>,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let kind = avatar.map(Avatar::kind);
        self.write("put_avatar", &format!("{:?} {} {kind:?}", of.kind, of.name), actor)?;
        *self.avatar.lock().unwrap() = avatar.cloned();
        Ok(())
    }
}
