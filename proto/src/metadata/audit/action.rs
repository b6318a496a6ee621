//! What can be done, in words: a noun, a dot, a verb. This release writes those of [`Action`]; it reads all that have
//! this form, because a later release may have written them.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Characters of an action, at most.
const LONGEST: usize = 64;

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What this release writes down.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $variant,)+
        }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// As the log has it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

actions! {
    /// An account was made.
    UserCreate = "user.create",
    /// Nobody may be this user any more.
    UserDisable = "user.disable",
    /// The user may be let in again.
    UserEnable = "user.enable",
    /// The user may more, or less, in the hub.
    UserRole = "user.role",
    /// The user has another password.
    UserPassword = "user.password",
    /// Something else is said of the user.
    UserProfile = "user.profile",
    /// A second factor was proposed, which does not count before it is confirmed.
    SecondFactorPropose = "second_factor.propose",
    /// A second factor counts from then on.
    SecondFactorPut = "second_factor.put",
    /// The user has no second factor any more.
    SecondFactorRemove = "second_factor.remove",
    /// The user has shown that mail to the address arrives.
    EmailVerify = "email.verify",
    /// A user may be signed in by the word of a provider.
    IdentityLink = "identity.link",
    /// A user is not signed in by the word of that provider any more.
    IdentityUnlink = "identity.unlink",
    /// Somebody was invited to make an account.
    InvitationCreate = "invitation.create",
    /// An invitation was taken back.
    InvitationRevoke = "invitation.revoke",
    /// An access token was made.
    TokenCreate = "token.create",
    /// An access token was revoked.
    TokenRevoke = "token.revoke",
    /// A robot was made.
    RobotCreate = "robot.create",
    /// A robot was revoked.
    RobotRevoke = "robot.revoke",
    /// Workloads may show their own tokens as the secret of a robot.
    TrustCreate = "trust.create",
    /// A robot is let in by tokens of workloads no more.
    TrustRevoke = "trust.revoke",
    /// A user has signed in.
    SessionCreate = "session.create",
    /// A session was ended before its time.
    SessionRevoke = "session.revoke",
    /// An organization was made.
    OrganizationCreate = "organization.create",
    /// Something else is said of the organization.
    OrganizationDescribe = "organization.describe",
    /// A user was made a member, or has another role.
    MemberPut = "member.put",
    /// A user is no member any more.
    MemberRemove = "member.remove",
    /// A team was made or described.
    TeamPut = "team.put",
    /// A team was removed.
    TeamRemove = "team.remove",
    /// A member was put into a team.
    TeamMemberPut = "team_member.put",
    /// A member was taken out of a team.
    TeamMemberRemove = "team_member.remove",
    /// A user or a team was given a right on a repository.
    GrantPut = "grant.put",
    /// A right on a repository was taken away.
    GrantRemove = "grant.remove",
    /// A repository was made.
    RepositoryCreate = "repository.create",
    /// A repository can be seen by others than before.
    RepositoryVisibility = "repository.visibility",
    /// Something else is said of the repository.
    RepositoryDescribe = "repository.describe",
    /// A repository is called otherwise, perhaps in another namespace.
    RepositoryMove = "repository.move",
    /// A repository of another namespace was transferred here.
    RepositoryReceive = "repository.receive",
    /// A repository was deleted.
    RepositoryDelete = "repository.delete",
    /// A namespace may use more, or fewer, bytes.
    QuotaPut = "quota.put",
    /// A namespace or a repository has other rules for tags.
    RulesPut = "rules.put",
    /// A namespace or a repository has no rules of its own any more.
    RulesRemove = "rules.remove",
    /// A tag was deleted.
    TagDelete = "tag.delete",
    /// A tag names again what it named.
    TagRestore = "tag.restore",
    /// A manifest was deleted, with its tags.
    ManifestDelete = "manifest.delete",
    /// A deleted manifest was brought back.
    ManifestRestore = "manifest.restore",
    /// A blob was removed from a repository.
    BlobDelete = "blob.delete",
    /// A key was made that signs tokens.
    SigningKeyCreate = "signing_key.create",
    /// A key that signs tokens is to be followed by another one.
    SigningKeyRetire = "signing_key.retire",
    /// A key does not sign or verify tokens any more.
    SigningKeyRemove = "signing_key.remove",
    /// What did not agree with the rest of what is kept was mended.
    MetadataRepair = "metadata.repair",
    /// A dump of all metadata was begun.
    MetadataDump = "metadata.dump",
}

/// What was done, also what only later releases do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActionName(Cow<'static, str>);

/// What is to be found: an action, `member.put`, or all of a noun, `member`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionFilter(String);

/// Why a text is no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no action: write a noun and a verb such as member.put{or}")]
pub struct ActionError {
    text: String,
    or: &'static str,
}

impl ActionError {
    fn of(text: &str, or: &'static str) -> Self {
        Self { text: text.chars().take(LONGEST).collect(), or }
    }
}

impl ActionName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ActionFilter {
    /// Whether `action` is meant.
    pub fn matches(&self, action: &ActionName) -> bool {
        let rest = action.as_str().strip_prefix(&self.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl From<Action> for ActionName {
    fn from(action: Action) -> Self {
        Self(Cow::Borrowed(action.name()))
    }
}

impl From<ActionName> for String {
    fn from(name: ActionName) -> Self {
        name.0.into_owned()
    }
}

impl TryFrom<String> for ActionName {
    type Error = ActionError;

    fn try_from(text: String) -> Result<Self, ActionError> {
        text.parse()
    }
}

impl FromStr for ActionName {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let good = text.len() <= LONGEST
            && text.split_once('.').is_some_and(|(noun, verb)| is_word(noun) && is_word(verb));
        if good { Ok(Self(Cow::Owned(text.to_owned()))) } else { Err(ActionError::of(text, "")) }
    }
}

impl FromStr for ActionFilter {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let is_noun = text.len() <= LONGEST && is_word(text);
        if is_noun || text.parse::<ActionName>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(ActionError::of(text, ", or a noun such as member"))
        }
    }
}

fn is_word(text: &str) -> bool {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    starts && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

impl fmt::Display for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for ActionFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, ActionFilter, ActionName};

    #[test]
    fn every_action_has_a_name_of_its_own_that_reads_back() {
        let mut names: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        for name in &names {
            assert_eq!(name.parse::<ActionName>().unwrap().as_str(), *name);
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn what_a_later_release_does_is_an_action_too_and_what_is_none_is_refused() {
        assert!("webhook.send_again".parse::<ActionName>().is_ok());
        let long = format!("{}.put", "x".repeat(61));
        for bad in ["", "member", "member.", ".put", "Member.put", "a.b.c", "member put", "1.put", &long] {
            assert!(bad.parse::<ActionName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_noun_means_all_of_it_and_nothing_that_only_begins_so() {
        let name = |action: Action| ActionName::from(action);
        let team: ActionFilter = "team".parse().unwrap();
        assert!(team.matches(&name(Action::TeamPut)) && team.matches(&name(Action::TeamRemove)));
        assert!(!team.matches(&name(Action::TeamMemberPut)));
        let one: ActionFilter = "team.put".parse().unwrap();
        assert!(one.matches(&name(Action::TeamPut)) && !one.matches(&name(Action::TeamRemove)));
        for bad in ["", "Team", "team.", "team.*", "team put"] {
            assert!(bad.parse::<ActionFilter>().is_err(), "{bad}");
        }
    }
}
