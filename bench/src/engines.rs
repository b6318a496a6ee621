//! What engines of metadata do on one disk, in one run: the file, and a Redis that syncs what it acknowledges, beside what
//! `redis-benchmark` gets out of that Redis. It asks the engines themselves, without the service above them.

use std::{
    fs, io,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Instant,
};

use metadata::keyspace::{
    Commit, Field, Follow, Keyspace, Mutation,
    embedded::{Embedded, Options as FileOptions},
    resp::{Keeping, Limits, Options as ServerOptions, Resp, TlsFiles},
    suite::key,
};
use tokio::{runtime::Runtime, task::JoinSet};

/// Tags in one commit while they are loaded.
const TAGS_AT_ONCE: usize = 1_000;
const READERS: usize = 16;
const READS_EACH: usize = 10_000;
const WRITERS: usize = 32;
const COMMITS_EACH: usize = 500;
/// As large as the manifest of an image of a dozen layers (bytes).
const MANIFEST_BYTES: usize = 2_048;

/// Measures, and prints.
pub(crate) fn measure(under: &Path, tags: usize) -> io::Result<()> {
    let directory = under.join(format!("bench-engines-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let measured = Runtime::new()?.block_on(all(&directory, tags));
    let removed = fs::remove_dir_all(&directory);
    measured.and(removed)
}

async fn all(directory: &Path, tags: usize) -> io::Result<()> {
    let file = Embedded::open(&FileOptions::new(directory.join("file"))).map_err(io::Error::other)?;
    one("embedded", Arc::new(file), tags).await?;

    let redis = Redis::start(&directory.join("redis"))?;
    let options = ServerOptions {
        url: format!("redis://127.0.0.1:{}", redis.port).parse().map_err(io::Error::other)?,
        keeping: Keeping::Required,
        tls: TlsFiles::default(),
        limits: Limits::default(),
    };
    let server = Resp::open(&options).await.map_err(io::Error::other)?;
    one("redis", Arc::new(server), tags).await?;
    redis.benchmark()
}

async fn one(name: &str, engine: Arc<dyn Keyspace>, tags: usize) -> io::Result<()> {
    let began = Instant::now();
    load(engine.as_ref(), tags).await?;
    println!("{name:10} {tags} tags loaded in {:.1} s", began.elapsed().as_secs_f64());

    let began = Instant::now();
    let reads = together(READERS, |_| read(engine.clone(), tags)).await?;
    println!("{name:10} {:9.0} manifest lookups/s by {READERS} readers", rate(reads, began));

    let began = Instant::now();
    let commits = together(WRITERS, |writer| write(engine.clone(), writer)).await?;
    println!("{name:10} {:9.0} durable commits/s by {WRITERS} writers", rate(commits, began));
    Ok(())
}

/// Tags of one repository that name one manifest, with all their index entries.
async fn load(engine: &dyn Keyspace, tags: usize) -> io::Result<()> {
    let manifest =
        Mutation::SetField(key("bench:manifest:d"), Field::new("Body"), vec![b'm'; MANIFEST_BYTES].into());
    let guard = Mutation::SetField(key("bench"), Field::new("Name"), "bench".into());
    engine.commit(Commit::synced().then(manifest).then(guard)).await.map_err(io::Error::other)?;

    let all: Vec<usize> = (0..tags).collect();
    for some in all.chunks(TAGS_AT_ONCE) {
        let each = some.iter().flat_map(|number| {
            let tag = format!("v{number:07}");
            [
                Mutation::AddMember(key("bench:tagged"), format!("d\0{tag}").into()),
                Mutation::SetField(key("bench:tag"), Field::new(tag.clone()), "d".into()),
                Mutation::AddMember(key("bench:tags"), tag.into()),
            ]
        });
        engine.commit(Commit::synced().then_all(each)).await.map_err(io::Error::other)?;
    }
    Ok(())
}

async fn read(engine: Arc<dyn Keyspace>, tags: usize) -> io::Result<usize> {
    for number in 0..READS_EACH {
        // A stride that shares no factor with a round number of tags.
        let tag = format!("v{:07}", number * 7_919 % tags);
        let follow = Follow {
            guard: (key("bench"), Field::new("Name")),
            pointer: (key("bench:tag"), Field::new(tag)),
            prefix: key("bench:manifest:"),
        };
        let found = engine.follow(&follow).await.map_err(io::Error::other)?;
        if found.record.is_none() {
            return Err(io::Error::other("a tag that was loaded is not there"));
        }
    }
    Ok(READS_EACH)
}

async fn write(engine: Arc<dyn Keyspace>, writer: usize) -> io::Result<usize> {
    for number in 0..COMMITS_EACH {
        let name = format!("w{writer:02}-{number:05}");
        let commit = Commit::synced()
            .then(Mutation::AddMember(key("bench:written"), name.clone().into()))
            .then(Mutation::SetField(key("bench:values"), Field::new(name), "some value".into()));
        engine.commit(commit).await.map_err(io::Error::other)?;
    }
    Ok(COMMITS_EACH)
}

/// Runs so many at once; how much they have done together.
async fn together<W>(count: usize, work: impl Fn(usize) -> W) -> io::Result<usize>
where
    W: Future<Output = io::Result<usize>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(work(number));
    }
    let mut done = 0;
    while let Some(task) = tasks.join_next().await {
        done += task.map_err(io::Error::other)??;
    }
    Ok(done)
}

#[expect(clippy::cast_precision_loss, reason = "a printed rate needs no 53rd bit")]
fn rate(count: usize, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

/// A Redis that syncs before it acknowledges, ended with this value.
struct Redis {
    server: Child,
    port: u16,
}

impl Redis {
    fn start(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(directory)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { server, port })
    }

    /// What it does without anybody between, by as many clients as there were writers.
    fn benchmark(&self) -> io::Result<()> {
        let (port, clients) = (self.port.to_string(), WRITERS.to_string());
        let ended = Command::new("redis-benchmark")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-c",
                &clients,
                "-n",
                "50000",
                "-d",
                "2048",
                "-t",
                "get,set",
                "-q",
            ])
            .status()?;
        if ended.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("redis-benchmark ended with {ended}")))
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
