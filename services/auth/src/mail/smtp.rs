//! Mail by SMTP: a bounded queue, and a postman who takes letters from it one after the other until the process ends.

use std::time::Duration;

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
        response::Code,
    },
};
use secrecy::ExposeSecret as _;
use service_kit::shutdown::Shutdown;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::timeout,
};

use super::{Busy, Letter, Mail, Shortened};
use crate::config::{MailServer, Security};

/// Letters that wait, at most; some kilobytes each.
const WAITING: usize = 256;

/// How long the server may take for one letter.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries of a letter that the server may take later.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// The end of the queue where letters are put in.
#[derive(Debug, Clone)]
pub struct Smtp {
    queue: Sender<Letter>,
    base: String,
}

/// The other end, and the way to the server.
pub struct Postman {
    queue: Receiver<Letter>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why no mail can be sent.
#[derive(Debug, thiserror::Error)]
#[error("mail: {0}")]
pub struct MailError(#[from] lettre::transport::smtp::Error);

/// Why a letter was not delivered.
#[derive(Debug, thiserror::Error)]
enum LetterError {
    #[error("the address is none: {0}")]
    Address(#[from] lettre::address::AddressError),
    #[error("it cannot be written: {0}")]
    Message(#[from] lettre::error::Error),
    /// What the server said besides may quote the address.
    #[error("the server refused it with {code}")]
    Refused { code: Code, permanent: bool },
    #[error("{0}")]
    Server(lettre::transport::smtp::Error),
    #[error("the server did not take it within {} s", PATIENCE.as_secs())]
    Late,
}

impl LetterError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Refused { permanent, .. } => !permanent,
            Self::Server(_) | Self::Late => true,
            Self::Address(_) | Self::Message(_) => false,
        }
    }
}

impl From<lettre::transport::smtp::Error> for LetterError {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        match error.status() {
            Some(code) => Self::Refused { code, permanent: error.is_permanent() },
            None => Self::Server(error),
        }
    }
}

impl std::fmt::Debug for Postman {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postman").finish_non_exhaustive()
    }
}

impl Smtp {
    /// Mail by `server`, with the postman who must be spawned. Nothing is connected before the first letter.
    ///
    /// # Errors
    /// What TLS cannot be set up with.
    pub fn new(server: &MailServer) -> Result<(Self, Postman), MailError> {
        let (sender, receiver) = channel(WAITING);
        let smtp = Self { queue: sender, base: server.external_url.as_str().to_owned() };
        let postman = Postman { queue: receiver, transport: transport(server)?, from: server.from.0.clone() };
        Ok((smtp, postman))
    }
}

impl Mail for Smtp {
    fn send(&self, letter: Letter) -> Result<(), Busy> {
        self.queue.try_send(letter).map_err(|_| Busy)
    }

    fn base(&self) -> &str {
        &self.base
    }
}

fn transport(server: &MailServer) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let tls = || TlsParameters::new(server.host.clone());
    let tls = match server.security {
        Security::None => Tls::None,
        Security::StartTls => Tls::Required(tls()?),
        Security::Tls => Tls::Wrapper(tls()?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
        .port(server.port)
        .tls(tls)
        .timeout(Some(PATIENCE))
        .hello_name(ClientId::Domain(server.external_url.host().to_owned()));
    if let Some((username, password)) = &server.login {
        let password = password.expose_secret().to_owned();
        builder = builder.credentials(Credentials::new(username.clone(), password));
    }
    Ok(builder.build())
}

impl Postman {
    /// Delivers letters until the process ends, then those that wait still.
    pub async fn deliver(mut self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.stopping() => break,
                letter = self.queue.recv() => match letter {
                    Some(letter) => self.deliver_one(&letter, &shutdown).await,
                    None => return,
                },
            }
        }
        self.queue.close();
        while let Some(letter) = self.queue.recv().await {
            self.deliver_one(&letter, &shutdown).await;
        }
    }

    async fn deliver_one(&self, letter: &Letter, shutdown: &Shutdown) {
        let to = Shortened(&letter.to);
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.try_one(letter).await {
                Ok(()) => return tracing::info!(%to, subject = letter.subject, "a letter is delivered"),
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| error.may_pass()) else {
                return tracing::warn!(%to, subject = letter.subject, %error, "a letter is not delivered");
            };
            tracing::info!(%to, %error, "a letter is tried again soon");
            tokio::select! {
                () = shutdown.stopping() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn try_one(&self, letter: &Letter) -> Result<(), LetterError> {
        let message = self.written(letter)?;
        match timeout(PATIENCE, self.transport.send(message)).await {
            Ok(sent) => Ok(sent.map(drop)?),
            Err(_) => Err(LetterError::Late),
        }
    }

    fn written(&self, letter: &Letter) -> Result<Message, LetterError> {
        let to: Address = letter.to.parse()?;
        // RFC 3834 §5: no program answers.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Ok(Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject)
            .message_id(None)
            .header(ContentType::TEXT_PLAIN)
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .body(letter.text.expose_secret().to_owned())?)
    }
}
