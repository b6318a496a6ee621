//! gRPC between services: a port that knows its callers, with bounds and deadlines, and channels to such ports. Frames
//! and windows are sized for blob bytes. It knows no service but health and reflection.

mod accounts;
mod caller;
mod calls;
mod channel;
mod deadline;
mod described;
mod gate;
mod memory;
mod reflected;
mod server;
mod tls;

pub use tonic::service::Routes;

pub use accounts::{AUDIENCE, Accounts, service_token};
pub use caller::{CallerError, Role, ServiceAccount, ServiceName, calling_account};
pub use channel::{ConnectError, GrpcChannel, connect, placed, streaming, unary};
pub use described::Described;
pub use memory::{in_memory, memory_pair};
pub use server::{Server, ServerError, ServerOptions};
pub use tls::Tls;

use std::time::Duration;

/// One frame. HTTP/2's own default of 16 KiB costs more than twice the CPU time for a blob.
const FRAME_BYTES: u32 = 256 * 1024;

/// What may be on its way in one stream.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// What may be on its way in all streams of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// A peer that is silent for this long is asked whether it lives.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// And has this long to answer.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
