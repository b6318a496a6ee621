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

/// File descriptor sets for gRPC reflection, one for each process: with the services that it offers.
pub mod descriptors {
    /// Of the auth process.
    pub const AUTH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/auth.binpb"));
    /// Of the blob process.
    pub const BLOB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/blob.binpb"));
    /// Of the metadata process.
    pub const METADATA: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/metadata.binpb"));
}

#[allow(clippy::pedantic, missing_debug_implementations, unreachable_pub, missing_docs)] // generated
mod wire {
    tonic::include_proto!("bucket.v1");
}
