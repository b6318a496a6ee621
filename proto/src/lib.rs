//! The contracts between services, in domain types only. Each has a trait, a client that is the trait, a
//! server over any implementation, and a suite. The generated module is private, so that wire types cannot
//! leak: whoever depends on this crate sees neither tonic nor prost.

#![deny(missing_docs)]

pub mod auth;
pub mod blob;
pub mod metadata;

mod body;
mod call;
mod convert;
mod status;
mod stream;

pub use stream::{ByteStream, StreamError, empty_stream, stream_of};

/// The file descriptor set of all contracts, for gRPC reflection and for comparing releases.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

#[allow(clippy::pedantic, missing_debug_implementations, unreachable_pub, missing_docs)] // generated
mod wire {
    tonic::include_proto!("bucket.v1");
}
