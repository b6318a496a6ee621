//! The contract's suite on this service, in process and across gRPC; and what only this service promises.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is a test")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use auth::{
    Service,
    administrator::{self, AdministratorError, Created},
    config::Config,
};
use oci::{AccountName, RepositoryName};
use proto::{
    auth::{Auth, AuthClient, server, suite},
    metadata::{
        AccountError, Accounts, Visibility,
        accounts::{AccessFacts, AccessQuestion, Account, SigningKey},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::{clock::ManualClock, grpc::in_memory, random::SystemRandom};

/// Accounts in memory: metadata itself belongs to another service.
#[derive(Default)]
struct MemoryAccounts {
    accounts: Mutex<Vec<Account>>,
    keys: Mutex<Vec<SigningKey>>,
}

#[async_trait]
impl Accounts for MemoryAccounts {
    async fn create_account(&self, account: &Account) -> Result<(), AccountError> {
        let mut accounts = self.accounts.lock().unwrap();
        if accounts.iter().any(|other| other.name == account.name) {
            return Err(AccountError::NameTaken { name: account.name.clone() });
        }
        accounts.push(account.clone());
        Ok(())
    }

    async fn access_facts(&self, question: &AccessQuestion) -> Result<AccessFacts, AccountError> {
        let accounts = self.accounts.lock().unwrap();
        let account =
            accounts.iter().find(|account| Some(&account.name) == question.account.as_ref()).cloned();
        let visible = |name: &RepositoryName| match name.as_str() {
            "open/app" => Some(Visibility::Public),
            "shut/app" => Some(Visibility::Private),
            _ => None,
        };
        let repositories = question.repositories.iter().map(|name| (name.clone(), visible(name))).collect();
        Ok(AccessFacts { account, repositories })
    }

    async fn found_signing_key(&self, key: &SigningKey) -> Result<Vec<SigningKey>, AccountError> {
        let mut keys = self.keys.lock().unwrap();
        if keys.is_empty() {
            keys.push(key.clone());
        }
        Ok(keys.clone())
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKey>, AccountError> {
        Ok(self.keys.lock().unwrap().clone())
    }
}

fn config() -> Config {
    let mut config = Config::with_secret("a secret for tests".into());
    config.password.memory_kib = 64;
    config.password.iterations = 1;
    config
}

fn service(accounts: &Arc<MemoryAccounts>) -> Service {
    let accounts: Arc<dyn Accounts> = accounts.clone();
    Service::new(accounts, &config(), Arc::new(ManualClock::default()), Arc::new(SystemRandom))
}

async fn with_administrator(accounts: &Arc<MemoryAccounts>) -> (Service, SecretString) {
    let service = service(accounts);
    let name = AccountName::administrator();
    let new =
        administrator::missing(accounts.as_ref(), &name, None, service.passwords(), &SystemRandom).await;
    let new = new.unwrap().expect("there is none yet");
    let password = new.generated_password().expect("it was generated").clone();
    assert_eq!(new.create(accounts.as_ref()).await.unwrap(), Created::Here);
    (service, password)
}

async fn harness(over: impl AsyncFnOnce(Arc<dyn Auth>) -> Arc<dyn Auth>) -> suite::Harness {
    let (service, password) = with_administrator(&Arc::default()).await;
    let auth = over(Arc::new(service)).await;
    suite::Harness { auth, service: "bucket".into(), username: "admin".into(), password }
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
async fn replicas_that_start_together_share_one_signing_key() {
    let accounts = Arc::default();
    let (one, two) = (service(&accounts), service(&accounts));

    let (first, second) = tokio::join!(one.prepare(), two.prepare());
    first.unwrap();
    second.unwrap();

    assert_eq!(one.keys().await.unwrap(), two.keys().await.unwrap());
    assert_eq!(one.keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_administrator_who_exists_is_left_as_is() {
    let accounts = Arc::default();
    let (service, _) = with_administrator(&accounts).await;
    let before = accounts.accounts.lock().unwrap()[0].password_hash.expose_secret().to_owned();

    let given = SecretString::from("another password");
    let name = AccountName::administrator();
    let again =
        administrator::missing(accounts.as_ref(), &name, Some(&given), service.passwords(), &SystemRandom)
            .await;

    assert!(again.unwrap().is_none());
    assert_eq!(accounts.accounts.lock().unwrap()[0].password_hash.expose_secret(), before);
}

#[tokio::test]
async fn of_two_replicas_that_make_the_administrator_one_does() {
    let accounts: Arc<MemoryAccounts> = Arc::default();
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
async fn a_given_password_that_keeps_nobody_out_is_refused() {
    let accounts: Arc<MemoryAccounts> = Arc::default();
    let service = service(&accounts);
    let name = AccountName::administrator();
    let refused = administrator::missing(
        accounts.as_ref(),
        &name,
        Some(&"1234567".into()),
        service.passwords(),
        &SystemRandom,
    )
    .await;
    assert!(matches!(refused, Err(AdministratorError::TooShort)));
}
