//! The contract's suite on this service, in process and across gRPC; and what only this service promises.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is a test")]

#[path = "contract/credentials.rs"]
mod credentials;
#[path = "contract/federation.rs"]
mod federation;
#[path = "contract/issuer.rs"]
mod issuer;
#[path = "contract/keys.rs"]
mod keys;
#[path = "contract/logins.rs"]
mod logins;
#[path = "contract/mail.rs"]
mod mail;
#[path = "contract/memory.rs"]
mod memory;
#[path = "contract/offline.rs"]
mod offline;
#[path = "contract/proofs.rs"]
mod proofs;
#[path = "contract/second_factors.rs"]
mod second_factors;

use std::{sync::Arc, time::Duration};

use auth::{
    Service,
    administrator::{self, AdministratorError, Created},
    config::Config,
    mail::Mail,
};
use memory::MemoryMetadata;
use oci::AccountName;
use proto::auth::{
    Auth, AuthClient, Identities, SelfService,
    identities::{self, IdentitiesClient},
    self_service::{self, SelfServiceClient},
    server, suite,
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::{clock::Clock as _, grpc::in_memory, random::SystemRandom};

pub(crate) fn config() -> Config {
    let mut config = Config::with_secret("a secret for tests".into());
    config.password.memory_kib = 64;
    config.password.iterations = 1;
    config
}

pub(crate) fn service_with(metadata: &Arc<MemoryMetadata>, config: &Config) -> Service {
    service_that_writes(metadata, None, config)
}

pub(crate) fn service_that_writes(
    metadata: &Arc<MemoryMetadata>,
    mail: Option<Arc<dyn Mail>>,
    config: &Config,
) -> Service {
    Service::new(metadata.contracts(), mail, config, metadata.clock.clone(), Arc::new(SystemRandom))
}

/// The code of the time step that comes next, and the time moves there.
pub(crate) fn next_code(metadata: &MemoryMetadata, secret: &SecretString) -> SecretString {
    metadata.clock.advance(Duration::from_secs(30));
    let secret = totp_rs::Secret::try_from_base32(secret.expose_secret()).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let now = u64::try_from(metadata.clock.now().as_second()).unwrap();
    totp.generate(now).to_string().into()
}

fn service(metadata: &Arc<MemoryMetadata>) -> Service {
    service_with(metadata, &config())
}

async fn with_administrator(metadata: &Arc<MemoryMetadata>) -> (Service, SecretString) {
    let service = service(metadata);
    let password = administrator_of(&service, metadata).await;
    (service, password)
}

/// Makes the administrator; answers its password.
pub(crate) async fn administrator_of(service: &Service, metadata: &Arc<MemoryMetadata>) -> SecretString {
    let name = AccountName::administrator();
    let new =
        administrator::missing(metadata.as_ref(), &name, None, service.passwords(), &SystemRandom).await;
    let new = new.unwrap().expect("there is none yet");
    let password = new.generated_password().expect("it was generated").clone();
    assert_eq!(new.create(metadata.as_ref()).await.unwrap(), Created::Here);
    password
}

async fn harness(over: impl AsyncFnOnce(Arc<dyn Auth>) -> Arc<dyn Auth>) -> suite::Harness {
    let (service, password) = with_administrator(&Arc::default()).await;
    let auth = over(Arc::new(service)).await;
    suite::Harness { auth, service: "bucket".into(), username: "admin".into(), password }
}

async fn identities_harness(
    over: impl AsyncFnOnce(Arc<dyn Identities>) -> Arc<dyn Identities>,
) -> identities::suite::Harness {
    let (service, password) = with_administrator(&Arc::default()).await;
    let identities = over(Arc::new(service)).await;
    identities::suite::Harness { identities, username: "admin".into(), password }
}

#[tokio::test]
async fn in_process() {
    suite::run(harness(async |auth| auth).await).await;
}

#[tokio::test]
async fn across_grpc() {
    let over = async |auth: Arc<dyn Auth>| {
        let channel = in_memory(move |routes| server::add_to(routes, auth)).await;
        Arc::new(AuthClient::new(channel, Duration::from_secs(10))) as Arc<dyn Auth>
    };
    suite::run(harness(over).await).await;
}

#[tokio::test]
async fn identities_in_process() {
    identities::suite::run(identities_harness(async |identities| identities).await).await;
}

#[tokio::test]
async fn identities_across_grpc() {
    let over = async |identities: Arc<dyn Identities>| {
        let channel = in_memory(move |routes| identities::server::add_to(routes, identities)).await;
        Arc::new(IdentitiesClient::new(channel, Duration::from_secs(10))) as Arc<dyn Identities>
    };
    identities::suite::run(identities_harness(over).await).await;
}

async fn self_service_harness(
    over: impl AsyncFnOnce(Service) -> (Arc<dyn Identities>, Arc<dyn SelfService>),
) -> self_service::suite::Harness {
    let metadata: Arc<MemoryMetadata> = Arc::default();
    let (service, password) = with_administrator(&metadata).await;
    let (identities, self_service) = over(service).await;
    let code: self_service::suite::NextCode = Arc::new(move |secret| next_code(&metadata, secret));
    self_service::suite::Harness { identities, self_service, username: "admin".into(), password, code }
}

#[tokio::test]
async fn self_service_in_process() {
    let over = async |service: Service| {
        (Arc::new(service.clone()) as Arc<dyn Identities>, Arc::new(service) as Arc<dyn SelfService>)
    };
    self_service::suite::run(self_service_harness(over).await).await;
}

#[tokio::test]
async fn self_service_across_grpc() {
    let over = async |service: Service| {
        let service = Arc::new(service);
        let channel = in_memory(move |routes| {
            let routes = identities::server::add_to(routes, service.clone());
            self_service::server::add_to(routes, service)
        });
        let (channel, deadline) = (channel.await, Duration::from_secs(10));
        let identities: Arc<dyn Identities> = Arc::new(IdentitiesClient::new(channel.clone(), deadline));
        let self_service: Arc<dyn SelfService> = Arc::new(SelfServiceClient::new(channel, deadline));
        (identities, self_service)
    };
    self_service::suite::run(self_service_harness(over).await).await;
}

#[tokio::test]
async fn replicas_that_start_together_share_one_signing_key() {
    let accounts: Arc<MemoryMetadata> = Arc::default();
    let (one, two) = (service(&accounts), service(&accounts));

    let (first, second) = tokio::join!(one.prepare(), two.prepare());
    first.unwrap();
    second.unwrap();

    assert_eq!(one.keys().await.unwrap(), two.keys().await.unwrap());
    assert_eq!(one.keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_administrator_who_exists_is_left_as_is() {
    let accounts: Arc<MemoryMetadata> = Arc::default();
    let (service, _) = with_administrator(&accounts).await;
    let kept = || accounts.state().accounts[&AccountName::administrator()].password_hash.clone();
    let before = kept();

    let given = SecretString::from("another password");
    let name = AccountName::administrator();
    let again =
        administrator::missing(accounts.as_ref(), &name, Some(&given), service.passwords(), &SystemRandom)
            .await;

    assert!(again.unwrap().is_none());
    assert_eq!(kept().expose_secret(), before.expose_secret());
}

#[tokio::test]
async fn of_two_replicas_that_make_the_administrator_one_does() {
    let accounts: Arc<MemoryMetadata> = Arc::default();
    let service = service(&accounts);
    let name = AccountName::administrator();
    let missing = async || {
        administrator::missing(accounts.as_ref(), &name, None, service.passwords(), &SystemRandom).await
    };
    let (one, two) = (missing().await.unwrap().unwrap(), missing().await.unwrap().unwrap());

    assert_eq!(one.create(accounts.as_ref()).await.unwrap(), Created::Here);
    assert_eq!(two.create(accounts.as_ref()).await.unwrap(), Created::Elsewhere);
}

#[tokio::test]
async fn a_given_password_that_keeps_everybody_or_nobody_out_is_refused() {
    let accounts: Arc<MemoryMetadata> = Arc::default();
    let service = service(&accounts);
    let name = AccountName::administrator();
    let refused = async |password: &str| {
        let (accounts, given) = (accounts.as_ref(), Some(password.into()));
        administrator::missing(accounts, &name, given.as_ref(), service.passwords(), &SystemRandom).await
    };
    assert!(matches!(refused("1234567").await, Err(AdministratorError::TooShort)));
    assert!(matches!(refused("bucket_pat_0123").await, Err(AdministratorError::LikeASecret)));
}
