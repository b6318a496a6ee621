//! What an operator sees: log lines that name the request, traces through every service, probes that tell the
//! truth, and an end that lets a slow client finish.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::{ResourceSpans, Span},
};
use reqwest::Method;
use rstest::rstest;
use tests::{
    Hub, Service, Topology, address,
    hub::Options,
    image,
    process::Process,
    raw::{Answer, read},
};

/// What is waited for happens within milliseconds, and is never waited out.
const PATIENCE: Duration = Duration::from_secs(20);

fn with(variables: &[(&str, &str)]) -> Options {
    let environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Options { environment, ..Options::default() }
}

#[tokio::test]
async fn one_id_names_a_request_in_the_logs_of_all_who_worked_for_it() {
    let verbose = with(&[("BUCKET_TELEMETRY__LOG_LEVEL", "info,service_kit=debug")]);
    let mut hub = Hub::start_with(Topology::FiveServices, verbose);
    let raw = hub.raw();
    let bytes = image::noise(1, 100_000);
    let location = raw.start("team/app").await;

    let put = raw.put("team/app", &location, &image::digest(&bytes), bytes.clone()).await.expect(201);

    let id = put.header("x-request-id").to_owned();
    assert!(id.len() > 8, "{put:?}");
    for service in [Service::Edge1, Service::Metadata, Service::Blob1] {
        let named = until(&format!("{service:?} has no line about {id}"), || {
            let log = hub.process(service).log();
            log.lines().find(|line| line.contains(&id)).map(ToOwned::to_owned)
        });
        let line: serde_json::Value = serde_json::from_str(&named).unwrap();
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{service:?}: {line}");
    }
    let other = raw.send(Method::GET, "team/app", "/v2/team/app/tags/list").await;
    assert_ne!(other.header("x-request-id"), id, "another request has the same id");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn every_log_line_is_json_and_none_holds_a_secret(#[case] topology: Topology) {
    let verbose = with(&[("BUCKET_TELEMETRY__LOG_LEVEL", "debug"), ("BUCKET_TELEMETRY__LOG_FORMAT", "json")]);
    let mut hub = Hub::start_with(topology, verbose);
    let raw = hub.raw();
    raw.push_image("team/app", "v1", b"a layer").await;
    let token = raw.token(&["repository:team/app:pull"]).await;
    let request = raw.anonymous(Method::GET, "/v2/team/app/manifests/none").bearer_auth(&token);
    let _ = read(request.send().await.unwrap()).await.expect_error(404, "MANIFEST_UNKNOWN");
    let (_, password) = hub.administrator();

    for service in hub.services() {
        let log = hub.process(*service).log();
        // What the one process prints for the person at its terminal is no log.
        let lines = log.lines().filter(|line| *service != Service::Bucket || line.starts_with('{'));
        for line in lines {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
            assert!(parsed.is_ok_and(|line| line.is_object()), "{service:?} logged no JSON object: {line}");
        }
        assert!(log.contains(r#""message":"ready""#), "{service:?}: {log}");
        for secret in [password, Service::token(), token.as_str()] {
            assert!(!log.contains(secret), "{service:?} logged a secret");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_through_every_service() {
    let receiver = Receiver::default();
    let at = address::with_port(4317);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let receiving = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(receiver.clone()))
        .serve_with_shutdown(at, async { drop(stopped.await) });
    let receiving = tokio::spawn(receiving);
    let mut hub = Hub::start_with(
        Topology::FiveServices,
        with(&[("BUCKET_TELEMETRY__OTLP_ENDPOINT", &format!("http://{at}"))]),
    );
    let raw = hub.raw();
    let bytes = image::noise(2, 100_000);
    let location = raw.start("team/app").await;

    let request = raw.request(Method::PUT, "team/app", &location).await;
    let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
    let request = request.query(&[("digest", image::digest(&bytes).to_string())]).body(bytes);
    let _ = read(request.send().await.unwrap()).await.expect(201);
    // The end sends what has been recorded.
    hub.stop();

    let spans = receiver.of_trace(TRACE);
    let services: BTreeSet<&str> = spans.iter().map(|(service, _)| service.as_str()).collect();
    let wanted = BTreeSet::from(["registry-api", "metadata", "blob"]);
    assert!(wanted.is_subset(&services), "the trace has spans of {services:?} only");
    assert_is_one_tree(&spans);
    stop.send(()).unwrap();
    receiving.await.unwrap().unwrap();
}

/// What the test's request says it is part of.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Every span's parent is in the trace, up to the test's own.
fn assert_is_one_tree(spans: &[(String, Span)]) {
    let mut known: BTreeMap<String, String> =
        spans.iter().map(|(_, span)| (hex(&span.span_id), span.name.clone())).collect();
    known.insert(PARENT.to_owned(), "the test".to_owned());
    for (service, span) in spans {
        let parent = hex(&span.parent_span_id);
        assert!(
            known.contains_key(&parent),
            "{service}: {} has the parent {parent:?}, none of {known:#?}",
            span.name
        );
    }
}

/// A receiver of traces that keeps them.
#[derive(Debug, Clone, Default)]
struct Receiver(Arc<Mutex<Vec<ResourceSpans>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.lock().unwrap().extend(request.into_inner().resource_spans);
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    /// The spans of a trace, each with the name of the service that it is from.
    fn of_trace(&self, trace: &str) -> Vec<(String, Span)> {
        let received = self.0.lock().unwrap();
        let spans = received.iter().flat_map(|of_service| {
            let service = service_name(of_service);
            let spans = of_service.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.map(move |span| (service.clone(), span.clone()))
        });
        spans.filter(|(_, span)| hex(&span.trace_id) == trace).collect()
    }
}

fn service_name(spans: &ResourceSpans) -> String {
    let attributes = spans.resource.iter().flat_map(|resource| &resource.attributes);
    let mut names = attributes.filter(|attribute| attribute.key == "service.name");
    let name = names.next().and_then(|name| name.value.clone()?.value);
    match name {
        Some(Value::StringValue(name)) => name,
        other => panic!("spans without a service name: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn every_process_answers_probes_and_counts(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    // Through every edge, so that every replica has something to count.
    for (number, raw) in hub.raws().iter().enumerate() {
        raw.push_image("team/app", &format!("v{number}"), b"a layer").await;
    }

    for service in hub.services() {
        let _ = probe(*service, "livez").await.unwrap().expect(200);
        let ready = probe(*service, "readyz").await.unwrap().expect(200);
        assert_eq!(ready.json()["ready"], true, "{service:?}");
        let metrics = hub.metrics(*service).await;
        assert!(metrics.contains("service_name=\""), "{service:?} does not say who it is: {metrics}");
        if service.is_grpc() {
            assert!(metrics.contains("rpc_server_calls_total{"), "{service:?} counts no calls: {metrics}");
        }
    }
}

#[tokio::test]
async fn an_edge_without_keys_says_so_and_is_ready_once_auth_is_there() {
    let mut hub = Hub::start(Topology::FiveServices);
    let token = hub.raw().token(&["repository:team/app:pull"]).await;
    hub.kill(Service::Edge1);
    hub.kill(Service::Auth);
    let directory = tempfile::tempdir().unwrap();
    let _edge = spawn_alone(Service::Edge1, directory.path());

    // Probes are answered before all parts have started.
    let mut waiting = probed_until(Service::Edge1, 503).await;
    while waiting.json()["not_ready"] != serde_json::json!(["keys"]) {
        assert!(waiting.body.windows(4).any(|word| word == b"keys"), "{waiting:?}");
        waiting = probed_until(Service::Edge1, 503).await;
    }
    let _ = probe(Service::Edge1, "livez").await.unwrap().expect(200);
    let request = hub.raw().anonymous(Method::GET, "/v2/team/app/tags/list").bearer_auth(token);
    let answer = read(request.send().await.unwrap()).await.expect_error(503, "UNAVAILABLE");
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");

    hub.start_service(Service::Auth);
    let _ = probed_until(Service::Edge1, 200).await;
}

/// Starts a service of five that is not one of a hub, without waiting.
fn spawn_alone(service: Service, directory: &Path) -> Process {
    let file = directory.join("config.toml");
    std::fs::write(&file, service.configuration(directory)).unwrap();
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new(test.parent().and_then(Path::parent).unwrap().join(service.binary()));
    command.arg("--config").arg(file);
    Process::spawn(service.name(), command, &directory.join("log"), "ready")
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test(flavor = "multi_thread")]
async fn who_downloads_slowly_gets_everything_before_a_service_ends(#[case] topology: Topology) {
    let mut hub = Hub::start(topology);
    let edge = hub.services().iter().copied().find(|service| service.is_edge()).unwrap();
    let raw = hub.raw();
    // More than all sockets and windows on the way hold.
    let bytes = image::noise(3, 96 << 20);
    let digest = raw.push_blob("team/app", &bytes).await;
    let request = raw.request(Method::GET, "team/app", &format!("/v2/team/app/blobs/{digest}")).await;
    let mut answer = request.send().await.unwrap();
    let mut received = answer.chunk().await.unwrap().unwrap().to_vec();

    // From the edges to metadata, each is told to end and waited for: the edge waits for this client.
    let stopping = tokio::task::spawn_blocking(move || hub.stop());
    let draining = probed_until(edge, 503).await;
    assert_eq!(draining.json()["not_ready"], serde_json::json!(["shutdown"]));
    assert!(raw.anonymous(Method::GET, "/v2/").send().await.is_err(), "a new connection was accepted");
    while let Some(chunk) = answer.chunk().await.unwrap() {
        received.extend_from_slice(&chunk);
    }

    assert!(received == bytes, "{} of {} bytes came, or others", received.len(), bytes.len());
    stopping.await.unwrap();
}

async fn probe(service: Service, path: &str) -> Result<Answer, reqwest::Error> {
    let answer = reqwest::get(format!("http://{}/{path}", service.admin_at())).await?;
    Ok(read(answer).await)
}

/// The answer of `/readyz`, once it has this status.
async fn probed_until(service: Service, status: u16) -> Answer {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = probe(service, "readyz").await;
        match answer {
            Ok(answer) if answer.status.as_u16() == status => return answer,
            answer => {
                assert!(Instant::now() < until, "/readyz of {service:?} is never {status}, last {answer:?}");
            }
        }
    }
}

fn until<T>(never: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "{never}");
        std::thread::yield_now();
    }
}
