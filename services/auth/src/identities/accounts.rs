//! Accounts that are made, and their passwords.

use oci::AccountName;
use proto::{
    auth::{
        IdentityError, Subject,
        identities::{Asker, Deed, NewAccount, PasswordChange},
    },
    metadata::{
        Actor, Standing,
        accounts::{Account, Role},
        users::{LONGEST_EMAIL, Profile, UserChange},
    },
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{actor, refusal, shown};
use crate::{
    Parts,
    authenticate::{About, Authenticated, LoginError, try_of},
    chosen,
    config::SignUp,
    errands::Errand,
    password::Checked,
    secret,
    throttle::{Network, Try, Who},
};

impl Parts {
    pub(super) async fn sign_up(&self, asker: &Asker, new: &NewAccount) -> Result<(), IdentityError> {
        let login = self.authenticate(shown(asker), About::default()).await?;
        self.may_sign_up(&login, new)?;
        check_password(&new.name, &new.password)?;
        check_email(&new.email)?;
        // Nor does an account of one's own make more of them free.
        if self.authorized(&login, &Deed::ManageHub).is_err() {
            self.slow_down(asker)?;
        }

        let account = Account {
            name: new.name.clone(),
            password_hash: self.hash(&new.password).await?,
            role: new.role,
            standing: Standing::Active,
        };
        let actor = actor(&login.principal, asker);
        let made = match &new.invitation {
            None => self.contracts.accounts.create_account(&account, &actor).await,
            Some(secret) => {
                let hash = secret::of_invitation(secret);
                self.contracts.invitations.redeem_invitation(&hash, &account, &actor).await
            }
        };
        made.map_err(refusal)?;
        self.keep_email(new, &actor).await;
        Ok(())
    }

    fn may_sign_up(&self, login: &Authenticated, new: &NewAccount) -> Result<(), IdentityError> {
        let Err(refused) = self.authorized(login, &Deed::ManageHub) else {
            return Ok(());
        };
        match (new.role, self.rules.sign_up) {
            // Whether it is good is found out when it is taken.
            (Role::User, _) if new.invitation.is_some() => Ok(()),
            (Role::User, SignUp::Open) => Ok(()),
            (Role::User, SignUp::Closed | SignUp::Invitation) if login.principal.role() == Role::User => {
                Err(IdentityError::SignUpClosed)
            }
            _ => Err(refused),
        }
    }

    // Each account costs a hash and a name that nobody else can have.
    pub(crate) fn slow_down(&self, asker: &Asker) -> Result<(), LoginError> {
        let this = Try { who: Who::Newcomer, from: asker.address.map(Network::from) };
        drop(self.throttle.begin_now(&this, self.clock.now())?);
        Ok(())
    }

    // The account is there: an error would tell its owner to try again, who would find the name taken.
    async fn keep_email(&self, new: &NewAccount, actor: &Actor) {
        if new.email.is_empty() {
            return;
        }
        let profile = Profile { email: new.email.clone(), ..Profile::default() };
        let change = UserChange { profile: Some(profile), ..UserChange::default() };
        if let Err(error) = self.contracts.users.change_user(&new.name, &change, actor).await {
            tracing::warn!(%error, name = %new.name, "an account was made without its e-mail address");
            return;
        }
        // Whoever signs up has had no letter before.
        self.errands.ask(Errand::Verification { user: new.name.clone(), email: new.email.clone() });
    }

    pub(super) async fn change_password(
        &self,
        asker: &Asker,
        change: &PasswordChange,
    ) -> Result<(), IdentityError> {
        let login = self.permitted(asker, &Deed::ManageAccount(change.name.clone())).await?;
        if login.principal.subject() == Subject::User(change.name.clone()) {
            self.check_old(asker, &login, change).await?;
        }
        check_password(&change.name, &change.new)?;

        let password_hash = Some(self.hash(&change.new).await?);
        let change_of = UserChange { password_hash, ..UserChange::default() };
        let actor = actor(&login.principal, asker);
        self.contracts.users.change_user(&change.name, &change_of, &actor).await.map_err(refusal)
    }

    // Who finds somebody's session or access token does not get the account with it.
    async fn check_old(
        &self,
        asker: &Asker,
        login: &Authenticated,
        change: &PasswordChange,
    ) -> Result<(), IdentityError> {
        let old = change.old.as_ref().ok_or(IdentityError::WrongCredentials)?;
        self.confirm_password(asker, login, old).await?;
        if old.expose_secret() == change.new.expose_secret() {
            return Err(IdentityError::PasswordRefused { why: "it is the old one".to_owned() });
        }
        Ok(())
    }

    /// Who is logged in says the password besides.
    pub(crate) async fn confirm_password(
        &self,
        asker: &Asker,
        login: &Authenticated,
        password: &SecretString,
    ) -> Result<(), LoginError> {
        let account = login.facts.account.as_ref();
        let this = try_of(account.map_or("", |account| account.name.as_str()), asker.address);
        self.throttle.look(&this, self.clock.now())?;

        let (checked, begun) = self.compare(&this, password, account).await?;
        match checked {
            Checked::Wrong => return Err(LoginError::Wrong),
            // Whoever has a second factor is known only where they have shown it.
            Checked::Right if login.facts.second_factor.is_some() => begun.void(),
            Checked::Right => begun.right(self.clock.now()),
        }
        Ok(())
    }

    pub(crate) async fn hash(&self, password: &SecretString) -> Result<SecretString, LoginError> {
        self.passwords.turn().await?.hash(password, self.random.as_ref()).await
    }
}

pub(crate) fn check_password(name: &AccountName, password: &SecretString) -> Result<(), IdentityError> {
    match chosen::refused(name, password) {
        None => Ok(()),
        Some(why) => Err(IdentityError::PasswordRefused { why: why.to_owned() }),
    }
}

/// Whether mail could get there is not known before one is sent.
pub(crate) fn check_email(email: &str) -> Result<(), IdentityError> {
    let refused = |why: &str| Err(IdentityError::EmailRefused { why: why.to_owned() });
    let parts = email.rsplit_once('@');
    match parts {
        None if email.is_empty() => Ok(()),
        _ if email.chars().count() > LONGEST_EMAIL => refused("it has more than 254 characters"),
        _ if email.chars().any(|character| character.is_whitespace() || character.is_control()) => {
            refused("it has spaces")
        }
        Some((mailbox, host)) if !mailbox.is_empty() && !host.is_empty() => Ok(()),
        _ => refused("it is not of the form name@host"),
    }
}

#[cfg(test)]
mod tests {
    use super::check_email;

    #[test]
    fn an_email_address_has_a_name_and_a_host_or_is_empty() {
        for good in ["", "ann@example.com", "\"a@b\"@example.com", "änn@exämple.com"] {
            assert_eq!(check_email(good), Ok(()), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(254));
        for bad in ["ann", "@", "ann@", "@example.com", "ann @example.com", "ann@example.com\n", &long] {
            assert!(check_email(bad).is_err(), "{bad}");
        }
    }
}
