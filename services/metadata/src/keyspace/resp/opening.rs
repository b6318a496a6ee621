//! How an engine is opened: asked until it answers, looked at, and refused if metadata would not last in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use redis::{ClientTlsConfig, TlsCertificates, Value, aio::MultiplexedConnection};

use super::{
    Options, Refusal, Resp, TlsFiles,
    address::Encryption,
    fault::Fault,
    info::{Engine, Info},
    script::{Dialect, Named, Scripts},
    target::{Target, info, text},
};

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was asked for as long as a start may take.
    #[error("the metadata engine {url} does not answer: {reason}")]
    Away {
        /// Which.
        url: String,
        /// What was seen last.
        reason: String,
    },
    /// It answers, but not as it should.
    #[error("the metadata engine {url} cannot be used: {reason}")]
    Unusable {
        /// Which.
        url: String,
        /// What it says.
        reason: String,
    },
    /// Metadata is not trusted to it.
    #[error("the metadata engine {url} is refused: {refusal}")]
    Refused {
        /// Which.
        url: String,
        /// Why, and what helps.
        refusal: Refusal,
    },
    /// A file for TLS cannot be read.
    #[error("the file {} for the metadata engine cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Files for TLS that would not be used, or not suffice.
    #[error("{0}")]
    Tls(&'static str),
}

impl Resp {
    /// Opens the engine: waits until the server answers, as it may be starting too, and makes sure that it keeps what it is
    /// given.
    ///
    /// # Errors
    /// `Away` if it does not answer for a minute; `Refused` with what helps.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let target =
            Target::new(options.url.clone(), certificates(options)?, options.limits, options.keeping);
        let dialect = once_there(options, || looked_at(&target, options)).await?;
        Ok(Self::over(target, dialect))
    }
}

/// Asks until there is an answer, or none is to be expected.
pub(super) async fn once_there<T, F>(options: &Options, look: impl Fn() -> F) -> Result<T, OpenError>
where
    F: Future<Output = Result<T, Stop>>,
{
    let (pause, attempts) = options.limits.start;
    let mut left = attempts;
    loop {
        let fault = match look().await {
            Ok(seen) => return Ok(seen),
            Err(Stop::Refused(error)) => return Err(error),
            Err(Stop::Fault(fault)) => fault,
        };
        let url = options.url.to_string();
        if !fault.passes() {
            return Err(OpenError::Unusable { url, reason: fault.to_string() });
        }
        left = left.saturating_sub(1);
        if left == 0 {
            return Err(OpenError::Away { url, reason: fault.to_string() });
        }
        tracing::warn!(%url, %fault, "waiting for the metadata engine");
        tokio::time::sleep(pause).await;
    }
}

/// Why looking at a server has ended.
pub(super) enum Stop {
    /// It may get better.
    Fault(Fault),
    /// It does not get better by itself.
    Refused(OpenError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What the server speaks, if it can be used.
pub(super) async fn looked_at(target: &Target, options: &Options) -> Result<Dialect, Stop> {
    let url = target.url().to_string();
    let refused = |refusal| Stop::Refused(OpenError::Refused { url: url.clone(), refusal });
    let mut connection = match target.connect().await {
        Ok(connection) => connection,
        Err(Fault::Untrusted { refusal, .. }) => return Err(refused(refusal)),
        Err(fault) => return Err(fault.into()),
    };
    let said = match target.ask(&mut connection, &redis::cmd("INFO")).await {
        Ok(answer) => info(&answer),
        Err(Fault::Refused(error)) if error.code() == "NOPERM" => {
            tracing::warn!("the metadata engine does not say how it keeps data: INFO is forbidden");
            Info::default()
        }
        Err(fault) => return Err(fault.into()),
    };
    let engine = said.engine();
    said.check(options.keeping, target.spread()).map_err(refused)?;
    if target.replicated() {
        said.check_replicated().map_err(refused)?;
    }

    let dialect = options.url.dialect.unwrap_or_else(|| engine.dialect());
    try_script(target, &mut connection, dialect).await?;
    if dialect == Dialect::Redis {
        warn_of_losses(target, &mut connection).await?;
    }
    let Engine { name, version } = engine;
    tracing::info!(%url, engine = name, %version, ?dialect, "metadata engine");
    Ok(dialect)
}

/// A commit of nothing: afterwards it is known that scripts may be run, and this one is.
async fn try_script(
    target: &Target,
    connection: &mut MultiplexedConnection,
    dialect: Dialect,
) -> Result<(), Fault> {
    let mut command = Scripts::of(dialect).commit.run(Named::Text);
    command.arg("0").arg("0");
    target.ask(connection, &command).await.map(|_| ())
}

/// Says what the loss of power or of the server can take back.
async fn warn_of_losses(target: &Target, connection: &mut MultiplexedConnection) -> Result<(), Fault> {
    match setting(target, connection, "appendfsync").await? {
        Some(always) if always == "always" => {}
        Some(everysec) if everysec == "everysec" => tracing::warn!(
            "appendfsync is everysec: the loss of power takes back up to two seconds of acknowledged writes; \
             `appendfsync always` loses none"
        ),
        Some(other) => tracing::warn!(
            "appendfsync is {other}: the loss of power takes back what the system has not written yet, half a minute or \
             more; `appendfsync always` loses nothing"
        ),
        None => tracing::warn!(
            "whether the metadata engine syncs what it acknowledges is unknown: CONFIG GET is forbidden or not there"
        ),
    }

    let least_replicas = setting(target, connection, "min-replicas-to-write").await?;
    if target.replicated() && least_replicas.is_some_and(|least| least == "0") {
        tracing::warn!(
            "min-replicas-to-write is 0: a master without replicas applies writes that are not acknowledged; set it to 1"
        );
    }
    Ok(())
}

/// A setting of the server; none where it does not say.
async fn setting(
    target: &Target,
    connection: &mut MultiplexedConnection,
    name: &str,
) -> Result<Option<String>, Fault> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(name);
    match target.ask(connection, &command).await {
        Ok(Value::Array(pair)) => Ok(pair.get(1).and_then(text)),
        // Managed services rename it or keep it for themselves.
        Ok(_) | Err(Fault::Refused(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// What the files for TLS say, if there are any.
pub(super) fn certificates(options: &Options) -> Result<Option<TlsCertificates>, OpenError> {
    let TlsFiles { ca, certificate, key } = &options.tls;
    if options.tls == TlsFiles::default() {
        return Ok(None);
    }
    if options.url.encryption == Encryption::Plain {
        return Err(OpenError::Tls(
            "files for TLS are given, but the metadata engine's URL is not rediss://",
        ));
    }

    let client_tls = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
        }
        (None, None) => None,
        _ => {
            return Err(OpenError::Tls(
                "a certificate for the metadata engine needs its key, and a key its certificate",
            ));
        }
    };
    let root_cert = ca.as_deref().map(read).transpose()?;
    Ok(Some(TlsCertificates { client_tls, root_cert }))
}

fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, OpenError> {
    let path = path.as_ref();
    fs::read(path).map_err(|source| OpenError::File { path: path.to_owned(), source })
}
