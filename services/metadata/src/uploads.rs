//! The contract `Uploads`: each operation is told in the file of its noun.

use async_trait::async_trait;
use oci::{Digest, RepositoryName};
use proto::metadata::{
    Actor, UploadError, Uploads,
    uploads::{Advance, Held, Link, Mount, Mounted, UploadAddress, UploadSession},
};

use crate::Service;

#[async_trait]
impl Uploads for Service {
    async fn start(&self, repository: &RepositoryName, actor: &Actor) -> Result<UploadSession, UploadError> {
        let target = self.target(repository, actor).await?;
        self.start_in(&target, repository, actor).await
    }

    async fn mount(&self, mount: &Mount, actor: &Actor) -> Result<Mounted, UploadError> {
        self.mount_content(mount, actor).await
    }

    async fn session(&self, address: &UploadAddress) -> Result<UploadSession, UploadError> {
        self.read_session(address).await
    }

    async fn advance(&self, advance: &Advance) -> Result<u64, UploadError> {
        self.record_part(advance).await
    }

    async fn hold(&self, address: &UploadAddress, digest: &Digest) -> Result<Held, UploadError> {
        self.hold_content(address, digest).await
    }

    async fn link(&self, link: &Link, actor: &Actor) -> Result<(), UploadError> {
        self.link_content(link, actor).await
    }

    async fn cancel(&self, address: &UploadAddress, _actor: &Actor) -> Result<(), UploadError> {
        self.cancel_session(address).await
    }
}
