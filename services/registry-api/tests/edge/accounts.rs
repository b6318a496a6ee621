//! Users, organizations, credentials and settings of repositories, which write down what they are told to do, and
//! identities that permit everything unless a test says otherwise.

use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{AccountName, CredentialId, EventId, Namespace, RepositoryName, TeamName};
use proto::{
    auth::{
        Identities, IdentityError, Subject,
        identities::{
            Asker, Deed, IssuedCredential, NewAccount, PasswordChange, Permit, Reads, WantedCredential,
        },
    },
    metadata::{
        AccountError, Actor, AuditLog, Credentials, More, Organizations, Page, PageRequest, RepositoryError,
        RepositorySettings, Standing, Users, Via, Visibility,
        accounts::Role,
        audit::{Entries, WantedEntries},
        credentials::{
            Credential, CredentialOwner, CredentialUse, Holder, Limits, NewCredential, Revocation,
        },
        organizations::{Grantee, Level, MemberRole, Membership, Organization, OrganizationProfile, Team},
        settings::{RepositoryChange, RepositoryDetails},
        users::{Profile, User, UserChange},
    },
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    repositories::page_of,
    services::{Faults, When},
};

pub(crate) const SECRET: &str = "bucket_pat_5ec2e7";
pub(crate) const ID: &str = "01JH3KAAAAAAAAAAAAAAAAAAAA";

pub(crate) fn id() -> CredentialId {
    ID.parse().unwrap()
}

pub(crate) fn credential(holder: Holder) -> Credential {
    Credential {
        id: id(),
        holder,
        label: "ci".to_owned(),
        limits: Limits::none(),
        created: Timestamp::UNIX_EPOCH,
        expires: None,
        used: None,
        trust: None,
    }
}

pub(crate) struct FakeIdentities {
    pub(crate) faults: Faults<IdentityError>,
    pub(crate) subject: Mutex<Subject>,
    pub(crate) role: Mutex<Role>,
    pub(crate) reads: Mutex<Reads>,
    pub(crate) askers: Mutex<Vec<Asker>>,
    pub(crate) deeds: Mutex<Vec<Deed>>,
    /// What is not permitted, and what is said then.
    pub(crate) refused: Mutex<Vec<(Deed, IdentityError)>>,
    pub(crate) done: Mutex<Vec<String>>,
    pub(crate) revoked: Mutex<Vec<Revocation>>,
    pub(crate) read_after: Mutex<Vec<Option<EventId>>>,
}

impl Default for FakeIdentities {
    fn default() -> Self {
        Self {
            faults: Faults::default(),
            subject: Mutex::new(Subject::User("ann".parse().unwrap())),
            role: Mutex::new(Role::User),
            reads: Mutex::new(Reads::All),
            askers: Mutex::default(),
            deeds: Mutex::default(),
            refused: Mutex::default(),
            done: Mutex::default(),
            revoked: Mutex::default(),
            read_after: Mutex::default(),
        }
    }
}

impl FakeIdentities {
    pub(crate) fn begin(&self, call: &'static str, asker: &Asker) -> Result<(), IdentityError> {
        self.askers.lock().unwrap().push(asker.clone());
        self.faults.check(call, When::Before)
    }

    pub(crate) fn done(&self, what: String) {
        self.done.lock().unwrap().push(what);
    }
}

#[async_trait]
impl Identities for FakeIdentities {
    async fn authorize(&self, asker: &Asker, deed: &Deed) -> Result<Permit, IdentityError> {
        self.begin("authorize", asker)?;
        self.deeds.lock().unwrap().push(deed.clone());
        if let Some((_, error)) = self.refused.lock().unwrap().iter().find(|(refused, _)| refused == deed) {
            return Err(error.clone());
        }
        let subject = self.subject.lock().unwrap().clone();
        let actor =
            Actor { subject: subject.clone(), via: Via::Service, address: asker.address, credential: None };
        let (role, reads) = (*self.role.lock().unwrap(), self.reads.lock().unwrap().clone());
        Ok(Permit { subject, role, credential: Some(id()), actor, reads })
    }

    async fn sign_up(&self, asker: &Asker, new: &NewAccount) -> Result<(), IdentityError> {
        self.begin("sign_up", asker)?;
        let NewAccount { name, password, email, role, invitation } = new;
        let by = invitation.as_ref().map(|secret| format!(" by {}", secret.expose_secret()));
        let by = by.unwrap_or_default();
        self.done(format!("sign_up {name} {} {email} {role:?}{by}", password.expose_secret()));
        Ok(())
    }

    async fn change_password(&self, asker: &Asker, change: &PasswordChange) -> Result<(), IdentityError> {
        self.begin("change_password", asker)?;
        let old = change.old.as_ref().map(|old| old.expose_secret().to_owned());
        self.done(format!("change_password {} {old:?} {}", change.name, change.new.expose_secret()));
        Ok(())
    }

    async fn sign_in(
        &self,
        asker: &Asker,
        code: Option<&SecretString>,
    ) -> Result<IssuedCredential, IdentityError> {
        self.begin("sign_in", asker)?;
        self.done(format!("sign_in {:?}", code.map(SecretString::expose_secret)));
        let expires = Some(Timestamp::constant(1_767_225_600, 0));
        let credential = Credential { expires, ..credential(Holder::Session("ann".parse().unwrap())) };
        Ok(IssuedCredential { secret: SECRET.into(), credential })
    }

    async fn issue_credential(
        &self,
        asker: &Asker,
        wanted: &WantedCredential,
    ) -> Result<IssuedCredential, IdentityError> {
        self.begin("issue_credential", asker)?;
        let WantedCredential { robot, label, limits, expires } = wanted.clone();
        let names: Vec<_> = limits.repositories.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        let ends = expires.map(|expires| expires.to_string());
        self.done(format!("issue {robot:?} {label:?} {names:?} {:?} {ends:?}", limits.actions));
        let holder = robot.map_or_else(|| Holder::User("ann".parse().unwrap()), Holder::Robot);
        let credential = Credential { label, limits, expires, ..credential(holder) };
        Ok(IssuedCredential { secret: SECRET.into(), credential })
    }

    async fn revocations(&self, after: Option<&EventId>) -> Result<Vec<Revocation>, IdentityError> {
        self.read_after.lock().unwrap().push(after.cloned());
        self.faults.check("revocations", When::Before)?;
        let revoked = self.revoked.lock().unwrap();
        let told = revoked.iter().filter(|revocation| after.is_none_or(|after| revocation.id > *after));
        Ok(told.take(1_000).cloned().collect())
    }
}

#[derive(Default)]
pub(crate) struct FakeAccounts {
    pub(crate) faults: Faults<AccountError>,
    pub(crate) repository_faults: Faults<RepositoryError>,
    /// What was written, by whom last.
    pub(crate) done: Mutex<Vec<String>>,
    pub(crate) kept: Mutex<Vec<Credential>>,
    /// What was asked of the audit log, and what it says.
    pub(crate) asked: Mutex<Vec<WantedEntries>>,
    pub(crate) log: Mutex<Entries>,
}

impl FakeAccounts {
    pub(crate) fn write(&self, call: &'static str, what: &str, actor: &Actor) -> Result<(), AccountError> {
        self.faults.check(call, When::Before)?;
        self.done.lock().unwrap().push(format!("{call} {what} by {}", actor.subject));
        Ok(())
    }

    fn page<T>(page: &PageRequest<T>, all: &[&str]) -> Page<T>
    where
        T: Ord + Clone + std::str::FromStr<Err: std::fmt::Debug>,
    {
        let all: Vec<T> = all.iter().map(|name| name.parse().unwrap()).collect();
        page_of(&all, page)
    }
}

fn with<T, U>(page: Page<T>, make: impl Fn(T) -> U) -> Page<U> {
    Page { entries: page.entries.into_iter().map(make).collect(), more: page.more }
}

fn user(name: AccountName) -> User {
    let profile = Profile { display_name: "Ann A.".to_owned(), email: "ann@example.com".to_owned() };
    let (role, standing) = (Role::User, Standing::Active);
    let created = Timestamp::UNIX_EPOCH;
    User { name, role, standing, profile, created, email_verified: true, second_factor: false }
}

#[async_trait]
impl Users for FakeAccounts {
    async fn user(&self, name: &AccountName) -> Result<Option<User>, AccountError> {
        self.faults.check("user", When::Before)?;
        Ok((name.as_str() != "nobody").then(|| user(name.clone())))
    }

    async fn users(&self, page: &PageRequest<AccountName>) -> Result<Page<User>, AccountError> {
        self.faults.check("users", When::Before)?;
        Ok(with(Self::page(page, &["ann", "bob", "cid"]), user))
    }

    async fn change_user(
        &self,
        name: &AccountName,
        change: &UserChange,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let UserChange { profile, role, standing, password_hash } = change;
        assert!(password_hash.is_none());
        let profile = profile.as_ref().map(|profile| (&profile.display_name, &profile.email));
        self.write("change_user", &format!("{name} {profile:?} {role:?} {standing:?}"), actor)
    }
}

#[async_trait]
impl Organizations for FakeAccounts {
    async fn create_organization(
        &self,
        name: &Namespace,
        owner: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.write("create_organization", &format!("{name} {owner}"), actor)
    }

    async fn organization(&self, name: &Namespace) -> Result<Option<Organization>, AccountError> {
        let profile = OrganizationProfile {
            display_name: "The Devs".to_owned(),
            description: "# Devs".to_owned(),
            email: String::new(),
        };
        let found = Organization { name: name.clone(), profile, created: Timestamp::UNIX_EPOCH };
        Ok((name.as_str() != "nobody").then_some(found))
    }

    async fn describe_organization(
        &self,
        name: &Namespace,
        profile: &OrganizationProfile,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let OrganizationProfile { display_name, description, email } = profile;
        let what = format!("{name} {display_name:?} {description:?} {email:?}");
        self.write("describe_organization", &what, actor)
    }

    async fn organizations(&self, _: &PageRequest<Namespace>) -> Result<Page<Namespace>, AccountError> {
        Ok(Page { entries: Vec::new(), more: More::No })
    }

    async fn organizations_of(
        &self,
        _: &AccountName,
        page: &PageRequest<Namespace>,
    ) -> Result<Page<(Namespace, MemberRole)>, AccountError> {
        Ok(with(Self::page(page, &["devs", "ops"]), |name| (name, MemberRole::Owner)))
    }

    async fn members(
        &self,
        _: &Namespace,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<(AccountName, MemberRole)>, AccountError> {
        Ok(with(Self::page(page, &["ann", "bob"]), |name| (name, MemberRole::Member)))
    }

    async fn put_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        role: MemberRole,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.write("put_member", &format!("{organization} {user} {role:?}"), actor)
    }

    async fn remove_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.write("remove_member", &format!("{organization} {user}"), actor)
    }

    async fn teams(&self, _: &Namespace) -> Result<Vec<Team>, AccountError> {
        Ok(vec![Team { name: "core".parse().unwrap(), description: "Core".to_owned() }])
    }

    async fn put_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        description: &str,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.write("put_team", &format!("{organization} {team} {description:?}"), actor)
    }

    async fn remove_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.write("remove_team", &format!("{organization} {team}"), actor)
    }

    async fn team_members(
        &self,
        _: &Namespace,
        _: &TeamName,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<AccountName>, AccountError> {
        Ok(Self::page(page, &["ann", "bob"]))
    }

    async fn set_team_member(
        &self,
        organization: &Namespace,
        team: &TeamName,
        user: &AccountName,
        membership: Membership,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.write("set_team_member", &format!("{organization} {team} {user} {membership:?}"), actor)
    }

    async fn grants(&self, _: &RepositoryName) -> Result<Vec<(Grantee, Level)>, AccountError> {
        let grants = [("bob", Level::Read), ("team:core", Level::Admin)];
        Ok(grants.map(|(grantee, level)| (grantee.parse().unwrap(), level)).into())
    }

    async fn grant(
        &self,
        repository: &RepositoryName,
        grantee: &Grantee,
        level: Option<Level>,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.write("grant", &format!("{repository} {grantee} {level:?}"), actor)
    }
}

#[async_trait]
impl Credentials for FakeAccounts {
    async fn put_credential(&self, _: &NewCredential, _: &Actor) -> Result<(), AccountError> {
        unreachable!("auth makes credentials")
    }

    async fn credentials(&self, _: &CredentialOwner) -> Result<Vec<Credential>, AccountError> {
        self.faults.check("credentials", When::Before)?;
        Ok(self.kept.lock().unwrap().clone())
    }

    async fn revoke_credential(
        &self,
        owner: &CredentialOwner,
        id: &CredentialId,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.write("revoke_credential", &format!("{owner:?} {id}"), actor)
    }

    async fn used(&self, _: &[CredentialUse]) -> Result<(), AccountError> {
        unreachable!("auth notes uses")
    }

    async fn revocations(&self, _: Option<&EventId>) -> Result<Vec<Revocation>, AccountError> {
        unreachable!("the edge asks auth")
    }
}

#[async_trait]
impl AuditLog for FakeAccounts {
    async fn audit_entries(&self, wanted: &WantedEntries) -> Result<Entries, AccountError> {
        self.faults.check("audit_entries", When::Before)?;
        self.asked.lock().unwrap().push(wanted.clone());
        Ok(self.log.lock().unwrap().clone())
    }
}

#[async_trait]
impl RepositorySettings for FakeAccounts {
    async fn create_repository(
        &self,
        name: &RepositoryName,
        visibility: Visibility,
        description: &str,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        self.repository_faults.check("create_repository", When::Before)?;
        let what = format!("{name} {visibility:?} {description:?}");
        self.write("create_repository", &what, actor).unwrap();
        Ok(())
    }

    async fn repository(&self, name: &RepositoryName) -> Result<RepositoryDetails, RepositoryError> {
        self.repository_faults.check("repository", When::Before)?;
        Ok(RepositoryDetails {
            name: name.clone(),
            visibility: Visibility::Private,
            description: "# App".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            size_bytes: 17,
            pulls: 3,
            last_pulled: None,
        })
    }

    async fn change_repository(
        &self,
        name: &RepositoryName,
        change: &RepositoryChange,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        self.repository_faults.check("change_repository", When::Before)?;
        let RepositoryChange { visibility, description } = change;
        self.write("change_repository", &format!("{name} {visibility:?} {description:?}"), actor).unwrap();
        Ok(())
    }

    async fn move_repository(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        self.repository_faults.check("move_repository", When::Before)?;
        self.write("move_repository", &format!("{from} {to}"), actor).unwrap();
        Ok(())
    }

    async fn delete_repository(&self, name: &RepositoryName, actor: &Actor) -> Result<(), RepositoryError> {
        self.repository_faults.check("delete_repository", When::Before)?;
        self.write("delete_repository", &name.to_string(), actor).unwrap();
        Ok(())
    }
}
