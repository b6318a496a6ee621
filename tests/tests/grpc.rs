//! Every gRPC port as grpcurl and Kubernetes see it: health is for everybody, and without the service token
//! nothing else is, not even the list of what there is.

use std::{fs, path::Path};

use tests::{
    Hub, Service, Topology,
    grpcurl::{self, Shown},
};

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
                "CredentialService",
                "OrganizationService",
                "ReclaimService",
                "RepositoryService",
                "RepositorySettingsService",
                "RuleService",
                "UploadService",
                "UserService",
            ],
        ),
        (Service::Auth, vec!["AuthService", "IdentityService"]),
        (Service::Blob1, vec!["BlobService"]),
        (Service::Blob2, vec!["BlobService"]),
    ] {
        assert!(grpc_services(&hub).any(|one| one == service));
        assert_eq!(ours(service), offered, "{service:?}");
        let all = listed(service, None);
        assert!(all.contains(&"grpc.health.v1.Health".to_owned()), "{service:?}: {all:?}");
    }
}

#[test]
fn nothing_but_health_is_answered_without_the_token() {
    let hub = Hub::start(Topology::FiveServices);
    let mut walked = 0;

    for service in grpc_services(&hub) {
        let address = service.listens_at();
        for stranger in [Shown::Nothing, Shown::Token("not the service token"), Shown::Token("")] {
            let (status, printed) = grpcurl::list(address, stranger, None);
            assert!(
                !status.success() && printed.contains("Unauthenticated"),
                "{service:?} showed {stranger:?}: {printed}"
            );
        }
        for method in ours(service).iter().flat_map(|name| listed(service, Some(&format!("{PACKAGE}{name}"))))
        {
            walked += 1;
            for stranger in [Shown::Nothing, Shown::Token("not the service token")] {
                assert_refused(service, stranger, &method);
            }
            let (_, printed) =
                grpcurl::call(address, Shown::Token(Service::token()), Service::token(), &method);
            assert!(
                !printed.contains("Unauthenticated"),
                "{service:?}: {method} refused the token: {printed}"
            );
        }
    }
    assert_eq!(walked, described_methods(), "not every method of every service was walked");
}

#[track_caller]
fn assert_refused(service: Service, stranger: Shown<'_>, method: &str) {
    let (status, printed) = grpcurl::call(service.listens_at(), stranger, Service::token(), method);
    let refused = !status.success() && printed.contains("Code: Unauthenticated");
    assert!(refused, "{service:?} answered {method} to {stranger:?}: {printed}");
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
