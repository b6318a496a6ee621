//! What a replica says of itself, followed as long as it is a replica (grpc.health.v1): one that ends says so before it
//! takes no more calls, and one that cannot be reached is found without anybody's call.

use std::sync::Arc;

use tokio::time::sleep;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::replica::{REST, Serves, Standing};

/// Tells `standing` what is said at `channel`, again and again.
pub(super) async fn follow(channel: Channel, standing: Arc<Standing>) {
    let mut service = HealthClient::new(channel);
    loop {
        match listen(&mut service, &standing).await {
            // What was said last still holds: a server that ends hangs up.
            Ok(()) => {}
            Err(status) if status.code() == Code::Unimplemented => return standing.serves(Serves::Calls),
            Err(_) => standing.serves(Serves::Nobody),
        }
        sleep(REST).await;
    }
}

/// Listens until the replica hangs up.
async fn listen(service: &mut HealthClient<Channel>, standing: &Standing) -> Result<(), Status> {
    let mut words = service.watch(HealthCheckRequest::default()).await?.into_inner();
    while let Some(said) = words.message().await? {
        let serves = if said.status() == ServingStatus::Serving { Serves::Calls } else { Serves::Nobody };
        standing.serves(serves);
    }
    Ok(())
}
