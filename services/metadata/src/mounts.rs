//! Mounting: a repository links what another one has, without a byte being moved (distribution-spec, end-11).

use proto::metadata::{
    Actor, UploadError,
    uploads::{Mount, Mounted},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    content::{BlobLink, Content},
    failure::next,
    keyspace::Commit,
    placement::{Placement, Target, belongs, guard},
    step,
};

impl Service {
    /// Links the blob here, or opens a session if the source does not have it.
    pub(crate) async fn mount_content(&self, mount: &Mount, actor: &Actor) -> Result<Mounted, UploadError> {
        let Mount { repository, digest, from } = mount;
        for _ in 0..ATTEMPTS {
            let target = self.target(repository, actor).await?;
            let target =
                target.ok_or_else(|| UploadError::NamespaceUnknown { namespace: repository.namespace() })?;
            let seen = self.before_mount(mount, &target).await?;

            match seen {
                Seen::Linked => return Ok(Mounted::Linked),
                Seen::Absent => return self.open_session(repository, actor).await.map(Mounted::Started),
                Seen::Mountable { source, link, content } => {
                    let commit = self.mounting(mount, &target, &source, link, &content);
                    if self.commit(step!("mount"), commit).await? == Outcome::Committed {
                        return Ok(Mounted::Linked);
                    }
                }
                Seen::Moved => {}
            }
            self.forget(repository);
            self.forget(from);
        }

        Err(UploadError::Conflict {
            attempted: format!("mounting {digest} from {from} in {repository}").into(),
        })
    }

    fn mounting(
        &self,
        mount: &Mount,
        target: &Target,
        source: &Placement,
        link: BlobLink,
        content: &Content,
    ) -> Commit {
        let Mount { repository, digest, .. } = mount;
        let added = self.new_blob_link(content.size_bytes().unwrap_or(link.size_bytes));

        Commit::synced()
            // While the source's reference stands, nobody reclaims the content.
            .when(link.referenced(source.id, digest))
            .when(content.unmoved())
            .when_all(target.conditions(repository))
            .when(BlobLink::absent(target.id(), digest))
            .then_all(target.founding(repository, self.now()))
            .then_all(added.added(target.id(), digest))
            .then(target.counted())
    }

    async fn before_mount(&self, mount: &Mount, target: &Target) -> Result<Seen, UploadError> {
        let Mount { repository, digest, from } = mount;
        let Some(source) = self.placement(from).await? else {
            return Ok(Seen::Absent);
        };
        let mut asked = vec![guard(&source), BlobLink::field(source.id, digest)];
        asked.extend([guard(target.placement()), BlobLink::field(target.id(), digest)]);
        asked.extend(Content::fields(digest));
        let mut values = self.keyspace().get_many(&asked).await?.into_iter();

        let from_right = belongs(next(&mut values).as_ref(), from);
        let offered = next(&mut values).map(|value| BlobLink::read(source.id, digest, &value)).transpose()?;
        let here_name = next(&mut values);
        let here_right = matches!(target, Target::New(_)) || belongs(here_name.as_ref(), repository);
        let here = next(&mut values);
        let content = Content::read(digest, &mut values)?;
        if !from_right || !here_right {
            return Ok(Seen::Moved);
        }

        Ok(match (content.live(), here, offered) {
            (Some(_), Some(_), _) => Seen::Linked,
            (Some(_), None, Some(link)) => Seen::Mountable { source, link, content: Box::new(content) },
            _ => Seen::Absent,
        })
    }
}

/// What a mount finds.
enum Seen {
    Linked,
    Mountable {
        source: Placement,
        link: BlobLink,
        content: Box<Content>,
    },
    /// There is nothing to mount: neither the source nor its content.
    Absent,
    /// A name means another repository by now.
    Moved,
}
