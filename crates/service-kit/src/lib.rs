//! What every process needs and no domain needs: configuration, telemetry, shutdown, HTTP and gRPC, the clock
//! and randomness. It knows nothing of registries.

pub mod admin;
pub mod clock;
pub mod config;
#[cfg(feature = "fetch")]
pub mod exchange;
pub mod failpoint;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod grpc;
pub mod handoff;
pub mod http;
pub mod jose;
pub mod process;
pub mod random;
pub mod readiness;
pub mod reloaded;
pub mod request_id;
pub mod shutdown;
pub mod telemetry;
