//! A router over services that do as they are told, a clock that stands still, and somebody who signs tokens.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header, request::Builder};
use http_body_util::BodyExt as _;
use oci::{Digest, Scope};
use proto::auth::{AccessEntry, Claims, KeyId, VerificationKey};
use registry_api::{Process, Services, config::Config};
use serde_json::Value;
use service_kit::{
    clock::{Clock as _, ManualClock},
    http::PeerAddress,
    jose::{Algorithm, PrivateKey},
    readiness::Readiness,
    shutdown::Shutdown,
};
use tower::ServiceExt as _;

use crate::{
    accounts::{FakeAccounts, FakeIdentities},
    repositories::FakeRepositories,
    self_service::FakeSelfService,
    services::{Calls, FakeAuth, FakeBlobs, FakeUploads},
    usage::FakeUsage,
};

pub(crate) const PUSH: &str = "repository:ann/app:pull,push";
pub(crate) const PULL: &str = "repository:ann/app:pull";

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) calls: Calls,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) auth: Arc<FakeAuth>,
    pub(crate) uploads: Arc<FakeUploads>,
    pub(crate) repositories: Arc<FakeRepositories>,
    pub(crate) blobs: Arc<FakeBlobs>,
    pub(crate) identities: Arc<FakeIdentities>,
    pub(crate) accounts: Arc<FakeAccounts>,
    pub(crate) usage: Arc<FakeUsage>,
    pub(crate) self_service: Arc<FakeSelfService>,
    pub(crate) process: Process,
    pub(crate) signer: Signer,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&Config::default())
    }

    pub(crate) fn with(config: &Config) -> Self {
        let signer = Signer::new("key-1");
        let world = Self::without_keys(config, signer);
        world.auth.keys.lock().unwrap().push(world.signer.public());
        world
    }

    pub(crate) fn without_keys(config: &Config, signer: Signer) -> Self {
        let calls = Calls::default();
        let clock = Arc::new(ManualClock::default());
        let auth = Arc::new(FakeAuth { calls: calls.clone(), refreshes: true, ..FakeAuth::default() });
        let uploads =
            Arc::new(FakeUploads { calls: calls.clone(), started: clock.now(), ..FakeUploads::default() });
        let repositories = Arc::new(FakeRepositories { calls: calls.clone(), ..FakeRepositories::default() });
        let blobs = Arc::new(FakeBlobs { calls: calls.clone(), ..FakeBlobs::default() });
        let (identities, accounts) = <(Arc<FakeIdentities>, Arc<FakeAccounts>)>::default();
        let usage = Arc::<FakeUsage>::default();
        let self_service: Arc<FakeSelfService> = Arc::default();
        let services = Services {
            auth: auth.clone(),
            uploads: uploads.clone(),
            repositories: repositories.clone(),
            blobs: blobs.clone(),
            identities: identities.clone(),
            federation: identities.clone(),
            identities_elsewhere: accounts.clone(),
            self_service: self_service.clone(),
            settings: accounts.clone(),
            users: accounts.clone(),
            organizations: accounts.clone(),
            credentials: accounts.clone(),
            audit: accounts.clone(),
            quotas: usage.clone(),
            avatars: usage.clone(),
        };
        let process =
            Process { clock: clock.clone(), shutdown: Shutdown::new(), readiness: Readiness::new() };
        let router = registry_api::router(services, config, &process).fallback(registry_api::nothing_here);
        Self {
            router,
            calls,
            clock,
            auth,
            uploads,
            repositories,
            blobs,
            identities,
            accounts,
            usage,
            self_service,
            process,
            signer,
        }
    }

    /// A token of `ann` for `scopes`.
    pub(crate) fn token(&self, scopes: &[&str]) -> String {
        self.signer.sign(&self.claims("ann", scopes))
    }

    pub(crate) fn claims(&self, subject: &str, scopes: &[&str]) -> Claims {
        let now = self.clock.now().as_second();
        Claims {
            iss: "bucket".to_owned(),
            sub: subject.to_owned(),
            aud: "bucket".to_owned(),
            exp: now + 300,
            nbf: now,
            iat: now,
            jti: "1".to_owned(),
            cid: None,
            access: scopes.iter().map(|scope| AccessEntry::of(&Scope::parse(scope).unwrap())).collect(),
        }
    }

    /// Sends `body` to the management API on behalf of `ann`, with a password.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = on(method.parse().unwrap(), &format!("/api/v1{path}"));
        let request = request.header(header::AUTHORIZATION, "Basic YW5uOnNlY3JldC1wYXNzd29yZA==");
        let request = match body {
            "" => request,
            _ => request.header(header::CONTENT_TYPE, "application/json"),
        };
        self.send_as_it_is(request, body.to_owned()).await
    }

    /// Sends a request of `ann`, whose token allows `scopes`; answers the answer and who was called for it.
    pub(crate) async fn send(&self, scopes: &[&str], request: Builder, body: impl Into<Body>) -> Answer {
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token(scopes)));
        self.send_as_it_is(request, body).await
    }

    pub(crate) async fn send_as_it_is(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let mut request = request.body(body.into()).unwrap();
        request.extensions_mut().insert(PeerAddress([127, 0, 0, 1].into()));
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        // Reading keys is not part of a request.
        let calls = self.calls.take().into_iter().filter(|call| *call != "keys").collect();
        Answer { status: parts.status, headers: parts.headers, whole: body, calls }
    }

    /// An upload of `ann`'s that is open, with `bytes` recorded.
    pub(crate) async fn open_upload(&self, bytes: &[u8]) -> String {
        let answer = self.send(&[PUSH], post("/v2/ann/app/blobs/uploads/"), Body::empty()).await;
        let location = answer.expect(202).header("location").to_owned();
        if !bytes.is_empty() {
            let _ = self.send(&[PUSH], on(Method::PATCH, &location), bytes.to_vec()).await.expect(202);
        }
        location
    }

    /// A blob that `ann/app` links.
    pub(crate) fn blob(&self, bytes: &'static [u8]) -> Digest {
        let digest = Digest::of_sha256(bytes);
        self.repositories.blobs.lock().unwrap().insert(digest.clone(), bytes.len() as u64);
        self.blobs.content.lock().unwrap().insert(digest.clone(), Bytes::from_static(bytes));
        digest
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub(crate) fn on(method: Method, path: &str) -> Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "hub.test:9911")
}

pub(crate) fn get(path: &str) -> Builder {
    on(Method::GET, path)
}

pub(crate) fn post(path: &str) -> Builder {
    on(Method::POST, path)
}

pub(crate) fn put(path: &str) -> Builder {
    on(Method::PUT, path)
}

pub(crate) struct Signer {
    id: KeyId,
    key: PrivateKey,
}

impl Signer {
    pub(crate) fn new(id: &str) -> Self {
        Self::of(Algorithm::EdDsa, id)
    }

    pub(crate) fn of(algorithm: Algorithm, id: &str) -> Self {
        Self { id: KeyId(id.to_owned()), key: PrivateKey::generate(algorithm).unwrap() }
    }

    pub(crate) fn public(&self) -> VerificationKey {
        VerificationKey { id: self.id.clone(), public_key: *self.key.public() }
    }

    pub(crate) fn sign(&self, claims: &Claims) -> String {
        self.key.signed(&self.id.0, claims).unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) whole: Result<Bytes, axum::Error>,
    /// Which services were called.
    pub(crate) calls: Vec<&'static str>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn body(&self) -> &Bytes {
        self.whole.as_ref().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.body()).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    #[track_caller]
    #[must_use]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("docker-distribution-api-version"), "registry/2.0");
        self
    }

    /// An answer of the management API.
    #[track_caller]
    #[must_use]
    pub(crate) fn expect_of_hub(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("docker-distribution-api-version"), "");
        assert_eq!(self.header("cache-control"), "no-store");
        self
    }

    #[track_caller]
    #[must_use]
    pub(crate) fn expect_problem(self, status: u16, kind: &str) -> Self {
        let answer = self.expect_of_hub(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:bucket:problem:{kind}"), "{problem}");
        assert_eq!(problem["title"], kind.replace('-', " "));
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        assert!(problem.get("reason").is_none(), "{problem}");
        answer
    }

    #[track_caller]
    #[must_use]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        let error = &answer.json()["errors"][0];
        assert_eq!(error["code"], code, "{answer:?}");
        assert!(error["message"].as_str().unwrap().contains("; "), "what to do is missing: {error}");
        assert_eq!(answer.header("content-type"), "application/json");
        answer
    }
}
