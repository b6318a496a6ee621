//! What letters say, in plain text. A link has its secret behind `#`, where no server and no proxy sees or logs it; who
//! works without the pages sends the secret to the management API.

use oci::AccountName;
use proto::metadata::invitations::Joining;
use secrecy::{ExposeSecret as _, SecretString};

use super::Letter;

const IGNORE: &str = "If that was not you, ignore this mail: nothing has changed.";

fn letter(to: &str, subject: &'static str, text: String) -> Letter {
    Letter { to: to.to_owned(), subject, text: SecretString::from(text) }
}

/// To verify that this address is the user's.
pub(crate) fn verification(to: &str, base: &str, user: &AccountName, secret: &SecretString) -> Letter {
    let secret = secret.expose_secret();
    let text = format!(
        "Hello {user},\n\n\
         this address was given for your account at {base}. To confirm that it is yours, open within 24 hours\n\n\
         {base}/verify-email#{secret}\n\n\
         or send {{\"token\": \"...\"}} with\n\n{secret}\n\nto {base}/api/v1/email/verifications (POST).\n\n{IGNORE}\n"
    );
    letter(to, "Confirm your e-mail address", text)
}

/// To choose another password.
pub(crate) fn reset(to: &str, base: &str, user: &AccountName, secret: &SecretString) -> Letter {
    let secret = secret.expose_secret();
    let text = format!(
        "Hello {user},\n\n\
         somebody has asked for another password for your account at {base}. To choose one, open within an hour\n\n\
         {base}/reset-password#{secret}\n\n\
         or send {{\"token\": \"...\", \"new\": \"...\"}} with\n\n{secret}\n\n\
         to {base}/api/v1/password-resets/redemptions (POST).\n\n\
         It ends your sessions and the clients that logged in with the password. Access tokens stay: GET\n\
         {base}/api/v1/tokens lists them, DELETE {base}/api/v1/tokens/ID revokes one.\n\n{IGNORE}\n"
    );
    letter(to, "Choose another password", text)
}

/// To make an account.
pub(crate) fn invitation(
    to: &str,
    base: &str,
    by: &str,
    joining: Option<&Joining>,
    secret: &SecretString,
) -> Letter {
    let secret = secret.expose_secret();
    let place = joining.map(|joining| format!(" and into {}", joining.organization)).unwrap_or_default();
    let text = format!(
        "Hello,\n\n\
         {by} invites you to {base}{place}. To make an account, open within 7 days\n\n\
         {base}/sign-up#{secret}\n\n\
         or send it as `invitation`, with a `name` and a `password`, to {base}/api/v1/users (POST):\n\n{secret}\n\n\
         If you expect no invitation, ignore this mail.\n"
    );
    letter(to, "You are invited", text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::{invitation, reset, verification};

    #[test]
    fn each_letter_has_its_link_and_its_secret_on_a_line_of_its_own() {
        let (base, user) = ("https://hub.example.com", "ann".parse().unwrap());
        let secret = "5ec2e7".into();
        for (letter, path) in [
            (verification("a@x", base, &user, &secret), "verify-email"),
            (reset("a@x", base, &user, &secret), "reset-password"),
            (invitation("a@x", base, "bob", None, &secret), "sign-up"),
        ] {
            let lines: Vec<&str> = letter.text.expose_secret().lines().collect();
            assert!(lines.contains(&"5ec2e7"), "{path}: {lines:?}");
            assert!(lines.contains(&format!("{base}/{path}#5ec2e7").as_str()), "{path}: {lines:?}");
            assert!(!format!("{letter:?}").contains("5ec2e7"));
        }
    }

    #[test]
    fn a_letter_to_reset_says_what_stays_and_how_to_end_it() {
        let letter = reset("a@x", "https://hub.example.com", &"ann".parse().unwrap(), &"5ec2e7".into());
        let text = letter.text.expose_secret();
        assert!(text.contains("Access tokens stay"), "{text}");
        assert!(text.contains("DELETE https://hub.example.com/api/v1/tokens/ID"), "{text}");
    }
}
