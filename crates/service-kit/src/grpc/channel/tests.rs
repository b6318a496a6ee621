//! Replicas that come and go, by a resolver that says what the test wants.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Mutex,
};

use secrecy::SecretString;
use tokio::net::TcpListener;
use tonic::{Streaming, service::Routes};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

use super::{discovery::Found, *};
use crate::{
    grpc::{Server, ServerOptions},
    random::Ulids,
    shutdown::Shutdown,
};

const TOKEN: &str = "a-token-of-a-service";

/// Answers in turn; the last answer stays.
struct Script(Mutex<VecDeque<io::Result<Vec<IpAddr>>>>);

impl Script {
    fn new(answers: impl IntoIterator<Item = io::Result<Vec<IpAddr>>>) -> Self {
        Self(Mutex::new(answers.into_iter().collect()))
    }
}

impl Resolve for Script {
    async fn resolve(&self, host: &str) -> io::Result<Found> {
        assert_eq!(host, "blob-headless");
        let mut answers = self.0.lock().unwrap();
        let addresses = match answers.pop_front().unwrap()? {
            last if answers.is_empty() => {
                answers.push_back(Ok(last.clone()));
                last
            }
            next => next,
        };
        Ok(Found { addresses, lives: Duration::from_secs(1) })
    }
}

fn at(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn config(port: u16) -> GrpcClientConfig {
    let urls = vec![format!("dns+http://blob-headless:{port}").parse().unwrap()];
    let (service_token, deadline) = (SecretString::from(TOKEN), Duration::from_secs(5));
    GrpcClientConfig { urls, service_token, deadline, tls: None }
}

fn addresses(port: u16, last: &[u8]) -> Vec<String> {
    last.iter().map(|last| format!("http://127.0.0.{last}:{port}")).collect()
}

async fn until(channel: &GrpcChannel, wanted: &[String]) {
    let known = |known: &[Arc<Replica>]| known.iter().map(|it| it.address().to_owned()).collect::<Vec<_>>();
    channel.replicas.until(|replicas| known(replicas) == wanted).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_name_stands_for_is_followed_and_no_answer_changes_nothing() {
    let gone = || Err(io::Error::other("no such name"));
    let answers =
        [Ok(vec![at(1)]), Ok(vec![at(1), at(2)]), gone(), Ok(Vec::new()), gone(), Ok(vec![at(2), at(3)])];
    let channel = discovering(&config(1), Script::new(answers)).unwrap();

    until(&channel, &addresses(1, &[1])).await;
    until(&channel, &addresses(1, &[1, 2])).await;
    let began = tokio::time::Instant::now();
    until(&channel, &addresses(1, &[2, 3])).await;

    // Three lookups without an answer lie between, each of which is repeated soon.
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_call_does_not_wait_for_ever_until_a_replica_is_known() {
    let never = Script::new([Ok(Vec::new())]);
    let channel = discovering(&config(1), never).unwrap();

    let refused = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap_err();

    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
}

/// A server that has health and nothing else.
async fn listening(address: SocketAddr) -> (SocketAddr, Shutdown) {
    let options = ServerOptions {
        service_token: SecretString::from(TOKEN),
        max_concurrent: 64,
        request_timeout: Duration::from_secs(5),
        ids: Arc::new(Ulids::system()),
    };
    let listener = TcpListener::bind(address).await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
    let (server, stop) = (Server::new(Routes::default(), options), shutdown.clone());
    shutdown.spawn(async move { server.serve(listener, &stop).await.unwrap() });
    (address, shutdown)
}

/// A stream that lasts: a call in flight.
async fn stream(channel: &GrpcChannel) -> Streaming<HealthCheckResponse> {
    let watched = HealthClient::new(channel.clone()).watch(HealthCheckRequest::default()).await;
    watched.unwrap().into_inner()
}

fn loads(channel: &GrpcChannel) -> Vec<(String, usize)> {
    channel.replicas.known_now().iter().map(|it| (it.address().to_owned(), it.load())).collect()
}

#[tokio::test]
async fn a_replica_that_appears_takes_the_next_calls_and_one_that_goes_finishes_its_own() {
    let (first, _one) = listening(SocketAddr::new(at(1), 0)).await;
    let (_, _two) = listening(SocketAddr::new(at(2), first.port())).await;
    let answers = [Ok(vec![at(1)]), Ok(vec![at(1), at(2)]), Ok(vec![at(2)])];
    let channel = discovering(&config(first.port()), Script::new(answers)).unwrap();
    let both = addresses(first.port(), &[1, 2]);

    let mut old = stream(&channel).await;
    let _more = stream(&channel).await;
    until(&channel, &both).await;
    let new = [stream(&channel).await, stream(&channel).await];
    assert_eq!(loads(&channel), [(both[0].clone(), 2), (both[1].clone(), 2)]);

    until(&channel, &both[1..]).await;
    let last = stream(&channel).await;
    assert_eq!(loads(&channel), [(both[1].clone(), 3)]);
    assert!(old.message().await.unwrap().is_some(), "what was begun goes on");

    drop((new, last));
    assert_eq!(loads(&channel), [(both[1].clone(), 0)]);
}

#[tokio::test]
async fn calls_about_the_same_go_to_the_same_replica_while_it_is_not_much_busier() {
    let (first, _one) = listening(SocketAddr::new(at(1), 0)).await;
    let (second, _two) = listening(SocketAddr::new(at(1), 0)).await;
    let url = |address: SocketAddr| format!("http://{address}").parse().unwrap();
    let channel = fixed(&GrpcClientConfig { urls: vec![url(first), url(second)], ..config(1) }).unwrap();
    let about = async |key: &str| {
        let request = placed(streaming(HealthCheckRequest::default()), key);
        HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner()
    };

    let mut places = BTreeSet::new();
    for key in 0..32 {
        let key = format!("sha256:{key}");
        let streams = [about(&key).await, about(&key).await];
        let busy: Vec<_> = loads(&channel).into_iter().filter(|(_, load)| *load > 0).collect();
        assert_eq!(busy.len(), 1, "two streams of one key are at {busy:?}");
        places.insert(busy[0].0.clone());
        drop(streams);
    }
    assert_eq!(places.len(), 2, "all keys have one place");

    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(about("sha256:popular").await);
    }
    let counts: Vec<usize> = loads(&channel).into_iter().map(|(_, load)| load).collect();
    let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
    assert!(10 * most <= 13 * least, "{counts:?}");
}
