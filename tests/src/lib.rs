//! What the tests of this package share: a hub of real processes in both topologies, real clients, and raw
//! HTTP where a client would hide what is on the wire. Nothing outlives the value that started it.

pub mod address;
pub mod api;
pub mod certificates;
pub mod docker;
pub mod engine;
pub mod flaky;
pub mod grpcurl;
pub mod hub;
pub mod image;
pub mod mailbox;
pub mod nginx;
pub mod openstack;
pub mod operator;
pub mod podman;
pub mod process;
pub mod provider;
pub mod raw;
pub mod seaweed;
pub mod service;
pub mod service_account;
pub mod skopeo;
pub mod strict;
pub mod topology;
pub mod tree;
pub mod wire;

pub use hub::Hub;
pub use service::Service;
pub use topology::Topology;
