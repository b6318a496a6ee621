//! What can be asked of a store, by name.

/// An operation of a store or of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Beginning an object.
    Write,
    /// Appending to one that was begun.
    Append,
    /// Making one visible.
    Commit,
    /// Making content of parts.
    Publish,
    /// Asking for a length.
    Size,
    /// Asking for the lengths of parts.
    Sizes,
    /// Beginning to read.
    Read,
    /// Removing the parts of an upload.
    RemoveUpload,
    /// Removing an object.
    Remove,
    /// Listing objects.
    List,
    /// Making an address for others.
    Redirect,
    /// Trying the store out.
    Check,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Write,
        Self::Append,
        Self::Commit,
        Self::Publish,
        Self::Size,
        Self::Sizes,
        Self::Read,
        Self::RemoveUpload,
        Self::Remove,
        Self::List,
        Self::Redirect,
        Self::Check,
    ];

    /// What metrics and errors call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Append => "append",
            Self::Commit => "commit",
            Self::Publish => "publish",
            Self::Size => "size",
            Self::Sizes => "sizes",
            Self::Read => "read",
            Self::RemoveUpload => "remove_upload",
            Self::Remove => "remove",
            Self::List => "list",
            Self::Redirect => "redirect",
            Self::Check => "check",
        }
    }
}
