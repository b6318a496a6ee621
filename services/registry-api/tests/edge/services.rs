//! Services that fail when a test tells them to, so that errors can be reached which no real service can be
//! brought to. They write down who was called.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use oci::{ContentId, Digest, Generation, Locator, RepositoryName, SessionId, Span};
use proto::{
    ByteStream, StreamError,
    auth::{Auth, AuthError, IssuedToken, Offline, Subject, TokenRequest, VerificationKey},
    blob::{
        Append, Appended, BlobError, Blobs, Delivery, Ended, Finish, Finished, Grant, Handoff, HandoffPath,
        HashState, Opened, Part, Redirect, RedirectUrl,
    },
    metadata::{
        Actor, Standing, UploadError, Uploads,
        uploads::{Advance, Held, Link, Mount, Mounted, UploadAddress, UploadSession},
    },
};

/// Who was called, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<&'static str>>>);

impl Calls {
    pub(crate) fn note(&self, call: &'static str) {
        self.0.lock().unwrap().push(call);
    }

    pub(crate) fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// What goes wrong, call by call.
#[derive(Debug)]
pub(crate) struct Faults<E>(Mutex<VecDeque<(&'static str, When, E)>>);

/// Whether the call was done, though it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

impl<E> Default for Faults<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E> Faults<E> {
    pub(crate) fn add(&self, call: &'static str, when: When, error: E) {
        self.0.lock().unwrap().push_back((call, when, error));
    }

    pub(crate) fn check(&self, call: &'static str, now: When) -> Result<(), E> {
        let mut faults = self.0.lock().unwrap();
        match faults.front() {
            Some((next, when, _)) if *next == call && *when == now => Err(faults.pop_front().unwrap().2),
            _ => Ok(()),
        }
    }
}

pub(crate) fn generation(number: u64) -> Generation {
    format!("{number:026}").parse().unwrap()
}

pub(crate) fn locator(digest: &Digest, number: u64) -> Locator {
    Locator {
        store: "main".parse().unwrap(),
        content: ContentId::plain(digest.clone()),
        generation: generation(number),
    }
}

#[derive(Default)]
pub(crate) struct FakeAuth {
    pub(crate) calls: Calls,
    pub(crate) faults: Faults<AuthError>,
    pub(crate) keys: Mutex<Vec<VerificationKey>>,
    pub(crate) asked: Mutex<Vec<TokenRequest>>,
    /// Whether it gives refresh tokens to those who want one.
    pub(crate) refreshes: bool,
}

#[async_trait]
impl Auth for FakeAuth {
    async fn token(&self, request: TokenRequest) -> Result<IssuedToken, AuthError> {
        self.calls.note("token");
        self.faults.check("token", When::Before)?;
        let scopes = request.scopes.clone();
        let subject = request
            .credentials
            .as_ref()
            .and_then(|given| given.username.parse().ok())
            .map_or(Subject::Anonymous, Subject::User);
        let refresh_token = (request.offline == Offline::Wanted && self.refreshes).then(|| "refresh".into());
        self.asked.lock().unwrap().push(request);
        Ok(IssuedToken {
            token: "signed".into(),
            subject,
            scopes,
            issued_at: Timestamp::constant(1_767_225_600, 0),
            expires_in: Duration::from_mins(5),
            refresh_token,
        })
    }

    async fn keys(&self) -> Result<Vec<VerificationKey>, AuthError> {
        self.calls.note("keys");
        self.faults.check("keys", When::Before)?;
        Ok(self.keys.lock().unwrap().clone())
    }
}

#[derive(Default)]
pub(crate) struct FakeUploads {
    pub(crate) calls: Calls,
    pub(crate) faults: Faults<UploadError>,
    pub(crate) session: Mutex<Option<UploadSession>>,
    pub(crate) started: Timestamp,
    pub(crate) mountable: Mutex<Vec<RepositoryName>>,
    pub(crate) located: Mutex<VecDeque<Option<Locator>>>,
    pub(crate) links: Mutex<Vec<Link>>,
    pub(crate) actors: Mutex<Vec<Actor>>,
}

impl FakeUploads {
    fn open(&self, address: &UploadAddress) -> Result<UploadSession, UploadError> {
        let session = self.session.lock().unwrap().clone().filter(|session| session.address == *address);
        session.ok_or(UploadError::UploadUnknown { session: address.session })
    }

    fn close(&self) {
        *self.session.lock().unwrap() = None;
    }
}

pub(crate) fn session_id() -> SessionId {
    "3b241101-e2bb-4255-8caf-4136c566a962".parse().unwrap()
}

#[async_trait]
impl Uploads for FakeUploads {
    async fn start(&self, repository: &RepositoryName, actor: &Actor) -> Result<UploadSession, UploadError> {
        self.calls.note("start");
        self.faults.check("start", When::Before)?;
        let session = UploadSession {
            address: UploadAddress { repository: repository.clone(), session: session_id() },
            subject: actor.subject.clone(),
            standing: Standing::Active,
            started: self.started,
            offset: 0,
            parts: Vec::new(),
            hash: HashState::default(),
        };
        self.actors.lock().unwrap().push(actor.clone());
        *self.session.lock().unwrap() = Some(session.clone());
        Ok(session)
    }

    async fn mount(&self, mount: &Mount, actor: &Actor) -> Result<Mounted, UploadError> {
        self.calls.note("mount");
        self.faults.check("mount", When::Before)?;
        if self.mountable.lock().unwrap().iter().any(|name| mount.from.contains(name)) {
            return Ok(Mounted::Linked);
        }
        let session = self.start(&mount.repository, actor).await?;
        self.calls.0.lock().unwrap().pop();
        Ok(Mounted::Started(session))
    }

    async fn session(&self, address: &UploadAddress) -> Result<UploadSession, UploadError> {
        self.calls.note("session");
        self.faults.check("session", When::Before)?;
        self.open(address)
    }

    async fn advance(&self, advance: &Advance) -> Result<u64, UploadError> {
        self.calls.note("advance");
        self.faults.check("advance", When::Before)?;
        let mut session = self.open(&advance.address)?;
        if session.offset != advance.part.offset {
            return Err(UploadError::OffsetMoved { recorded: session.offset });
        }
        session.offset += advance.part.size_bytes;
        session.parts.push(advance.part.clone());
        let offset = session.offset;
        *self.session.lock().unwrap() = Some(session);
        self.faults.check("advance", When::After)?;
        Ok(offset)
    }

    async fn hold(&self, address: &UploadAddress, _: &Digest) -> Result<Held, UploadError> {
        self.calls.note("hold");
        self.faults.check("hold", When::Before)?;
        let locator = self.located.lock().unwrap().pop_front().flatten();
        Ok(Held { session: self.open(address)?, locator })
    }

    async fn link(&self, link: &Link, _: &Actor) -> Result<(), UploadError> {
        self.calls.note("link");
        self.faults.check("link", When::Before)?;
        self.links.lock().unwrap().push(link.clone());
        self.close();
        self.faults.check("link", When::After)?;
        Ok(())
    }

    async fn cancel(&self, address: &UploadAddress, _: &Actor) -> Result<(), UploadError> {
        self.calls.note("cancel");
        self.faults.check("cancel", When::Before)?;
        self.open(address)?;
        self.close();
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct FakeBlobs {
    pub(crate) calls: Calls,
    pub(crate) faults: Faults<BlobError>,
    pub(crate) bytes: Mutex<Vec<u8>>,
    pub(crate) content: Mutex<BTreeMap<Digest, Bytes>>,
    pub(crate) cut_reads_after: Mutex<Option<usize>>,
    /// Where blobs are redirected to and handed off to, whenever that is allowed.
    pub(crate) redirects_to: Mutex<Option<RedirectUrl>>,
    pub(crate) hands_off_to: Mutex<Option<HandoffPath>>,
    pub(crate) generations: AtomicU64,
}

impl FakeBlobs {
    async fn receive(&self, offset: u64, expected: Option<u64>, mut body: ByteStream) -> Appended {
        let (mut arrived, mut cut) = (Vec::new(), false);
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => arrived.extend_from_slice(&chunk),
                Err(_) => cut = true,
            }
        }
        let size_bytes = arrived.len() as u64;
        let ended =
            if cut || expected.is_some_and(|all| all != size_bytes) { Ended::Cut } else { Ended::Complete };
        self.bytes.lock().unwrap().extend_from_slice(&arrived);
        let generation = generation(1 + self.generations.fetch_add(1, Ordering::Relaxed));
        let part = (size_bytes > 0).then_some(Part { offset, size_bytes, generation });
        Appended { part, offset: offset + size_bytes, hash: HashState::default(), ended }
    }
}

#[async_trait]
impl Blobs for FakeBlobs {
    async fn append(&self, append: Append, body: ByteStream) -> Result<Appended, BlobError> {
        self.calls.note("append");
        self.faults.check("append", When::Before)?;
        Ok(self.receive(append.offset, append.expected_bytes, body).await)
    }

    async fn finish(&self, finish: Finish, last: ByteStream) -> Result<Finished, BlobError> {
        self.calls.note("finish");
        self.faults.check("finish", When::Before)?;
        let recorded = usize::try_from(finish.offset).unwrap();
        self.bytes.lock().unwrap().truncate(recorded);
        let appended = self.receive(finish.offset, finish.expected_bytes, last).await;
        if appended.ended == Ended::Cut {
            return Ok(Finished::Cut(appended));
        }
        let actual = Digest::of(finish.digest.algorithm(), &self.bytes.lock().unwrap());
        if actual != finish.digest {
            return Err(BlobError::DigestMismatch { claimed: finish.digest, actual });
        }
        let number = 100 + self.generations.fetch_add(1, Ordering::Relaxed);
        let locator = finish.existing.unwrap_or_else(|| locator(&finish.digest, number));
        Ok(Finished::Published { locator, size_bytes: appended.offset })
    }

    async fn open(&self, grant: &Grant, span: Option<Span>, delivery: Delivery) -> Result<Opened, BlobError> {
        self.calls.note("open");
        self.faults.check("open", When::Before)?;
        let url = self.redirects_to.lock().unwrap().clone();
        if let Some(url) = url.filter(|_| delivery.redirect == Redirect::Allowed) {
            return Ok(Opened::Redirect { url });
        }
        let path = self.hands_off_to.lock().unwrap().clone();
        if let Some(path) = path.filter(|_| delivery.handoff != Handoff::Never) {
            return Ok(Opened::Handoff { path });
        }
        let content = self.content.lock().unwrap()[&grant.locator.content.digest].clone();
        let span = span.unwrap_or(Span::whole(content.len() as u64));
        let (first, end) = (usize::try_from(span.first).unwrap(), usize::try_from(span.end()).unwrap());
        let bytes = content.slice(first..end);

        let body: ByteStream = match *self.cut_reads_after.lock().unwrap() {
            None => Box::pin(stream::iter([Ok(bytes)])),
            Some(length) => Box::pin(stream::iter([Ok(bytes.slice(..length)), Err(StreamError::Source)])),
        };
        Ok(Opened::Stream { span, body })
    }

    async fn discard(&self, _: &SessionId) -> Result<(), BlobError> {
        self.calls.note("discard");
        self.faults.check("discard", When::Before)
    }
}
