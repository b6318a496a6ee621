//! The contracts between services, in domain types only. Each has a trait, a client that is the trait, a
//! server over any implementation, and a suite. The generated module is private, so that wire types cannot
//! leak: whoever depends on this crate sees neither tonic nor prost.

#![deny(missing_docs)]

pub mod auth;
pub mod blob;
pub mod metadata;
pub mod roles;

mod body;
mod call;
mod convert;
mod status;
mod stream;

pub use stream::{ByteStream, StreamError, empty_stream, stream_of};

/// The services that each process offers, for its gRPC port.
pub mod descriptors {
    use service_kit::grpc::Described;

    use crate::roles;

    /// Of the auth process.
    pub const AUTH: Described = Described {
        descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/auth.binpb")),
        roles: roles::OF_AUTH,
    };
    /// Of the blob process.
    pub const BLOB: Described = Described {
        descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/blob.binpb")),
        roles: roles::OF_BLOB,
    };
    /// Of the metadata process.
    pub const METADATA: Described = Described {
        descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/metadata.binpb")),
        roles: roles::OF_METADATA,
    };
}

#[allow(
    clippy::pedantic,
    clippy::large_enum_variant,
    missing_debug_implementations,
    unreachable_pub,
    missing_docs
)] // generated
mod wire {
    tonic::include_proto!("bucket.v1");
}
