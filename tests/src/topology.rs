//! The two ways to run a hub.

/// How a hub is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// `bucket serve`.
    OneProcess,
    /// Five services, of which the edge and the blob service have two replicas each: the first edge talks to
    /// the first blob replica and the second to the second, so that going from edge to edge goes from replica
    /// to replica too.
    FiveServices,
}
