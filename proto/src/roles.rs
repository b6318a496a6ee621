//! The roles of service accounts: what each is for, and the one that each method of our services needs. A program of
//! another team has those that it needs; the hub's own services need none.

/// Reading what repositories hold, and how they are set. Blob bytes need `blob.read` besides.
pub const METADATA_READ: &str = "metadata.read";
/// Writing what repositories hold, and how they are set.
pub const METADATA_WRITE: &str = "metadata.write";
/// Reading what happens in repositories, as a reader of the outbox.
pub const METADATA_EVENTS: &str = "metadata.events";
/// Reading who is there: users, organizations, teams, rights, credentials without their secrets.
pub const ACCOUNTS_READ: &str = "accounts.read";
/// Writing that: whoever has it can give rights to everybody.
pub const ACCOUNTS_WRITE: &str = "accounts.write";
/// What tokens are made from: hashes of passwords, sealed signing keys. For an auth service, and for nobody else.
pub const ACCOUNTS_SECRETS: &str = "accounts.secrets";
/// Removing what nobody needs any more, and mending what a crash has left.
pub const RECLAIM: &str = "reclaim";
/// Dumping everything that metadata has, with hashes of passwords and sealed keys.
pub const BACKUP: &str = "backup";
/// Reading blob bytes, each with a grant from metadata.
pub const BLOB_READ: &str = "blob.read";
/// Writing blob bytes.
pub const BLOB_WRITE: &str = "blob.write";
/// Logging users in at the registry, and the keys that verify their tokens.
pub const AUTH_TOKENS: &str = "auth.tokens";
/// Asking on behalf of people who show their password or secret.
pub const AUTH_IDENTITIES: &str = "auth.identities";

/// All there are.
pub const ALL: [&str; 12] = [
    METADATA_READ,
    METADATA_WRITE,
    METADATA_EVENTS,
    ACCOUNTS_READ,
    ACCOUNTS_WRITE,
    ACCOUNTS_SECRETS,
    RECLAIM,
    BACKUP,
    BLOB_READ,
    BLOB_WRITE,
    AUTH_TOKENS,
    AUTH_IDENTITIES,
];

/// Of the methods of the auth process.
pub(crate) const OF_AUTH: &[(&str, &str)] = &[
    ("bucket.v1.AuthService/Token", AUTH_TOKENS),
    ("bucket.v1.AuthService/Keys", AUTH_TOKENS),
    ("bucket.v1.IdentityService/Authorize", AUTH_IDENTITIES),
    ("bucket.v1.IdentityService/SignUp", AUTH_IDENTITIES),
    ("bucket.v1.IdentityService/ChangePassword", AUTH_IDENTITIES),
    ("bucket.v1.IdentityService/SignIn", AUTH_IDENTITIES),
    ("bucket.v1.IdentityService/IssueCredential", AUTH_IDENTITIES),
    ("bucket.v1.IdentityService/Revoked", AUTH_IDENTITIES),
    ("bucket.v1.FederationService/Providers", AUTH_IDENTITIES),
    ("bucket.v1.FederationService/BeginFlow", AUTH_IDENTITIES),
    ("bucket.v1.FederationService/FinishFlow", AUTH_IDENTITIES),
    ("bucket.v1.FederationService/MakeTrust", AUTH_IDENTITIES),
    ("bucket.v1.FederationService/Exchange", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/SecondFactor", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/StartSecondFactor", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/FinishSecondFactor", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/DropSecondFactor", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/AskVerification", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/ConfirmEmail", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/AskReset", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/Reset", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/Invite", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/Invited", AUTH_IDENTITIES),
    ("bucket.v1.SelfService/Uninvite", AUTH_IDENTITIES),
];

/// Of the methods of the blob process.
pub(crate) const OF_BLOB: &[(&str, &str)] = &[
    ("bucket.v1.BlobService/Append", BLOB_WRITE),
    ("bucket.v1.BlobService/Finish", BLOB_WRITE),
    ("bucket.v1.BlobService/Open", BLOB_READ),
    ("bucket.v1.BlobService/Discard", BLOB_WRITE),
];

/// Of the methods of the metadata process.
pub(crate) const OF_METADATA: &[(&str, &str)] = &[
    ("bucket.v1.UploadService/Start", METADATA_WRITE),
    ("bucket.v1.UploadService/Mount", METADATA_WRITE),
    ("bucket.v1.UploadService/Session", METADATA_READ),
    ("bucket.v1.UploadService/Advance", METADATA_WRITE),
    ("bucket.v1.UploadService/Hold", METADATA_WRITE),
    ("bucket.v1.UploadService/Link", METADATA_WRITE),
    ("bucket.v1.UploadService/Cancel", METADATA_WRITE),
    ("bucket.v1.RepositoryService/Blob", METADATA_READ),
    ("bucket.v1.RepositoryService/DeleteBlob", METADATA_WRITE),
    ("bucket.v1.RepositoryService/Quarantine", METADATA_WRITE),
    ("bucket.v1.RepositoryService/Manifest", METADATA_READ),
    ("bucket.v1.RepositoryService/PutManifest", METADATA_WRITE),
    ("bucket.v1.RepositoryService/DeleteManifest", METADATA_WRITE),
    ("bucket.v1.RepositoryService/Restore", METADATA_WRITE),
    ("bucket.v1.RepositoryService/Referrers", METADATA_READ),
    ("bucket.v1.RepositoryService/Tags", METADATA_READ),
    ("bucket.v1.RepositoryService/Repositories", METADATA_READ),
    ("bucket.v1.RepositoryService/Search", METADATA_READ),
    ("bucket.v1.RepositoryService/TagHistory", METADATA_READ),
    ("bucket.v1.RuleService/Rules", METADATA_READ),
    ("bucket.v1.RuleService/PutRules", METADATA_WRITE),
    ("bucket.v1.RuleService/PreviewRules", METADATA_READ),
    ("bucket.v1.AccountService/CreateAccount", ACCOUNTS_WRITE),
    ("bucket.v1.AccountService/AccessFacts", ACCOUNTS_SECRETS),
    ("bucket.v1.AccountService/FoundSigningKey", ACCOUNTS_SECRETS),
    ("bucket.v1.AccountService/SigningKeys", ACCOUNTS_SECRETS),
    ("bucket.v1.AccountService/SucceedSigningKey", ACCOUNTS_SECRETS),
    ("bucket.v1.AccountService/RetireSigningKey", ACCOUNTS_SECRETS),
    ("bucket.v1.AccountService/RemoveSigningKeys", ACCOUNTS_SECRETS),
    ("bucket.v1.UserService/User", ACCOUNTS_READ),
    ("bucket.v1.UserService/Users", ACCOUNTS_READ),
    ("bucket.v1.UserService/ChangeUser", ACCOUNTS_WRITE),
    ("bucket.v1.CredentialService/PutCredential", ACCOUNTS_WRITE),
    ("bucket.v1.CredentialService/Credentials", ACCOUNTS_READ),
    ("bucket.v1.CredentialService/RevokeCredential", ACCOUNTS_WRITE),
    ("bucket.v1.CredentialService/Used", ACCOUNTS_WRITE),
    ("bucket.v1.CredentialService/Revocations", ACCOUNTS_READ),
    ("bucket.v1.RepositorySettingsService/CreateRepository", METADATA_WRITE),
    ("bucket.v1.RepositorySettingsService/Repository", METADATA_READ),
    ("bucket.v1.RepositorySettingsService/ChangeRepository", METADATA_WRITE),
    ("bucket.v1.RepositorySettingsService/MoveRepository", METADATA_WRITE),
    ("bucket.v1.RepositorySettingsService/DeleteRepository", METADATA_WRITE),
    ("bucket.v1.AuditLogService/AuditEntries", ACCOUNTS_READ),
    ("bucket.v1.QuotaService/Quota", METADATA_READ),
    ("bucket.v1.QuotaService/PutQuota", ACCOUNTS_WRITE),
    ("bucket.v1.AvatarService/Avatar", ACCOUNTS_READ),
    ("bucket.v1.AvatarService/PutAvatar", ACCOUNTS_WRITE),
    ("bucket.v1.ProofService/SecondFactors", ACCOUNTS_SECRETS),
    ("bucket.v1.ProofService/ProposeSecondFactor", ACCOUNTS_SECRETS),
    ("bucket.v1.ProofService/ConfirmSecondFactor", ACCOUNTS_SECRETS),
    ("bucket.v1.ProofService/SpendCode", ACCOUNTS_SECRETS),
    ("bucket.v1.ProofService/RemoveSecondFactor", ACCOUNTS_SECRETS),
    ("bucket.v1.ProofService/PutTicket", ACCOUNTS_SECRETS),
    ("bucket.v1.ProofService/VerifyEmail", ACCOUNTS_SECRETS),
    ("bucket.v1.ProofService/ResetPassword", ACCOUNTS_SECRETS),
    ("bucket.v1.ProofService/UsersOfEmail", ACCOUNTS_SECRETS),
    ("bucket.v1.ProofService/RehashPassword", ACCOUNTS_SECRETS),
    ("bucket.v1.InvitationService/PutInvitation", ACCOUNTS_SECRETS),
    ("bucket.v1.InvitationService/Invitations", ACCOUNTS_READ),
    ("bucket.v1.InvitationService/RevokeInvitation", ACCOUNTS_WRITE),
    ("bucket.v1.InvitationService/RedeemInvitation", ACCOUNTS_SECRETS),
    ("bucket.v1.FederatedIdentityService/IdentityUser", ACCOUNTS_READ),
    ("bucket.v1.FederatedIdentityService/CreateFederatedAccount", ACCOUNTS_SECRETS),
    ("bucket.v1.FederatedIdentityService/LinkIdentity", ACCOUNTS_SECRETS),
    ("bucket.v1.FederatedIdentityService/Identities", ACCOUNTS_READ),
    ("bucket.v1.FederatedIdentityService/UnlinkIdentity", ACCOUNTS_WRITE),
    ("bucket.v1.OrganizationService/CreateOrganization", ACCOUNTS_WRITE),
    ("bucket.v1.OrganizationService/Organization", ACCOUNTS_READ),
    ("bucket.v1.OrganizationService/DescribeOrganization", ACCOUNTS_WRITE),
    ("bucket.v1.OrganizationService/Organizations", ACCOUNTS_READ),
    ("bucket.v1.OrganizationService/OrganizationsOf", ACCOUNTS_READ),
    ("bucket.v1.OrganizationService/Members", ACCOUNTS_READ),
    ("bucket.v1.OrganizationService/PutMember", ACCOUNTS_WRITE),
    ("bucket.v1.OrganizationService/RemoveMember", ACCOUNTS_WRITE),
    ("bucket.v1.OrganizationService/Teams", ACCOUNTS_READ),
    ("bucket.v1.OrganizationService/PutTeam", ACCOUNTS_WRITE),
    ("bucket.v1.OrganizationService/RemoveTeam", ACCOUNTS_WRITE),
    ("bucket.v1.OrganizationService/TeamMembers", ACCOUNTS_READ),
    ("bucket.v1.OrganizationService/SetTeamMember", ACCOUNTS_WRITE),
    ("bucket.v1.OrganizationService/Grants", ACCOUNTS_READ),
    ("bucket.v1.OrganizationService/Grant", ACCOUNTS_WRITE),
    ("bucket.v1.OutboxService/AddReader", METADATA_EVENTS),
    ("bucket.v1.OutboxService/RemoveReader", METADATA_EVENTS),
    ("bucket.v1.OutboxService/Readers", METADATA_READ),
    ("bucket.v1.OutboxService/Events", METADATA_EVENTS),
    ("bucket.v1.OutboxService/Acknowledge", METADATA_EVENTS),
    ("bucket.v1.ReclaimService/TakeOffice", RECLAIM),
    ("bucket.v1.ReclaimService/Unlink", RECLAIM),
    ("bucket.v1.ReclaimService/Reap", RECLAIM),
    ("bucket.v1.ReclaimService/Garbage", METADATA_READ),
    ("bucket.v1.ReclaimService/ForgetGarbage", RECLAIM),
    ("bucket.v1.ReclaimService/StaleUploads", METADATA_READ),
    ("bucket.v1.ReclaimService/ForgetUploads", RECLAIM),
    ("bucket.v1.ReclaimService/Audit", RECLAIM),
    ("bucket.v1.ReclaimService/Survey", METADATA_READ),
    ("bucket.v1.ReclaimService/Why", METADATA_READ),
    ("bucket.v1.ReclaimService/Retain", RECLAIM),
    ("bucket.v1.ReclaimService/Purge", RECLAIM),
    ("bucket.v1.IntegrityService/Check", RECLAIM),
    ("bucket.v1.BackupService/Dump", BACKUP),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;
    use service_kit::grpc::Described;

    use super::ALL;
    use crate::descriptors::{AUTH, BLOB, METADATA};

    fn methods(described: &Described) -> BTreeSet<String> {
        let set = FileDescriptorSet::decode(described.descriptors).unwrap();
        let services = set.file.iter().flat_map(|file| file.service.iter().map(move |one| (file, one)));
        let paths = services.flat_map(|(file, service)| {
            let path = move |name: &str| format!("{}.{}/{name}", file.package(), service.name());
            service.method.iter().map(move |method| path(method.name()))
        });
        paths.collect()
    }

    #[test]
    fn every_method_needs_a_role_and_no_other_is_named() {
        for described in [&AUTH, &BLOB, &METADATA] {
            let named: BTreeSet<String> =
                described.roles.iter().map(|(method, _)| (*method).to_owned()).collect();
            assert_eq!(named, methods(described));
            assert_eq!(named.len(), described.roles.len(), "one is named twice");
        }
    }

    #[test]
    fn every_role_is_needed_for_something() {
        let needed: BTreeSet<&str> = [AUTH, BLOB, METADATA]
            .iter()
            .flat_map(|described| described.roles)
            .map(|(_, role)| *role)
            .collect();
        assert_eq!(needed, BTreeSet::from(ALL));
    }
}
