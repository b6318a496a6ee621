//! What a port offers, and the role that each method needs: said where the services are described, checked once at
//! the gate.

use std::{collections::HashMap, sync::Arc};

use tonic::Status;

use super::caller::Caller;

/// Tools may see what there is, whatever roles they have.
const REFLECTION: &str = "/grpc.reflection.";

/// The services of a process.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// An encoded file descriptor set.
    pub descriptors: &'static [u8],
    /// The role that a service account needs, by `package.Service/Method`. A method that is not named is for the hub's
    /// own services alone.
    pub roles: &'static [(&'static str, &'static str)],
}

/// The role that each method needs, by its path.
#[derive(Debug, Clone, Default)]
pub(super) struct Needed(Arc<HashMap<String, &'static str>>);

impl Needed {
    pub(super) fn by(described: &[Described]) -> Self {
        let all = described.iter().flat_map(|described| described.roles);
        Self(Arc::new(all.map(|(method, role)| (format!("/{method}"), *role)).collect()))
    }

    /// Whether `caller` may call the method at `path`.
    pub(super) fn check(&self, caller: &Caller, path: &str) -> Result<(), Status> {
        let Caller::Account(account) = caller else {
            return Ok(());
        };
        if path.starts_with(REFLECTION) {
            return Ok(());
        }
        // Not "denied": what does not exist must not fill the metrics.
        let needed =
            self.0.get(path).ok_or_else(|| Status::unimplemented("there is no such method for you"))?;
        if account.roles.iter().any(|role| role.covers(needed)) {
            return Ok(());
        }
        tracing::warn!(caller = %account.name, rpc = path, needed, "a call was refused: its caller lacks the role");
        Err(Status::permission_denied(format!("{} needs the role {needed} for {path}", account.name)))
    }
}
