//! Which passwords people may choose: long ones that are not the first that others try.

use oci::AccountName;
use secrecy::{ExposeSecret as _, SecretString};

use crate::secret;

const SHORTEST: usize = 10;
const LONGEST: usize = 256;

/// A name of so few letters is in many good passwords.
const SHORT_NAME: usize = 3;

/// The most common of at least ten characters in published lists of stolen passwords (the first thousands of those
/// that `SecLists` collects), and what people make of the name of what they sign in to. Lower case.
const COMMON: [&str; 40] = [
    "0123456789",
    "0987654321",
    "1029384756",
    "123123123123",
    "1234512345",
    "1234567890",
    "12345678910",
    "123456789a",
    "1234567891",
    "123456789q",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "9876543210",
    "abcd123456",
    "abcdefghij",
    "admin12345",
    "adminadmin",
    "administrator",
    "asdfghjkl123",
    "bucketbucket",
    "changeme123",
    "docker12345",
    "dockerdocker",
    "iloveyou123",
    "letmein1234",
    "letmeinplease",
    "passw0rd123",
    "password10",
    "password12",
    "password123",
    "password1234",
    "password12345",
    "passwordpassword",
    "q1w2e3r4t5",
    "qwerty12345",
    "qwerty123456",
    "qwertyuiop",
    "qwertyuiop123",
    "zaq12wsxcde3",
];

/// Why `password` is none for `name`, in words that follow "this password cannot be used:".
pub(crate) fn refused(name: &AccountName, password: &SecretString) -> Option<&'static str> {
    let password = password.expose_secret();
    let lower = password.to_lowercase();
    let contains_name = name.as_str().len() >= SHORT_NAME && lower.contains(name.as_str());

    match password.chars().count() {
        ..SHORTEST => Some("it has fewer than 10 characters"),
        length if length > LONGEST => Some("it has more than 256 characters"),
        _ if contains_name => Some("it contains the user name"),
        _ if password.starts_with(secret::BEGINNING) => Some("access tokens begin like it"),
        _ if COMMON.contains(&lower.as_str()) => Some("it is one of the first that others try"),
        _ if is_one_character(password) => Some("it is one character again and again"),
        _ => None,
    }
}

fn is_one_character(password: &str) -> bool {
    let mut characters = password.chars();
    let first = characters.next();
    characters.all(|character| Some(character) == first)
}

#[cfg(test)]
mod tests {
    use super::{COMMON, refused};

    fn why(name: &str, password: &str) -> Option<&'static str> {
        refused(&name.parse().unwrap(), &password.into())
    }

    #[test]
    fn a_password_has_ten_to_256_characters() {
        assert_eq!(why("ann", "ninechars"), Some("it has fewer than 10 characters"));
        assert_eq!(why("ann", "päßwörtör"), Some("it has fewer than 10 characters"), "characters, not bytes");
        assert_eq!(why("ann", "tencharact"), None);
        assert_eq!(why("ann", &"ab".repeat(128)), None);
        assert_eq!(why("ann", &"ab".repeat(129)), Some("it has more than 256 characters"));
    }

    #[test]
    fn the_user_name_is_not_in_it_unless_it_is_very_short() {
        assert_eq!(why("ann", "I am ANN, the first"), Some("it contains the user name"));
        assert_eq!(why("a", "a banana a day"), None);
    }

    #[test]
    fn what_others_try_first_is_refused() {
        for common in COMMON {
            assert!(why("ann", common).is_some(), "{common}");
            assert!(why("ann", &common.to_uppercase()).is_some(), "{common}");
            assert!(
                common.chars().count() >= 10 && common.to_lowercase() == common,
                "{common} is never asked"
            );
        }
        assert!(why("ann", "zzzzzzzzzzzz").is_some());
        assert_eq!(why("ann", "password as everybody has"), None);
    }

    #[test]
    fn what_looks_like_a_secret_is_refused() {
        assert_eq!(why("ann", "bucket_pat_whatever"), Some("access tokens begin like it"));
    }
}
