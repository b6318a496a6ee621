//! An HTTP port: HTTP/1.1 and HTTP/2 without TLS over an axum router, with limits on time and number, request
//! ids, one log line for each request, and the truth about who asks when a proxy stands in between.

mod admission;
pub(crate) mod body;
pub(crate) mod connection;
mod edge;
mod forwarded;
mod head;
mod leftover;
mod limits;

pub use admission::Refusal;
pub use body::BodyIdle;
pub use connection::PeerAddress;
pub use edge::{ClientAddress, Delivered, Edge, EdgeOptions, RefusalBody};
pub(crate) use edge::{panic_text, protocol};
pub use forwarded::{ExternalBase, ExternalBaseError, Scheme, TrustedProxies, client_address, external_base};
pub use limits::HttpLimits;
