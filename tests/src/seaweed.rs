//! A real object store that speaks S3 and checks signatures, on this test's own address.

use std::{collections::BTreeMap, env, fs, net::SocketAddr, path::PathBuf, process::Command};

use blob::{
    Claim,
    config::Elsewhere,
    store::{
        Marker,
        object::{Objects, ObjectsConfig, OpenError, Vendor, Wire},
    },
};
use proto::blob::GrantKey;
use secrecy::SecretString;
use service_kit::config::{Prefix, load};
use tempfile::TempDir;

use crate::{
    address,
    process::Process,
    strict::{
        Behind,
        rules::{REGION, Rules},
    },
};

/// The bucket, which the store makes when the first object comes.
pub const BUCKET: &str = "images";
const KEY: &str = "key-of-the-hub";
const SECRET: &str = "secret of the hub's own bucket";

const READY: &str = "Start Seaweed S3 API Server";

/// A running `SeaweedFS`.
#[derive(Debug)]
pub struct Seaweed {
    _process: Process,
    _directory: TempDir,
}

impl Seaweed {
    /// Starts an empty store.
    ///
    /// # Panics
    /// If it does not start; `./test` installs it.
    pub fn start() -> Self {
        let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache/bucket");
        let tools = env::var_os("TEST_CACHE").map_or_else(home, PathBuf::from).join("tools/bin");
        let directory = tempfile::Builder::new().prefix("seaweed").tempdir().unwrap();
        let identities = directory.path().join("s3.json");
        let credentials = format!(r#"[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}]"#);
        let actions = r#"["Admin","Read","Write","List","Tagging"]"#;
        let identity = format!(r#"{{"name":"hub","credentials":{credentials},"actions":{actions}}}"#);
        fs::write(&identities, format!(r#"{{"identities":[{identity}]}}"#)).unwrap();

        let mut command = Command::new(tools.join("weed"));
        command
            .arg("server")
            .arg(format!("-dir={}", directory.path().display()))
            .arg(format!("-ip={}", Self::listens_at().ip()))
            .arg(format!("-ip.bind={}", Self::listens_at().ip()))
            .arg(format!("-master.port={}", port(0)))
            .arg(format!("-volume.port={}", port(1)))
            .args(["-filer", &format!("-filer.port={}", port(2))])
            .args(["-s3", &format!("-s3.port={}", port(3)), "-s3.iam=false"])
            .arg(format!("-s3.config={}", identities.display()))
            // Also what names a bucket in front of a vendor's host is for it.
            .arg(format!("-s3.domainName={}", Rules::ALL.map(|rules| rules.host).join(",")))
            .args(["-volume.max=10", "-master.telemetry=false"]);
        let process = Process::start("weed", command, &directory.path().join("log"), READY);
        Self { _process: process, _directory: directory }
    }

    /// Where it listens.
    pub fn listens_at() -> SocketAddr {
        address::with_port(port(3))
    }

    /// Its two doors.
    pub fn behind() -> Behind {
        Behind { store: Self::listens_at(), files: address::with_port(port(2)) }
    }

    /// The section `name` of a configuration file that names its bucket.
    pub fn section(name: &str) -> String {
        format!(
            "[{name}]\nbucket = \"{BUCKET}\"\nendpoint = \"http://{}\"\naccess_key_id = \"{KEY}\"\n\
             secret_access_key = \"{SECRET}\"",
            Self::listens_at()
        )
    }

    /// Opens the bucket at `endpoint`, which is this store or stands in front of it.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open(endpoint: SocketAddr, probe: u32) -> Result<Objects, OpenError> {
        Self::open_over(Wire::default(), endpoint, probe).await
    }

    /// The same, spoken to over `wire`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open_over(wire: Wire, endpoint: SocketAddr, probe: u32) -> Result<Objects, OpenError> {
        let config = config("S3", &at(endpoint, SECRET)).over(wire);
        Self::open_for(&config, "a hub", Claim::IfNew, probe).await
    }

    /// Opens it as another hub does, and whether that insists.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open_for_another_hub(claim: Claim) -> Result<Objects, OpenError> {
        Self::open_for(&config("S3", &at(Self::listens_at(), SECRET)), "another hub", claim, 8).await
    }

    /// Opens it with a secret that is not the key's.
    ///
    /// # Errors
    /// Always, it is hoped.
    pub async fn open_with_wrong_secret() -> Result<Objects, OpenError> {
        let config = config("S3", &at(Self::listens_at(), WRONG_SECRET));
        Self::open_for(&config, "a hub", Claim::IfNew, 9).await
    }

    async fn open_for(
        config: &ObjectsConfig,
        hub: &str,
        claim: Claim,
        probe: u32,
    ) -> Result<Objects, OpenError> {
        let grants = GrantKey::new(&SecretString::from(hub));
        let marker = Marker::new(&"objects".parse().unwrap(), &grants, claim);
        Objects::open(config, marker, format!("7{probe:025}").parse().unwrap()).await
    }

    /// Opens a bucket of `vendor` as its preset says, but for what is `changed`. Nobody has the address but the proxy
    /// that `wire` goes through.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn open_as(
        vendor: Vendor,
        wire: Wire,
        changed: &[(&'static str, &str)],
    ) -> Result<Objects, OpenError> {
        // What is between here and there is no place for certificates.
        let endpoint = vendor.preset().endpoint.replace("{region}", REGION).replace("https://", "http://");
        let mut given = at(address::with_port(0), SECRET);
        for (key, value) in [
            ("BUCKET", bucket_of(vendor)),
            ("REGION", REGION),
            ("ENDPOINT", endpoint.as_str()),
            // What has an endpoint of its own is no store of Amazon's, unless it says so.
            ("ADDRESSING", "virtual"),
        ] {
            given.insert(key, value.to_owned());
        }
        given.remove("PUBLIC_ENDPOINT");
        given.extend(changed.iter().map(|(key, value)| (*key, (*value).to_owned())));

        let config = config(vendor.section(), &given).over(wire);
        Self::open_for(&config, "a hub", Claim::IfNew, 8).await
    }
}

/// A secret that is not the key's.
pub const WRONG_SECRET: &str = "not the secret of the hub's own bucket";

/// A name that `vendor` has for a bucket.
pub fn bucket_of(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Cos => "images-1250000000",
        _ => BUCKET,
    }
}

/// The `number`th port of this test's store. It also uses the one that is 10,000 higher, and names sockets of the
/// machine after that: two tests at one time must have other numbers, not just other addresses.
fn port(number: u32) -> u16 {
    u16::try_from(11_000 + (std::process::id() % 4_000) * 4 + number).unwrap()
}

type Given = BTreeMap<&'static str, String>;

fn at(endpoint: SocketAddr, secret: &str) -> Given {
    let given = [
        ("BUCKET", BUCKET.to_owned()),
        ("ENDPOINT", format!("http://{endpoint}")),
        ("PUBLIC_ENDPOINT", format!("http://{endpoint}")),
        ("ACCESS_KEY_ID", KEY.to_owned()),
        ("SECRET_ACCESS_KEY", secret.to_owned()),
    ];
    given.into()
}

fn config(section: &str, given: &Given) -> ObjectsConfig {
    let section = section.to_uppercase();
    let given = given.iter().map(|(key, value)| (format!("BUCKET_{section}__{key}"), value.clone()));
    load::<Elsewhere>(Prefix::default(), None, given).unwrap().bucket.unwrap()
}
