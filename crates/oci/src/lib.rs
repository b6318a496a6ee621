//! The vocabulary: what the OCI and Docker registry specifications talk about, one file for each noun. Parsing
//! is constructing: a value of one of these types cannot be wrong. Pure: no I/O, no async, no clock, no logging.

#![deny(missing_docs)]

mod code;
mod content;
mod credential_id;
mod descriptor;
mod digest;
mod document;
mod event_id;
mod identity;
mod invitation_id;
mod manifest;
mod media_type;
mod name;
mod page;
mod pattern;
mod range;
mod reference;
mod repository_id;
mod scope;
mod session;
mod target;
mod text;

pub use code::Code;
pub use content::{ContentError, ContentId, Generation, Locator, Sign, StoreName};
pub use credential_id::CredentialId;
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, DigestError};
pub use event_id::EventId;
pub use identity::IdentityError;
pub use invitation_id::InvitationId;
pub use manifest::{MAX_DESCRIPTORS, MAX_MANIFEST_BYTES, ManifestError, ManifestFacts, Need, Needed};
pub use media_type::{ManifestKind, MediaType, MediaTypeError};
pub use name::{AccountName, NameError, Namespace, NamespacePath, RepositoryName, RobotName, TeamName};
pub use page::{PageSize, PageSizeError};
pub use pattern::{TagPattern, TagPatternError};
pub use range::{ByteRange, ContentRange, ContentRangeError, Span, Unsatisfiable};
pub use reference::{Reference, ReferenceError, Tag, TagError};
pub use repository_id::RepositoryId;
pub use scope::{Action, ActionError, Resource, Scope, ScopeError};
pub use session::SessionId;
pub use target::{Target, TargetError};
