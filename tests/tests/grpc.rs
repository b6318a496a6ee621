//! Every gRPC port as grpcurl, Kubernetes and programs of other teams see it: health is for everybody; whoever shows a
//! service token or a certificate is let in for what their roles say, and nobody else for anything.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use proto::{
    auth::Subject,
    metadata::{
        Actor, PageRequest, Repositories as _, Standing, Uploads as _, Users as _, Via,
        repositories::RepositoriesClient, uploads::UploadsClient, users::UsersClient,
    },
};
use serde_json::{Value, json};
use service_kit::{
    config::GrpcClientConfig,
    grpc::{self, GrpcChannel},
};
use tests::{
    Hub, Service, Topology,
    certificates::Certificates,
    grpcurl::{self, Shown},
    hub::Options,
    service_account::ServiceKeys,
};

const DEADLINE: Duration = Duration::from_secs(10);

const HEALTH: &str = r#"syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
"#;

const PACKAGE: &str = "bucket.v1.";

fn grpc_services(hub: &Hub) -> impl Iterator<Item = Service> {
    hub.services().iter().copied().filter(|service| service.is_grpc())
}

#[test]
fn health_is_answered_to_everybody() {
    let hub = Hub::start(Topology::FiveServices);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("health.proto"), HEALTH).unwrap();

    for service in grpc_services(&hub) {
        let check = "grpc.health.v1.Health/Check";
        let (status, printed) =
            grpcurl::call_described(service.listens_at(), directory.path(), "health.proto", check);
        assert!(status.success() && printed.contains("\"SERVING\""), "{service:?}: {printed}");
    }
}

#[test]
fn who_knows_the_token_sees_what_there_is() {
    let hub = Hub::start(Topology::FiveServices);

    for (service, offered) in [
        (
            Service::Metadata,
            vec![
                "AccountService",
                "AuditLogService",
                "AvatarService",
                "BackupService",
                "CredentialService",
                "FederatedIdentityService",
                "IntegrityService",
                "InvitationService",
                "OrganizationService",
                "OutboxService",
                "ProofService",
                "QuotaService",
                "ReclaimService",
                "RepositoryService",
                "RepositorySettingsService",
                "RuleService",
                "UploadService",
                "UserService",
            ],
        ),
        (Service::Auth, vec!["AuthService", "FederationService", "IdentityService", "SelfService"]),
        (Service::Blob1, vec!["BlobService"]),
        (Service::Blob2, vec!["BlobService"]),
    ] {
        assert!(grpc_services(&hub).any(|one| one == service));
        assert_eq!(ours(service), offered, "{service:?}");
        let all = listed(service, None);
        assert!(all.contains(&"grpc.health.v1.Health".to_owned()), "{service:?}: {all:?}");
    }
}

/// Those who are nobody, with what they show.
fn strangers(keys: &ServiceKeys) -> Vec<String> {
    let claims = |name: &str, value: Value| {
        let mut claims =
            json!({ "sub": "team-x", "aud": "bucket-grpc", "exp": 4_000_000_000_u64, "roles": ["*"] });
        claims[name] = value;
        claims
    };
    vec![
        "not the service token".to_owned(),
        keys.token_for("first", "team-x", "*", "0s"),
        keys.signed("first", &claims("aud", json!("bucket"))),
        keys.signed("first", &claims("repositories", json!(["team/*"]))),
        ServiceKeys::new().token("first", "team-x", "*"),
    ]
}

#[test]
fn every_method_is_refused_without_the_right_identity() {
    let keys = ServiceKeys::new();
    let options = Options { ports: keys.environment(), ..Options::default() };
    let hub = Hub::start_with(Topology::FiveServices, options);
    let strangers = strangers(&keys);
    let useless =
        json!({ "sub": "team-x", "aud": "bucket-grpc", "exp": 4_000_000_000_u64, "roles": ["nothing"] });
    let (useless, all) = (keys.signed("first", &useless), keys.token("first", "team-x", "*"));
    let mut walked = 0;

    for service in grpc_services(&hub) {
        let address = service.listens_at();
        for shown in
            strangers.iter().map(|token| Shown::Token(token)).chain([Shown::Nothing, Shown::Token("")])
        {
            let (status, printed) = grpcurl::list(address, shown, None);
            assert!(
                !status.success() && printed.contains("Unauthenticated"),
                "{service:?} showed {shown:?}: {printed}"
            );
        }
        for method in ours(service).iter().flat_map(|name| listed(service, Some(&format!("{PACKAGE}{name}"))))
        {
            walked += 1;
            for stranger in strangers.iter().map(|token| Shown::Token(token)).chain([Shown::Nothing]) {
                assert_refused(service, stranger, &method, "Unauthenticated");
            }
            assert_refused(service, Shown::Token(&useless), &method, "PermissionDenied");
            for token in [Service::token(), &all] {
                let (_, printed) = grpcurl::call(address, Shown::Token(token), Service::token(), &method);
                let refused =
                    ["Unauthenticated", "PermissionDenied"].iter().any(|code| printed.contains(code));
                assert!(!refused, "{service:?}: {method} refused a token: {printed}");
            }
        }
    }
    assert_eq!(walked, described_methods(), "not every method of every service was walked");
}

#[track_caller]
fn assert_refused(service: Service, stranger: Shown<'_>, method: &str, code: &str) {
    let (status, printed) = grpcurl::call(service.listens_at(), stranger, Service::token(), method);
    let refused = !status.success() && printed.contains(&format!("Code: {code}"));
    assert!(refused, "{service:?} answered {method} to {stranger:?}: {printed}");
}

/// A program of another team at the metadata service.
fn channel(token: &str) -> GrpcChannel {
    let urls = vec![format!("http://{}", Service::Metadata.listens_at()).parse().unwrap()];
    let config = GrpcClientConfig { urls, service_token: token.into(), deadline: DEADLINE, tls: None };
    grpc::connect(&config).unwrap()
}

#[tokio::test]
async fn a_service_account_may_what_its_roles_say_and_writes_under_its_own_name() {
    let keys = ServiceKeys::new();
    let options = Options { ports: keys.environment(), ..Options::default() };
    let hub = Hub::start_with(Topology::FiveServices, options);
    let repository = "team/app".parse().unwrap();
    hub.raw().push_image("team/app", "v1", b"a layer").await;
    let pretended = Actor {
        subject: Subject::User("admin".parse().unwrap()),
        via: Via::Registry,
        address: None,
        credential: None,
    };

    let reader = channel(&keys.token("first", "team-x", "metadata.read"));
    let tags = RepositoriesClient::new(reader.clone(), DEADLINE)
        .tags(&repository, &PageRequest { after: None, limit: 10 })
        .await
        .unwrap();
    assert_eq!(tags.entries.len(), 1);
    let uploads = UploadsClient::new(reader, DEADLINE);
    assert!(uploads.start(&repository, &pretended).await.is_err(), "it may only read");

    let uploads = UploadsClient::new(channel(&keys.token("first", "team-x", "metadata.write")), DEADLINE);
    let started = uploads.start(&repository, &pretended).await.unwrap();
    assert_eq!(started.subject, Subject::Service("team-x".parse().unwrap()), "it is not who it says it is");
    assert_eq!(started.standing, Standing::Active);
    let of_hub = UploadsClient::new(channel(Service::token()), DEADLINE);
    assert_eq!(of_hub.start(&repository, &pretended).await.unwrap().subject, pretended.subject);
}

#[tokio::test]
async fn keys_of_service_accounts_are_exchanged_without_a_restart() {
    let keys = ServiceKeys::new();
    let options = Options { ports: keys.environment(), ..Options::default() };
    let _hub = Hub::start_with(Topology::FiveServices, options);
    let old = channel(&keys.token("first", "team-x", "accounts.read"));
    let page = PageRequest { after: None, limit: 10 };
    let works =
        async |channel: &GrpcChannel| UsersClient::new(channel.clone(), DEADLINE).users(&page).await.is_ok();
    assert!(works(&old).await);

    keys.make("second");
    let new = channel(&keys.token("second", "team-x", "accounts.read"));
    eventually(async || works(&new).await).await;
    assert!(works(&old).await);
    keys.forget();
    eventually(async || !works(&new).await && !works(&old).await).await;
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let (began, mut pause) = (Instant::now(), tokio::time::interval(Duration::from_millis(200)));
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(30), "it has not happened");
        pause.tick().await;
    }
}

#[tokio::test]
async fn ports_and_callers_know_each_other_by_certificates() {
    let certificates = Certificates::new();
    certificates.issue("team-x", "URI:spiffe://bucket.test/team-x");
    certificates.issue("stranger", "URI:spiffe://bucket.test/stranger");
    let callers = r#"[{ name = "team-x", san = "spiffe://bucket.test/team-x", roles = ["accounts.read"] }]"#;
    let options = Options {
        ports: vec![("BUCKET_GRPC__CALLERS".to_owned(), callers.to_owned())],
        certificates: Some(certificates.directory().to_owned()),
        ..Options::default()
    };
    let hub = Hub::start_with(Topology::FiveServices, options);

    // All that the services say to each other goes over TLS.
    let image = hub.raw().push_image("team/app", "v1", b"a layer").await;
    assert_eq!(hub.raw().manifest("team/app", "v1").await.expect(200).body, image);
    assert!(hub.operator(&["user", "list"]).unwrap().contains("admin"));

    let call = |certificates: &Certificates, name, method: &str| {
        let method = format!("{PACKAGE}{method}");
        let address = Service::Metadata.listens_at();
        grpcurl::call_with_certificate(address, certificates, name, &method).1
    };
    let listed = call(&certificates, Some("team-x"), "UserService/Users");
    assert!(listed.contains("\"admin\""), "{listed}");
    for method in ["UserService/ChangeUser", "AccountService/SigningKeys", "UploadService/Start"] {
        let refused = call(&certificates, Some("team-x"), method);
        assert!(refused.contains("PermissionDenied"), "{method}: {refused}");
    }
    for stranger in [Some("stranger"), None] {
        let refused = call(&certificates, stranger, "UserService/Users");
        assert!(refused.contains("Unauthenticated"), "{stranger:?}: {refused}");
    }

    let others = Certificates::new();
    others.issue("team-x", "URI:spiffe://bucket.test/team-x");
    std::fs::copy(certificates.at("ca.pem"), others.at("ca.pem")).unwrap();
    let refused = call(&others, Some("team-x"), "UserService/Users");
    assert!(!refused.contains("\"admin\""), "another authority vouches for it: {refused}");
    let (status, printed) =
        grpcurl::list(Service::Metadata.listens_at(), Shown::Token(Service::token()), None);
    assert!(!status.success(), "it speaks plainly: {printed}");
}

/// The services of this project on a port, by name.
fn ours(service: Service) -> Vec<String> {
    let all = listed(service, None);
    all.iter().filter_map(|name| Some(name.strip_prefix(PACKAGE)?.to_owned())).collect()
}

fn listed(service: Service, of: Option<&str>) -> Vec<String> {
    let (status, printed) = grpcurl::list(service.listens_at(), Shown::Token(Service::token()), of);
    assert!(status.success(), "{service:?} did not list {of:?}: {printed}");
    let mut names: Vec<String> = printed.lines().map(ToOwned::to_owned).collect();
    names.sort();
    names
}

/// How many methods the proto files describe, those of the blob service twice: it has two replicas.
fn described_methods() -> usize {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/bucket/v1");
    let methods = |name: &str| {
        let text = fs::read_to_string(directory.join(name)).unwrap();
        text.lines().filter(|line| line.trim_start().starts_with("rpc ")).count()
    };
    methods("metadata.proto") + methods("auth.proto") + 2 * methods("blob.proto")
}
