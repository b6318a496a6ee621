//! In what ways something may not agree, each with what it means for whoever runs the hub, and what helps.

macro_rules! kinds {
    ($($variant:ident = $name:literal: $meaning:literal,)+) => {
        /// In what way something does not agree.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $meaning] $variant,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// As programs read it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it means, and what helps where it is not mended.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)+
                }
            }
        }
    };
}

kinds! {
    Unreadable = "unreadable": "it cannot be read as what it should be: restore it from a backup, or write it again",
    BlobWithoutBytes = "blob.without_bytes": "it is linked, and its bytes are gone or damaged: the next push of it heals it",
    BlobSize = "blob.size": "its link and its content disagree about its size: push it again",
    BlobUnreferenced = "blob.unreferenced": "its content does not know that it is linked, and might be reclaimed",
    BlobReferencedAlone = "blob.referenced_alone": "content is kept for a link that is not there",
    BlobUnlisted = "blob.unlisted": "no manifest uses it, and it is not listed to be unlinked",
    BlobInUse = "blob.in_use": "a manifest uses it, and it is listed to be unlinked",
    BlobListedAlone = "blob.listed_alone": "it is listed to be unlinked, and is not what the list says",
    BytesMiscounted = "bytes.miscounted": "the number of bytes is not the sum of what is linked",
    GarbageInUse = "garbage.in_use": "its bytes are in use and queued to be deleted",
    ManifestIncomplete = "manifest.incomplete": "it needs what is not here, and cannot be pulled whole: push that again",
    ManifestEdge = "manifest.edge": "what it needs does not know that it is needed, and might go",
    ManifestEdgeAlone = "manifest.edge_alone": "something is kept for a manifest that does not need it or is not there",
    ManifestUnlisted = "manifest.unlisted": "it has no tag, and no rule for such manifests would find it",
    ManifestUntimed = "manifest.untimed": "it has no tag, and does not say since when",
    ManifestPart = "manifest.part": "a push or a deletion that was cut off has left a part of it",
    ReferrerUnlisted = "referrer.unlisted": "it has a subject that does not list it",
    ReferrerListedAlone = "referrer.listed_alone": "it is listed under a subject that it does not have, or is not there",
    TagWithoutManifest = "tag.without_manifest": "it names a manifest that is not here: push it again, or delete the tag",
    TagUnlisted = "tag.unlisted": "it exists, and is missing in a list that it belongs into",
    TagUntimed = "tag.untimed": "it does not say when it was pushed",
    TagListedAlone = "tag.listed_alone": "a list has it, and it does not exist, or is not what the list says",
    TrashListedAlone = "trash.listed_alone": "the trash lists a manifest that is not in it, or is there again",
    TrashUnreleased = "trash.unreleased": "a manifest cannot be restored any more, and still keeps what it needed",
    RepositoryUnlisted = "repository.unlisted": "it exists, and is missing in a list that it belongs into",
    RepositoryWords = "repository.words": "it is not found by the words of its name and description, or by others too",
    RepositoryListedAlone = "repository.listed_alone": "a list has it, and it does not exist there",
    RepositoryTwice = "repository.twice": "it has a public and a private record; the private one counts. If they are of two repositories, decide which one stays",
    RepositoryRenamed = "repository.renamed": "a record is left of a name that the repository has no more",
    RepositoryOwnerless = "repository.ownerless": "it is in a namespace that does not exist, and belongs to nobody: make the user or the organization again",
    NameUnclaimed = "name.unclaimed": "its name is not claimed, and somebody else might take it",
    NameClaimedOtherwise = "name.claimed_otherwise": "its name is claimed by something of another kind: rename one of them",
    NamespaceListedAlone = "namespace.listed_alone": "a list has it, and it was never made to the end",
    AdministratorUnlisted = "administrator.unlisted": "it administers the hub, and does not count as one who stays",
    AdministratorListedAlone = "administrator.listed_alone": "it is listed as an administrator, and is none",
    EmailUnlisted = "email.unlisted": "a verified address does not lead to its user",
    EmailListedAlone = "email.listed_alone": "an address leads to a user who has not verified it",
    CredentialListedAlone = "credential.listed_alone": "a list has a credential that does not exist",
    RecoveryCodesAlone = "recovery_codes.alone": "there are recovery codes of a second factor that does not count",
    IdentityListedAlone = "identity.listed_alone": "a user's list has an identity that the user does not have",
    MemberUnlisted = "member.unlisted": "who has a role is missing in a list of members or organizations",
    MemberListedAlone = "member.listed_alone": "a list has a member who has no such role",
    OrganizationOwnerless = "organization.ownerless": "nobody owns it: make somebody an owner",
    TeamUnnamed = "team.unnamed": "its record does not say how it is called",
    TeamMemberUnlisted = "team_member.unlisted": "the team does not list somebody who is in it",
    TeamMemberAlone = "team_member.alone": "somebody is in a team that is gone, or without being a member of its organization",
    InvitationListedAlone = "invitation.listed_alone": "a list has an invitation that does not exist",
    UploadListedAlone = "upload.listed_alone": "an upload is listed that has ended, or was never begun to the end",
    PurgeListedAlone = "purge.listed_alone": "a repository is listed to be removed that is not deleted",
}
