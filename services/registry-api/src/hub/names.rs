//! Names and words as the document describes them, for derives that cannot see into the domain types. Those read them:
//! the grammars here are the same, and the tests of the edge hold the two together.

use std::str::FromStr;

use oci::{NameError, Namespace, NamespacePath, RepositoryName};
use proto::metadata::repositories::search::LONGEST_QUERY;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{Object, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type},
    },
};

use super::problem::{Problem, RequestError};

/// One part of a name; several are separated by slashes.
macro_rules! part {
    () => {
        r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
    };
}

/// A schema that is a type, so that fields and parameters can name it.
macro_rules! schema {
    ($name:ident, $schema:expr) => {
        pub(super) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {}
    };
}

schema!(AccountName, text("The name of a user.", 64, concat!("^", part!(), "$")));
schema!(NamespaceName, text("The name of a user or an organization.", 200, concat!("^", part!(), "$")));
schema!(TeamName, text("The name of a team in its organization.", 64, concat!("^", part!(), "$")));
schema!(RobotLabel, text("What a robot is called in its namespace.", 64, concat!("^", part!(), "$")));
schema!(
    RobotName,
    text(
        "The name of a robot: that of its namespace, `+`, and what it is called there.",
        265,
        concat!("^", part!(), r"\+", part!(), "$")
    )
);
schema!(
    FullRepositoryName,
    text(
        "The name of a repository: that of its namespace, a slash, and what it is called there.",
        200,
        concat!("^", part!(), "(/", part!(), ")+$")
    )
);
schema!(
    RepositoryPath,
    text(
        "The name of a repository within its namespace; its own slashes are written %2F.",
        200,
        concat!("^", part!(), "(/", part!(), ")*$")
    )
);
schema!(
    Beginning,
    text(
        "The first parts of names of repositories, each whole.",
        200,
        concat!("^", part!(), "(/", part!(), ")*$")
    )
);
schema!(
    Pattern,
    text(
        "A repository, as `team/app`, or the beginning of names with one `*` at the end, as `team/*` or `team/app-*`.",
        200,
        concat!("^", part!(), "(/", part!(), ")*(/", part!(), r"|/(", part!(), r"(\.|_|__|-+)?)?\*)$")
    )
);
schema!(SearchQuery, {
    let limit = Some(LONGEST_QUERY);
    let words = "Words, or how they begin.";
    ObjectBuilder::new().schema_type(Type::String).description(Some(words)).max_length(limit).build()
});
schema!(
    RepositoryCursor,
    Schema::OneOf(
        OneOfBuilder::new()
            .item(text("In a list by name.", 200, concat!("^", part!(), "(/", part!(), ")+$")))
            .item(text("In what was found.", 284, "^~[0-3][0-7][0-9A-HJKMNP-TV-Z]{25}([0-9a-f]{2}){1,128}$"))
            .description(Some("Where a list goes on."))
            .build()
    )
);
schema!(TagName, text("The name of a tag.", 128, "^[A-Za-z0-9_][A-Za-z0-9._-]*$"));
schema!(
    CredentialId,
    text(
        "What an access token, a robot or a session is known by: a ULID, and no secret.",
        26,
        "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
    )
);
schema!(
    EventId,
    text("What an entry is known by: a ULID, which says when.", 26, "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")
);
schema!(
    ActionName,
    text("What was done: a noun, a dot and a verb, as `member.put`.", 64, r"^[a-z][a-z_]*\.[a-z][a-z_]*$")
);
schema!(
    ActionFilter,
    text(
        "An action, as `member.put`, or all of a noun, as `member`.",
        64,
        r"^[a-z][a-z_]*(\.[a-z][a-z_]*)?$"
    )
);
schema!(
    ActorName,
    text(
        "A user, a robot as `team+ci`, or a service account as `service:team-x`.",
        201,
        concat!("^(", part!(), r"(\+", part!(), r")?|service:[a-z0-9][a-z0-9._-]{0,63})$")
    )
);
schema!(
    Via,
    words("Through which door something was done.", ["registry", "ui", "api", "service", "operator"])
);
schema!(
    Grantee,
    Schema::OneOf(
        OneOfBuilder::new()
            .item(text("A user.", 64, concat!("^", part!(), "$")))
            .item(text("A team of the repository's organization.", 69, concat!("^team:", part!(), "$")))
            .description(Some("Who is given a right: a user, as `ann`, or a team, as `team:devs`."))
            .build()
    )
);
schema!(ProviderName, text("What a provider is called in addresses.", 32, "^[a-z0-9]+(-[a-z0-9]+)*$"));
schema!(
    ReturnPath,
    text("A path of this hub that a browser goes to.", 1024, r"^/([!-.0-\[\]-~][!-\[\]-~]*)?$")
);
schema!(IdentityId, text("What an identity is known by: a SHA-256, and no secret.", 64, "^[0-9a-f]{64}$"));
schema!(Issuer, text("The address of who signs tokens.", 255, "^https?://[!-~]+$"));
schema!(Audience, text("For whom a token is.", 255, r"^[^\u0000-\u001f\u007f-\u009f]+$"));
schema!(
    ClaimPattern,
    text(
        "What a claim must say: a value, or how it begins and one `*` at the end.",
        512,
        r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )
);
schema!(Time, {
    let format = SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
});
schema!(Picture, {
    let format = SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Binary);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
});
schema!(
    NewPassword,
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Password)))
        .description(Some("A password: 10 to 256 characters, and not much like the name."))
        .min_length(Some(10))
        .max_length(Some(256))
        .write_only(true)
        .build()
);
/// Characters of a code, at most.
pub(super) const LONGEST_CODE: usize = 64;

schema!(Password, secret("A password.", 1024));
schema!(
    SecondFactorCode,
    secret(
        "Six digits of an authenticator app, or a recovery code. Spaces and hyphens do not count.",
        LONGEST_CODE
    )
);
schema!(MailToken, secret("What a mail said, behind `#` in its link.", 256));
schema!(InvitationToken, secret("What an invitation said: `bucket_invitation_…`.", 256));
schema!(Role, words("What a user may do besides their own.", ["user", "administrator"]));
schema!(Standing, words("Whether an account may be used.", ["active", "disabled"]));
schema!(Visibility, words("Who can see a repository.", ["public", "private"]));
schema!(
    Level,
    words("What may be done with a repository; each holds what is before it.", ["read", "write", "admin"])
);
schema!(MemberRole, words("What a member of an organization is.", ["member", "owner"]));
schema!(Permission, words("What may be done with a credential.", ["pull", "push", "delete", "manage"]));

fn text(description: &str, longest: usize, pattern: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .min_length(Some(1))
        .max_length(Some(longest))
        .pattern(Some(pattern))
        .build()
}

fn secret(description: &str, longest: usize) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Password)))
        .description(Some(description))
        .max_length(Some(longest))
        .write_only(true)
        .build()
}

fn words<const N: usize>(description: &str, words: [&str; N]) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(words))
        .build()
}

/// A repository named in full: here nothing stands for `library/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FullName(pub(super) RepositoryName);

impl FromStr for FullName {
    type Err = FullNameError;

    fn from_str(text: &str) -> Result<Self, FullNameError> {
        let name = text.parse()?;
        if text.contains('/') { Ok(Self(name)) } else { Err(FullNameError::NoNamespace) }
    }
}

/// Why a text is no full name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FullNameError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("the name of a repository begins with its namespace and a slash")]
    NoNamespace,
}

impl std::fmt::Display for FullName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The repository that a path names in two parts. Too long a whole is the name of none.
pub(super) fn repository(namespace: &Namespace, path: &NamespacePath) -> Result<RepositoryName, Problem> {
    let name = format!("{namespace}/{path}");
    name.parse().map_err(|_| RequestError::no_route(&name).into())
}
