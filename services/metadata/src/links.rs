//! Linking: from held content to a blob of a repository (ARCHITECTURE.md §4, Reclaim, step 3).
//! `docs/reclaim_model.py` explores every interleaving of it.

use jiff::Timestamp;
use oci::Locator;
use proto::metadata::{
    Actor, UploadError,
    uploads::{Link, UploadAddress},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    content::{BlobLink, Content, discarded},
    failure::{next, parsed},
    holds::{Hold, field_of},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Mutation},
    placement::{Placement, Target, belongs, guard},
    sessions::{ended, millisecond, unknown},
    step,
};

impl Service {
    /// Links the content of a session and ends the session.
    pub(crate) async fn link_content(&self, link: &Link, actor: &Actor) -> Result<(), UploadError> {
        let name = &link.address.repository;
        for _ in 0..ATTEMPTS {
            let placement = self.placement(name).await?;
            match self.try_link(link, placement, actor).await? {
                Attempt::Done => return Ok(()),
                Attempt::LookAgain => self.forget(name),
            }
        }

        Err(UploadError::Conflict { attempted: format!("linking {} to {name}", link.digest).into() })
    }

    async fn try_link(
        &self,
        link: &Link,
        placement: Option<Placement>,
        actor: &Actor,
    ) -> Result<Attempt, UploadError> {
        let Link { address, digest, .. } = link;
        let now = self.now();
        let seen = self.before_link(link, placement.as_ref()).await?;
        if !seen.placement_right {
            return Ok(Attempt::LookAgain);
        }
        let Some(started) = seen.started else {
            let linked_in = placement.filter(|_| seen.linked.is_some());
            return self.linked_before(linked_in.ok_or_else(|| unknown(address))?).await;
        };
        // Bytes of an older session may have been queued as garbage: nobody was expected to link them.
        if !self.is_young(started) {
            return Err(unknown(address));
        }
        // Where it was begun is called otherwise, or is gone: another one that has its name is somebody else's affair.
        if seen.begun_in.is_some_and(|id| placement.map(|placement| placement.id) != Some(id)) {
            self.free(&address.repository).await?;
            return Err(unknown(address));
        }
        let lost = || UploadError::HoldLost { digest: digest.clone() };
        let hold = seen.hold.filter(|hold| hold.lives(now)).ok_or_else(lost)?;
        if seen.published && seen.content.live() != Some(&link.locator) {
            // What was begun is undone: our generation may be garbage by now, and must not come back.
            return Err(lost());
        }
        let choice = Choice::between(link, &seen.content).ok_or_else(lost)?;
        let target = self.link_target(address, placement).await?;
        if seen.linked.is_none()
            && let Some(refusal) =
                self.too_much(target.placement().owner, &address.repository, link.size_bytes).await?
        {
            return self.refuse(link, &seen.content, (&hold, started), refusal).await;
        }

        let commit = Commit::synced()
            .when(hold.unchanged())
            .when(seen.content.unmoved())
            .when_all(target.conditions(&address.repository))
            .when(session_open(address))
            .then_all(self.founding_audited(&target, &address.repository, actor).await?)
            .then_all(target.founding(&address.repository, now))
            .then_all(choice.moved(link, &seen.content, now));
        let commit = self
            .with_blob_link(commit, &target, link, seen.linked)
            .then_all(ended(&address.session, started))
            .then(hold.released())
            .then(hold.not_idle())
            // Last: a generation that is queued is linked by nobody, whatever of this commit has been applied.
            .then_all(choice.garbage().map(|locator| discarded(locator, now)));

        Ok(match self.commit(step!("link"), commit).await? {
            Outcome::Committed => Attempt::Done,
            Outcome::Conflicted => Attempt::LookAgain,
        })
    }

    /// What ends a session is a link, so that this one may be the repetition of the one that did.
    async fn linked_before(&self, placement: Placement) -> Result<Attempt, UploadError> {
        Ok(match self.settled(placement.id).await? {
            Outcome::Committed => Attempt::Done,
            Outcome::Conflicted => Attempt::LookAgain,
        })
    }

    /// Ends the session without a link. What it has brought goes, unless it is what the content consists of by now.
    async fn refuse(
        &self,
        link: &Link,
        content: &Content,
        (hold, started): (&Hold, Timestamp),
        refusal: UploadError,
    ) -> Result<Attempt, UploadError> {
        let Link { address, locator, seen, .. } = link;
        let brought = seen.as_ref() != Some(locator) && content.recorded() != Some(locator);

        let commit = Commit::synced()
            .when(hold.unchanged())
            .when(content.unmoved())
            .when(session_open(address))
            .then_all(ended(&address.session, started))
            // The entry by which reclaim finds the content stays.
            .then(hold.released())
            .then_all(brought.then(|| discarded(locator, self.now())));
        match self.commit(step!("refuse_link"), commit).await? {
            Outcome::Committed => Err(refusal),
            Outcome::Conflicted => Ok(Attempt::LookAgain),
        }
    }

    /// Adds the link itself. One that is there already begins its grace anew and counts once.
    fn with_blob_link(
        &self,
        commit: Commit,
        target: &Target,
        link: &Link,
        before: Option<BlobLink>,
    ) -> Commit {
        let (id, digest) = (target.id(), &link.digest);
        let Some(before) = before else {
            let added = self.new_blob_link(link.size_bytes);
            let commit = commit.when(BlobLink::absent(id, digest));
            let commit = commit.then_all(added.added((target, &link.address.repository), digest));
            return commit.then(target.counted());
        };

        let commit = commit.when(before.unchanged(id, digest)).then(target.counted());
        // A manifest that uses it keeps it in use; only what is unused has a grace.
        match before.unused_since_ms {
            Some(_) => commit.then_all(before.left_unused(id, digest, self.now())),
            None => commit,
        }
    }

    /// A link that no manifest uses yet: none can, because a manifest requires the link.
    pub(crate) fn new_blob_link(&self, size_bytes: u64) -> BlobLink {
        BlobLink { size_bytes, token: self.ulid(), unused_since_ms: Some(self.now().as_millisecond()) }
    }

    /// The session's repository. Its namespace was there when the session was opened.
    async fn link_target(
        &self,
        address: &UploadAddress,
        placement: Option<Placement>,
    ) -> Result<Target, UploadError> {
        if let Some(placement) = placement {
            return Ok(Target::Existing(placement));
        }
        self.free(&address.repository).await?;
        let namespace = address.repository.namespace();
        let owner = self.claimed(&namespace).await?.ok_or(UploadError::NamespaceUnknown { namespace })?;

        Ok(self.new_repository(owner))
    }

    async fn before_link(&self, link: &Link, placement: Option<&Placement>) -> Result<Before, UploadError> {
        let Link { address: UploadAddress { repository, session }, digest, .. } = link;
        let upload = keys::upload(session);
        let mut asked = vec![
            (upload.clone(), field::REPOSITORY),
            (upload.clone(), field::STARTED),
            (upload.clone(), field::PUBLISHED),
            (upload.clone(), field::ID),
            field_of(digest, session),
        ];
        asked.extend(Content::fields(digest));
        asked.extend(
            placement
                .into_iter()
                .flat_map(|placement| [guard(placement), BlobLink::field(placement.id, digest)]),
        );
        let mut values = self.keyspace().get_many(&asked).await?.into_iter();

        let here = next(&mut values).is_some_and(|found| found == repository.as_str().as_bytes());
        let started = next(&mut values).filter(|_| here);
        let started =
            started.map(|started| millisecond(&upload, &field::STARTED, Some(&started))).transpose()?;
        let published =
            next(&mut values).is_some_and(|published| published == link.locator.to_string().as_bytes());
        let begun_in = next(&mut values).map(|id| parsed(&upload, &field::ID, Some(&id)).map(RepositoryId));
        let hold = Hold::read(digest, session, next(&mut values))?;
        let content = Content::read(digest, &mut values)?;
        let placement_right = placement.is_none() || belongs(next(&mut values).as_ref(), repository);
        let linked = match (placement, next(&mut values)) {
            (Some(placement), Some(value)) => Some(BlobLink::read(placement.id, digest, &value)?),
            _ => None,
        };
        let begun_in = begun_in.transpose()?;
        Ok(Before { started, published, begun_in, hold, content, placement_right, linked })
    }
}

/// Whether an attempt has come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Done,
    LookAgain,
}

/// All that a link depends on, of one moment.
struct Before {
    /// When the session was opened; none if it is not open here.
    started: Option<Timestamp>,
    /// Whether a link has begun to put our locator into the record, and was cut off.
    published: bool,
    /// The repository in which the session was opened, if it was there.
    begun_in: Option<RepositoryId>,
    hold: Option<Hold>,
    content: Content,
    placement_right: bool,
    linked: Option<BlobLink>,
}

/// Which of two places the content's bytes have from now on.
#[derive(Debug, PartialEq, Eq)]
enum Choice<'a> {
    /// Ours; nothing was there.
    Ours,
    /// Ours instead of what was there, whose bytes are missing.
    OursInsteadOf(&'a Locator),
    /// What is there, which is ours too.
    Same,
    /// What is there: another push won, and ours is not needed.
    TheirsInsteadOf(&'a Locator),
}

impl<'a> Choice<'a> {
    /// None: what we saw is gone, and we have brought no bytes of our own.
    fn between(link: &'a Link, content: &'a Content) -> Option<Self> {
        let (ours, seen) = (&link.locator, link.seen.as_ref());
        match (content.live(), content.recorded()) {
            (Some(theirs), _) if theirs == ours => Some(Self::Same),
            // The store has found nothing where we looked, and so published anew.
            (Some(theirs), _) if Some(theirs) == seen => Some(Self::OursInsteadOf(theirs)),
            (Some(_), _) => Some(Self::TheirsInsteadOf(ours)),
            (None, _) if Some(ours) == seen => None,
            (None, Some(dead)) if dead == ours => None,
            (None, Some(dead)) => Some(Self::OursInsteadOf(dead)),
            (None, None) => Some(Self::Ours),
        }
    }

    fn moved(&self, link: &Link, content: &Content, now: Timestamp) -> Vec<Mutation> {
        match self {
            Self::Ours | Self::OursInsteadOf(_) => {
                let (upload, locator) = (keys::upload(&link.address.session), link.locator.to_string());
                let begun = Mutation::SetField(upload, field::PUBLISHED, locator.into());
                std::iter::once(begun).chain(content.moved_to(&link.locator, link.size_bytes, now)).collect()
            }
            Self::Same | Self::TheirsInsteadOf(_) => Vec::new(),
        }
    }

    /// The generation that nothing points to afterwards.
    const fn garbage(&self) -> Option<&'a Locator> {
        match self {
            Self::OursInsteadOf(old) | Self::TheirsInsteadOf(old) => Some(old),
            Self::Ours | Self::Same => None,
        }
    }
}

fn session_open(address: &UploadAddress) -> Condition {
    Condition::FieldPresent(keys::upload(&address.session), field::PROGRESS)
}
