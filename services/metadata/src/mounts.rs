//! Mounting: a repository links what another one has, without a byte being moved (distribution-spec, end-11).

use oci::RepositoryName;
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
    /// Links the blob here, or opens a session if no source has it.
    pub(crate) async fn mount_content(&self, mount: &Mount, actor: &Actor) -> Result<Mounted, UploadError> {
        let Mount { repository, digest, from } = mount;
        for _ in 0..ATTEMPTS {
            let target = self.target(repository, actor).await?;
            let seen = self.before_mount(mount, &target).await?;

            match seen {
                Seen::Linked(link) => {
                    if self.kept_for_pusher(target.id(), digest, &link).await?
                        && self.settled(target.id()).await? == Outcome::Committed
                    {
                        return Ok(Mounted::Linked);
                    }
                }
                Seen::Absent => {
                    return self.start_in(&target, repository, actor).await.map(Mounted::Started);
                }
                Seen::Mountable { source, link, content } => {
                    let size_bytes = content.size_bytes().unwrap_or(link.size_bytes);
                    if let Some(refusal) =
                        self.too_much(target.placement().owner, repository, size_bytes).await?
                    {
                        return Err(refusal);
                    }
                    let audited = self.founding_audited(&target, repository, actor).await?;
                    let commit =
                        self.mounting(mount, &target, &source, link, &content).beginning_with(audited);
                    if self.commit(step!("mount"), commit).await? == Outcome::Committed {
                        return Ok(Mounted::Linked);
                    }
                }
                Seen::Moved => {}
            }
            self.forget(repository);
            for from in from {
                self.forget(from);
            }
        }

        Err(UploadError::Conflict { attempted: format!("mounting {digest} in {repository}").into() })
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
            .then_all(added.added((target, repository), digest))
            .then(target.counted())
    }

    /// Reads all sources whatever the first of them says: how long it takes tells nothing.
    async fn before_mount(&self, mount: &Mount, target: &Target) -> Result<Seen, UploadError> {
        let Mount { repository, digest, from } = mount;
        let sources = self.sources(from).await?;
        let mut asked = vec![guard(target.placement()), BlobLink::field(target.id(), digest)];
        asked.extend(Content::fields(digest));
        asked.extend(
            sources.iter().flat_map(|(_, source)| [guard(source), BlobLink::field(source.id, digest)]),
        );
        let mut values = self.keyspace().get_many(&asked).await?.into_iter();

        let here_name = next(&mut values);
        let mut right = matches!(target, Target::New(_)) || belongs(here_name.as_ref(), repository);
        let here = next(&mut values);
        let content = Content::read(digest, &mut values)?;
        let mut offered = None;
        for (name, source) in sources {
            right &= belongs(next(&mut values).as_ref(), name);
            let link =
                next(&mut values).map(|value| BlobLink::read(source.id, digest, &value)).transpose()?;
            offered = offered.or(link.map(|link| (source, link)));
        }
        if !right {
            return Ok(Seen::Moved);
        }

        Ok(match (content.live(), here, offered) {
            (Some(_), Some(link), _) => Seen::Linked(BlobLink::read(target.id(), digest, &link)?),
            (Some(_), None, Some((source, link))) => {
                Seen::Mountable { source, link, content: Box::new(content) }
            }
            _ => Seen::Absent,
        })
    }

    async fn sources<'a>(
        &self,
        from: &'a [RepositoryName],
    ) -> Result<Vec<(&'a RepositoryName, Placement)>, UploadError> {
        let mut sources = Vec::with_capacity(from.len());
        for name in from {
            sources.extend(self.placement(name).await?.map(|placement| (name, placement)));
        }
        Ok(sources)
    }
}

/// What a mount finds.
enum Seen {
    Linked(BlobLink),
    Mountable {
        source: Placement,
        link: BlobLink,
        content: Box<Content>,
    },
    /// There is nothing to mount: no source, or no content.
    Absent,
    /// A name means another repository by now.
    Moved,
}
