//! Users, and what is to be changed of them, as messages.

use secrecy::{ExposeSecret as _, SecretString};

use super::{BadField, Wire, at_most, parsed, read, read_all, timestamp, written_all};
use crate::{
    metadata::{
        More, Page, Standing,
        accounts::Role,
        users::{LONGEST_DISPLAY_NAME, LONGEST_EMAIL, Profile, User, UserChange},
    },
    wire,
};

impl Wire for Profile {
    type Message = wire::Profile;

    fn to_message(&self) -> wire::Profile {
        wire::Profile { display_name: self.display_name.clone(), email: self.email.clone() }
    }

    fn from_message(message: wire::Profile) -> Result<Self, BadField> {
        Ok(Self {
            display_name: at_most("display_name", LONGEST_DISPLAY_NAME, message.display_name)?,
            email: at_most("email", LONGEST_EMAIL, message.email)?,
        })
    }
}

impl Wire for User {
    type Message = wire::User;

    fn to_message(&self) -> wire::User {
        wire::User {
            name: self.name.to_string(),
            role: self.role.to_message(),
            standing: self.standing.to_message(),
            profile: Some(self.profile.to_message()),
            created_ms: self.created.as_millisecond(),
            email_verified: self.email_verified,
            second_factor: self.second_factor,
        }
    }

    fn from_message(message: wire::User) -> Result<Self, BadField> {
        Ok(Self {
            name: parsed("name", &message.name)?,
            role: Role::from_message(message.role)?,
            standing: Standing::from_message(message.standing)?,
            profile: read("profile", message.profile)?,
            created: timestamp("created_ms", message.created_ms)?,
            email_verified: message.email_verified,
            second_factor: message.second_factor,
        })
    }
}

impl Wire for Page<User> {
    type Message = wire::UsersResponse;

    fn to_message(&self) -> wire::UsersResponse {
        wire::UsersResponse { users: written_all(&self.entries), more: self.more.to_message() }
    }

    fn from_message(message: wire::UsersResponse) -> Result<Self, BadField> {
        Ok(Self { entries: read_all(message.users)?, more: More::from_message(message.more)? })
    }
}

impl Wire for UserChange {
    type Message = wire::UserChange;

    fn to_message(&self) -> wire::UserChange {
        wire::UserChange {
            profile: self.profile.as_ref().map(Profile::to_message),
            role: self.role.as_ref().map(Role::to_message),
            standing: self.standing.as_ref().map(Standing::to_message),
            password_hash: self.password_hash.as_ref().map(|hash| hash.expose_secret().to_owned()),
        }
    }

    fn from_message(message: wire::UserChange) -> Result<Self, BadField> {
        Ok(Self {
            profile: message.profile.map(Profile::from_message).transpose()?,
            role: message.role.map(Role::from_message).transpose()?,
            standing: message.standing.map(Standing::from_message).transpose()?,
            password_hash: message.password_hash.map(SecretString::from),
        })
    }
}
