//! Texts that people write, no longer than the contracts take them. What is one line has no control characters.

use proto::metadata::{
    credentials::LONGEST_LABEL,
    organizations::LONGEST_DESCRIPTION,
    settings::LONGEST_REPOSITORY_DESCRIPTION,
    users::{LONGEST_DISPLAY_NAME, LONGEST_EMAIL},
};
use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

/// Why a text is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TextError {
    #[error("it has {found} characters; {limit} are allowed")]
    TooLong { found: usize, limit: usize },
    #[error("it has a line break or another control character")]
    Control,
    #[error("it is no e-mail address: write it as name@example.com, or leave it empty")]
    NoAddress,
}

/// What a text may be besides long.
enum Form {
    Markdown,
    Line,
    Address,
}

impl Form {
    fn pattern(&self) -> Option<&'static str> {
        match self {
            Self::Markdown => None,
            Self::Line => Some(r"^[^\u0000-\u001f\u007f-\u009f]*$"),
            Self::Address => {
                Some(r"^([^@\s\u0000-\u001f\u007f-\u009f]+@[^@\s\u0000-\u001f\u007f-\u009f]+)?$")
            }
        }
    }

    fn check(&self, text: &str) -> Result<(), TextError> {
        match self {
            Self::Line | Self::Address if text.contains(char::is_control) => Err(TextError::Control),
            Self::Address if !text.is_empty() && !is_address(text) => Err(TextError::NoAddress),
            _ => Ok(()),
        }
    }
}

// Whether mail arrives is found out by sending some; this catches what was meant for another field.
fn is_address(text: &str) -> bool {
    let sides = text.split_once('@');
    let good = |side: &str| !side.is_empty() && !side.contains('@') && !side.contains(char::is_whitespace);
    sides.is_some_and(|(name, host)| good(name) && good(host))
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $description:literal, $longest:expr, $form:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub(super) struct $name(pub(super) String);

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                checked(text, $longest, &$form).map(Self)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema($description, $longest, &$form)
            }
        }

        impl ToSchema for $name {}
    };
}

text! {
    /// What somebody is called among people.
    DisplayName, "What a user or an organization is called among people.", LONGEST_DISPLAY_NAME, Form::Line
}

text! {
    /// Where to write to.
    Email, "An e-mail address, or empty.", LONGEST_EMAIL, Form::Address
}

text! {
    /// Whom somebody means.
    NameOrEmail, "The name of a user, or an e-mail address.", LONGEST_EMAIL, Form::Line
}

text! {
    /// What people call a credential.
    Label, "What people call a credential.", LONGEST_LABEL, Form::Line
}

text! {
    /// What is said of an organization or a team.
    Description, "What is said of an organization or a team, in Markdown.", LONGEST_DESCRIPTION, Form::Markdown
}

text! {
    /// What is said of a repository.
    About, "What is said of a repository, in Markdown.", LONGEST_REPOSITORY_DESCRIPTION, Form::Markdown
}

fn checked(text: String, limit: usize, form: &Form) -> Result<String, TextError> {
    let found = text.chars().count();
    if found > limit {
        return Err(TextError::TooLong { found, limit });
    }
    form.check(&text)?;
    Ok(text)
}

fn schema(description: &str, longest: usize, form: &Form) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .max_length(Some(longest))
        .pattern(form.pattern())
        .into()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{DisplayName, Email, TextError};

    #[rstest]
    #[case("", true)]
    #[case("ann@example.com", true)]
    #[case("änn+x@exämple", true)]
    #[case("ann", false)]
    #[case("@example.com", false)]
    #[case("ann@", false)]
    #[case("a@b@c", false)]
    #[case("a b@c", false)]
    #[case("a@b\u{a0}c", false)]
    #[case("a@b\nBcc: x", false)]
    fn an_address_is_checked_loosely(#[case] text: &str, #[case] good: bool) {
        assert_eq!(Email::try_from(text.to_owned()).is_ok(), good);
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(DisplayName::try_from("ä".repeat(100)).is_ok());
        let refused = DisplayName::try_from("ä".repeat(101)).unwrap_err();
        assert_eq!(refused, TextError::TooLong { found: 101, limit: 100 });
        assert_eq!(DisplayName::try_from("a\u{85}b".to_owned()).unwrap_err(), TextError::Control);
    }
}
