//! A gRPC port and the channels to it: tokens, bounds, deadlines, panics, health, reflection, replicas.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole file is a test")]

use std::{convert::Infallible, future::pending, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, join_all},
    stream,
};
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::{
    clock,
    config::{GrpcClientConfig, GrpcServerConfig, GrpcUrl, TelemetryConfig},
    grpc::{
        Accounts, Described, GrpcChannel, Routes, Server, ServerOptions, ServiceAccount, calling_account,
        connect, in_memory, memory_pair, service_token, streaming, unary,
    },
    jose::{Algorithm, KeySet, PrivateKey},
    random::Ulids,
    readiness::Readiness,
    request_id::{self, RequestId},
    shutdown::{Drained, Shutdown},
    telemetry,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tonic::{
    Code, Request, Response, Status, body::Body, client::Grpc, server::NamedService, transport::Endpoint,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt as _;

const TOKEN: &str = "a-token-of-a-service";

/// A service whose one method does what it is told.
#[derive(Clone, Default)]
struct Puppet {
    acts: Arc<watch::Sender<usize>>,
    entered: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Puppet {
    async fn act(self, order: String) -> Result<Response<String>, Status> {
        // Made before the act is counted: whoever lets all go on that are counted reaches it.
        let all_go_on = self.go_on.notified();
        self.acts.send_modify(|acts| *acts += 1);
        match order.as_str() {
            "panic" => panic!("on purpose"),
            "hang" => pending().await,
            "wait" => {
                self.entered.notify_one();
                all_go_on.await;
                Ok(Response::new("waited".to_owned()))
            }
            "id" => Ok(Response::new(request_id::current().unwrap().to_string())),
            "who" => Ok(Response::new(calling_account().map_or("hub".to_owned(), |name| name.to_string()))),
            _ => Ok(Response::new(order)),
        }
    }
}

impl NamedService for Puppet {
    const NAME: &'static str = "test.Puppet";
}

impl tower::Service<http::Request<Body>> for Puppet {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let puppet = self.clone();
        let act = tower::service_fn(move |order: Request<String>| puppet.clone().act(order.into_inner()));
        async move { Ok(tonic::server::Grpc::new(ProstCodec::default()).unary(act, request).await) }.boxed()
    }
}

fn options(max_concurrent: usize) -> ServerOptions {
    ServerOptions {
        service_token: SecretString::from(TOKEN),
        max_concurrent,
        request_timeout: Duration::from_millis(50),
        ids: Arc::new(Ulids::system()),
    }
}

fn routes(puppet: Puppet) -> Routes {
    Routes::new(puppet)
}

async fn tell(channel: &GrpcChannel, order: &str) -> Result<String, Status> {
    tell_at(channel, "/test.Puppet/Act", streaming(order.to_owned())).await
}

async fn tell_at(
    channel: &GrpcChannel,
    path: &'static str,
    request: Request<String>,
) -> Result<String, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(path);
    client.unary(request, path, ProstCodec::<String, String>::default()).await.map(Response::into_inner)
}

fn described() -> Described {
    let method = |name: &str, client_streaming| MethodDescriptorProto {
        name: Some(name.to_owned()),
        client_streaming: Some(client_streaming),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Puppet".to_owned()),
        method: vec![method("Act", false), method("Stream", true)],
        ..ServiceDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("puppet.proto".to_owned()),
        package: Some("test".to_owned()),
        service: vec![service],
        ..FileDescriptorProto::default()
    };
    let descriptors = FileDescriptorSet { file: vec![file] }.encode_to_vec().leak();
    Described { descriptors, roles: &[("test.Puppet/Act", "puppet.act")] }
}

async fn listening(server: Server) -> (SocketAddr, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
    let stop = shutdown.clone();
    shutdown.spawn(async move { server.serve(listener, &stop).await.unwrap() });
    (address, shutdown)
}

fn channel(addresses: &[SocketAddr], token: &str) -> GrpcChannel {
    let url = |address: &SocketAddr| format!("http://{address}").parse::<GrpcUrl>().unwrap();
    let urls = addresses.iter().map(url).collect();
    let (service_token, deadline) = (SecretString::from(token), Duration::from_secs(5));
    connect(&GrpcClientConfig { urls, service_token, deadline, tls: None }).unwrap()
}

#[tokio::test]
async fn a_call_passes_in_memory() {
    let channel = in_memory(|routes| routes.add_service(Puppet::default())).await;
    assert_eq!(tell(&channel, "hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn a_call_works_under_the_id_of_its_caller() {
    let channel = in_memory(|routes| routes.add_service(Puppet::default())).await;
    let id = RequestId::parse("from-the-edge").unwrap();

    let answer = request_id::CURRENT.scope(id, tell(&channel, "id")).await.unwrap();

    assert_eq!(answer, "from-the-edge");
    assert_eq!(tell(&channel, "id").await.unwrap().len(), 26);
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_the_right_one_is_not() {
    let (address, _shutdown) = listening(Server::new(routes(Puppet::default()), options(8))).await;

    for wrong in ["a-token-of-a-servicE", "a-token-of-a-servic", "", "a-token-of-a-service-"] {
        let status = tell(&channel(&[address], wrong), "hello").await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{wrong}");
    }
    assert_eq!(tell(&channel(&[address], TOKEN), "hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn health_is_open_and_follows_readiness() {
    let readiness = Readiness::new();
    readiness.down("keys");
    let server = Server::new(routes(Puppet::default()), options(8)).ready_with(readiness.clone());
    let (address, _shutdown) = listening(server).await;
    let stranger = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut watched =
        HealthClient::new(stranger).watch(HealthCheckRequest::default()).await.unwrap().into_inner();

    let mut states = watched.by_ref().map(|state| state.unwrap().status());
    while states.next().await.unwrap() != ServingStatus::NotServing {}
    readiness.up("keys");

    assert_eq!(states.next().await.unwrap(), ServingStatus::Serving);
}

#[tokio::test]
async fn reflection_lists_the_services_to_those_with_a_token() {
    let server = Server::new(routes(Puppet::default()), options(8)).described_by(described());
    let (address, _shutdown) = listening(server).await;
    let ask = || {
        let list = MessageRequest::ListServices(String::new());
        stream::iter([ServerReflectionRequest { host: String::new(), message_request: Some(list) }])
    };

    let stranger =
        ServerReflectionClient::new(channel(&[address], "wrong")).server_reflection_info(ask()).await;
    assert_eq!(stranger.unwrap_err().code(), Code::Unauthenticated);

    let mut known = ServerReflectionClient::new(channel(&[address], TOKEN));
    let mut answers = known.server_reflection_info(ask()).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"test.Puppet".to_owned()), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
}

#[tokio::test]
async fn above_the_bound_a_caller_is_told_to_come_back() {
    let puppet = Puppet::default();
    let channel = memory_pair(routes(puppet.clone()), options(1));
    let waiting = async {
        puppet.entered.notified().await;
        let refused = tell(&channel, "hello").await.unwrap_err();
        puppet.go_on.notify_one();
        refused
    };

    let (first, refused) = tokio::join!(tell(&channel, "wait"), waiting);

    assert_eq!(first.unwrap(), "waited");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let retry = refused.get_error_details().retry_info().unwrap().retry_delay;
    assert_eq!(retry, Some(Duration::from_secs(1)));
    assert_eq!(tell(&channel, "hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn a_unary_call_has_a_deadline_though_its_caller_sets_none() {
    let server = Server::new(routes(Puppet::default()), options(8)).described_by(described());
    let (address, _shutdown) = listening(server).await;
    let channel = channel(&[address], TOKEN);

    let status = tell(&channel, "hang").await.unwrap_err();

    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn a_caller_may_ask_for_less_time() {
    let channel = memory_pair(routes(Puppet::default()), options(8));
    let request = unary("hang".to_owned(), Duration::from_millis(20));
    let status = tell_at(&channel, "/test.Puppet/Act", request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_port_goes_on() {
    let channel = memory_pair(routes(Puppet::default()), options(1));
    let status = tell(&channel, "panic").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("on purpose"));
    assert_eq!(tell(&channel, "hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let telemetry = telemetry::init(&TelemetryConfig::default()).unwrap();
    let channel = memory_pair(routes(Puppet::default()), options(8));
    for order in ["hello", "hello", "panic"] {
        let _ = tell_at(&channel, "/test.Puppet/Counted", streaming(order.to_owned())).await;
    }

    let text = telemetry.metrics_text();

    let line = |code: &str, count: u32| {
        format!(
            "rpc_server_calls_total{{code=\"{code}\",rpc_method=\"Counted\",rpc_service=\"test.Puppet\"}} {count}\n"
        )
    };
    assert!(text.contains(&line("Ok", 2)), "{text}");
    assert!(text.contains(&line("Internal", 1)), "{text}");
    assert!(text.contains("rpc_server_duration_seconds_count{rpc_method=\"Counted\""), "{text}");
}

#[tokio::test]
async fn a_replica_that_cannot_be_reached_is_passed_over() {
    let (living, _shutdown) = listening(Server::new(routes(Puppet::default()), options(8))).await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let channel = channel(&[dead, living], TOKEN);

    let mut failures = 0;
    for _ in 0..32 {
        failures += i32::from(tell(&channel, "hello").await.is_err());
    }

    assert!(failures <= 1, "{failures} of 32 calls went to a replica that is known to be dead");
}

/// Two servers, and a channel to both.
async fn two_replicas() -> ([Puppet; 2], [Shutdown; 2], GrpcChannel) {
    let puppets = [Puppet::default(), Puppet::default()];
    let (one, first) = listening(Server::new(routes(puppets[0].clone()), options(128))).await;
    let (two, second) = listening(Server::new(routes(puppets[1].clone()), options(128))).await;
    (puppets, [first, second], channel(&[one, two], TOKEN))
}

async fn acted(puppets: &[Puppet; 2], times: usize) -> [usize; 2] {
    let [mut one, mut two] = puppets.each_ref().map(|puppet| puppet.acts.subscribe());
    loop {
        let counts = [*one.borrow_and_update(), *two.borrow_and_update()];
        if counts[0] + counts[1] >= times {
            return counts;
        }
        tokio::select! {
            changed = one.changed() => changed.unwrap(),
            changed = two.changed() => changed.unwrap(),
        }
    }
}

#[tokio::test]
async fn of_two_replicas_the_busier_has_little_more_calls_than_the_other() {
    let (puppets, _shutdowns, channel) = two_replicas().await;
    let calls = join_all((0..64).map(|_| tell(&channel, "wait")));
    let counting = async {
        let mut counts = acted(&puppets, 64).await;
        for puppet in &puppets {
            puppet.go_on.notify_waiters();
        }
        counts.sort_unstable();
        counts
    };

    let (answers, [less, more]) = tokio::join!(calls, counting);

    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(less + more, 64);
    assert!(10 * more <= 13 * less, "{more} calls at one and {less} at the other");
}

#[tokio::test]
async fn a_replica_that_leaves_finishes_its_calls_and_gets_no_more() {
    let (puppets, shutdowns, channel) = two_replicas().await;
    let calls = join_all((0..2).map(|_| tell(&channel, "wait")));
    let leaving = async {
        assert_eq!(acted(&puppets, 2).await, [1, 1]);
        shutdowns[0].leave();

        // It answers until it has been heard of; none of these may fail.
        let mut in_a_row = 0;
        while in_a_row < 16 {
            let before = *puppets[0].acts.borrow();
            assert_eq!(tell(&channel, "hello").await.unwrap(), "hello");
            in_a_row = if *puppets[0].acts.borrow() == before { in_a_row + 1 } else { 0 };
        }
        for puppet in &puppets {
            puppet.go_on.notify_waiters();
        }
    };

    let (answers, ()) =
        tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(calls, leaving) }).await.unwrap();

    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let others = *puppets[1].acts.borrow();
    assert!(others >= 17, "{others}");
    assert_eq!(
        shutdowns[0].drain(Duration::from_secs(10)).await,
        Drained::Finished,
        "nobody keeps it from ending"
    );
}

#[tokio::test]
async fn a_replica_that_dies_amid_its_calls_loses_those_alone() {
    let (puppets, shutdowns, channel) = two_replicas().await;
    let calls = join_all((0..8).map(|_| tell(&channel, "wait")));
    let dying = async {
        assert_eq!(acted(&puppets, 8).await, [4, 4]);
        shutdowns[0].drain(Duration::ZERO).await;
        let mut failures = 0;
        for _ in 0..32 {
            failures += i32::from(tell(&channel, "hello").await.is_err());
        }
        puppets[1].go_on.notify_waiters();
        failures
    };

    let (answers, failures) = tokio::join!(calls, dying);

    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 4, "{answers:?}");
    assert!(failures <= 1, "{failures} of 32 calls went to a replica that is known to be dead");
}

#[tokio::test]
async fn replicas_are_used_in_turn() {
    let (first, second) = (Puppet::default(), Puppet::default());
    let (one, _one) = listening(Server::new(routes(first.clone()), options(8))).await;
    let (two, _two) = listening(Server::new(routes(second.clone()), options(8))).await;
    let channel = channel(&[one, two], TOKEN);

    let both = async {
        first.entered.notified().await;
        second.entered.notified().await;
        first.go_on.notify_one();
        second.go_on.notify_one();
    };
    let (a, b, ()) = tokio::join!(tell(&channel, "wait"), tell(&channel, "wait"), both);

    assert!(a.is_ok() && b.is_ok());
}

#[tokio::test]
async fn a_call_in_flight_is_finished_at_shutdown() {
    let puppet = Puppet::default();
    let (address, shutdown) = listening(Server::new(routes(puppet.clone()), options(8))).await;
    let channel = channel(&[address], TOKEN);
    let stopping = async {
        puppet.entered.notified().await;
        shutdown.begin();
        puppet.go_on.notify_one();
    };

    let (answer, ()) = tokio::join!(tell(&channel, "wait"), stopping);

    assert_eq!(answer.unwrap(), "waited");
    drop(channel);
    assert_eq!(shutdown.drain(Duration::from_secs(10)).await, Drained::Finished);
}

/// A port that knows accounts by tokens of `key`, and the token of one with a role.
async fn known_to(key: &PrivateKey, role: &str) -> (Server, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.json");
    let set: KeySet = [(key.public().thumbprint(), *key.public())].into_iter().collect();
    std::fs::write(&file, serde_json::to_vec(&set).unwrap()).unwrap();
    let mut config: GrpcServerConfig =
        toml::from_str("listen = \"127.0.0.1:1\"\nservice_token = \"a-token-of-a-service\"").unwrap();
    config.service_keys_file = Some(file);
    let accounts = Accounts::open(&config, clock::system()).await.unwrap();

    let server =
        Server::new(routes(Puppet::default()), options(8)).described_by(described()).known_to(accounts);
    let account = ServiceAccount { name: "team-x".parse().unwrap(), roles: vec![role.parse().unwrap()] };
    let token = service_token(key, &account, clock::system().now(), Duration::from_mins(1)).unwrap();
    (server, token.expose_secret().to_owned())
}

#[tokio::test]
async fn a_service_account_may_what_its_roles_cover_under_its_own_name() {
    let key = PrivateKey::generate(Algorithm::EdDsa).unwrap();
    for role in ["puppet.act", "*"] {
        let (server, token) = known_to(&key, role).await;
        let (address, _shutdown) = listening(server).await;
        assert_eq!(tell(&channel(&[address], &token), "who").await.unwrap(), "team-x");
        assert_eq!(tell(&channel(&[address], TOKEN), "who").await.unwrap(), "hub");
    }
}

#[tokio::test]
async fn without_the_role_a_call_is_refused_before_anything_is_done() {
    let key = PrivateKey::generate(Algorithm::EdDsa).unwrap();
    let (server, token) = known_to(&key, "puppet.watch").await;
    let (address, _shutdown) = listening(server).await;
    let known = channel(&[address], &token);

    let refused = tell(&known, "panic").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("team-x") && refused.message().contains("puppet.act"), "{refused:?}");
    let absent = tell_at(&known, "/test.Puppet/Whatever", streaming("panic".to_owned())).await.unwrap_err();
    assert_eq!(absent.code(), Code::Unimplemented, "what needs no role is for nobody else");
    let list = MessageRequest::ListServices(String::new());
    let ask = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    assert!(ServerReflectionClient::new(known).server_reflection_info(stream::iter([ask])).await.is_ok());
}

#[tokio::test]
async fn a_token_that_no_configured_key_has_signed_is_nobodys() {
    let [key, other] = [(); 2].map(|()| PrivateKey::generate(Algorithm::Es256).unwrap());
    let (_, forged) = known_to(&other, "*").await;
    let (server, _) = known_to(&key, "*").await;
    let (address, _shutdown) = listening(server).await;
    let refused = tell(&channel(&[address], &forged), "who").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);

    // And where no keys are configured, no such token is good.
    let (address, _shutdown) = listening(Server::new(routes(Puppet::default()), options(8))).await;
    let refused = tell(&channel(&[address], &forged), "who").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}
