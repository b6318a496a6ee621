//! Real HTTP/2 without a network, for suites: the same port and the same channel, over pipes in memory.

use std::{io, sync::Arc, time::Duration};

use http::HeaderValue;
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use tonic::{service::Routes, transport::Endpoint};

use super::{
    channel::{GrpcChannel, bearer, tuned},
    gate::Known,
    server::{ServerOptions, port},
};
use crate::{random::Ulids, shutdown::Shutdown};

/// What may be on its way in a pipe.
const PIPE_BYTES: usize = 1024 * 1024;

/// A channel to what `add` adds to no routes, with limits that no suite should meet.
#[allow(clippy::unused_async, reason = "the channel needs a runtime, and this says so")]
pub async fn in_memory(add: impl FnOnce(Routes) -> Routes) -> GrpcChannel {
    let options = ServerOptions {
        service_token: SecretString::from("known to both ends"),
        max_concurrent: 1024,
        request_timeout: Duration::from_secs(30),
        ids: Arc::new(Ulids::system()),
    };
    memory_pair(add(Routes::default()), options)
}

/// A channel to a port for `routes`, which ends with it. It must run within tokio.
pub fn memory_pair(routes: Routes, options: ServerOptions) -> GrpcChannel {
    // A token that cannot be sent is one that is not known.
    let authorization = bearer(&options.service_token).unwrap_or(HeaderValue::from_static(""));
    let port = port(routes, options, Known::default());
    let far = FarEnd(Shutdown::new());
    let connector = tower::service_fn(move |_: http::Uri| {
        let (near, pipe) = tokio::io::duplex(PIPE_BYTES);
        let (port, shutdown) = (port.clone(), far.0.clone());
        far.0.spawn(async move { port.converse(pipe, None, shutdown).await });
        async move { Ok::<_, io::Error>(TokioIo::new(near)) }
    });
    let channel = tuned(Endpoint::from_static("http://memory")).connect_with_connector_lazy(connector);

    GrpcChannel::to(channel, authorization)
}

/// The port's connections, which finish when the channel is gone.
struct FarEnd(Shutdown);

impl Drop for FarEnd {
    fn drop(&mut self) {
        self.0.begin();
    }
}
