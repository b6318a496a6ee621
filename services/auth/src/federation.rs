//! Whose word counts besides this hub's own: people sign in by providers of identities, workloads show tokens of their
//! issuers. An identity is what an issuer calls somebody for good; names and e-mail addresses are none.

use async_trait::async_trait;
use proto::{
    auth::{
        Federation, IdentityError,
        federation::{
            BegunFlow, ExchangedSecret, FinishedFlow, Provider, ProviderName, ReturnedFlow, WantedFlow,
            WantedTrust, Workload,
        },
        identities::{Asker, WantedCredential},
    },
    metadata::credentials::{Credential, Trust},
};
use service_kit::fetch::Fetcher;

use crate::{Parts, Service, config::Config, sealing::Sealer, secret};
use issuers::{KnownIssuer, Means};
use provider::KnownProvider;

mod flow;
mod issuers;
mod login;
mod names;
mod provider;
mod token;
mod workload;

/// Whose word counts, and what is given for it.
pub(crate) struct Federated {
    providers: Vec<KnownProvider>,
    workload_issuers: Vec<KnownIssuer>,
    fetcher: Fetcher,
    /// Seals what browsers keep.
    flows: Sealer,
    /// Seals what workloads are given.
    pub(crate) workloads: Sealer,
}

impl Federated {
    pub(crate) fn new(config: &Config) -> Self {
        let issuers = config.workload_issuers.iter().map(|of| KnownIssuer::new(of.issuer.clone()));
        Self {
            providers: config.providers.iter().cloned().map(KnownProvider::new).collect(),
            workload_issuers: issuers.collect(),
            fetcher: Fetcher::default(),
            flows: Sealer::new(&config.key_secret, flow::PURPOSE),
            workloads: Sealer::new(&config.key_secret, secret::WORKLOADS),
        }
    }

    fn provider(&self, name: &ProviderName) -> Result<&KnownProvider, IdentityError> {
        let found = self.providers.iter().find(|provider| provider.config.name == *name);
        found.ok_or_else(|| IdentityError::ProviderUnknown { provider: name.clone() })
    }

    fn workload_issuer(&self, issuer: &str) -> Option<&KnownIssuer> {
        self.workload_issuers.iter().find(|known| known.issuer.as_str() == issuer)
    }

    /// Why there is no trust in an issuer that the operator does not name: this hub would ask whatever users like.
    pub(crate) fn check_trust(&self, trust: &Trust) -> Result<(), String> {
        match self.workload_issuer(trust.issuer.as_str()) {
            Some(_) => Ok(()),
            None => Err(format!(
                "{} is no issuer whose tokens workloads may show here; the operator names those in workload_issuers",
                trust.issuer
            )),
        }
    }
}

impl Parts {
    fn means(&self) -> Means<'_> {
        Means { fetcher: &self.federated.fetcher, clock: self.clock.as_ref() }
    }
}

#[async_trait]
impl Federation for Service {
    async fn providers(&self) -> Result<Vec<Provider>, IdentityError> {
        let known = self.0.federated.providers.iter();
        let provider = |known: &KnownProvider| Provider {
            name: known.config.name.clone(),
            label: known.config.label.clone(),
        };
        Ok(known.map(provider).collect())
    }

    async fn begin(&self, asker: &Asker, wanted: &WantedFlow) -> Result<BegunFlow, IdentityError> {
        self.0.begin_flow(asker, wanted).await
    }

    async fn finish(&self, returned: &ReturnedFlow) -> Result<FinishedFlow, IdentityError> {
        self.0.finish_flow(returned).await
    }

    async fn trust(&self, asker: &Asker, wanted: &WantedTrust) -> Result<Credential, IdentityError> {
        let WantedTrust { robot, label, trust, limits } = wanted.clone();
        let wanted = WantedCredential { robot: Some(robot), label, limits, expires: None };
        Ok(self.0.issue(asker, &wanted, Some(trust)).await?.credential)
    }

    async fn exchange(&self, workload: &Workload) -> Result<ExchangedSecret, IdentityError> {
        self.0.exchange_token(workload).await
    }
}
