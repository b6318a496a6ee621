//! The yardstick `copy`: one blob from a socket to a durable file, hashed on the way.
//! Receiving and writing happen on one thread, hashing on a second, over the same buffers.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use crate::content;

const BUFFER: usize = 1 << 20;
const BUFFERS: usize = 4;

/// What one copy took.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    /// Of the receiver alone.
    pub(crate) cpu: Duration,
    pub(crate) digest: String,
}

/// Receives `size_bytes` bytes from a second process and makes them the durable file `finished`, which stays.
pub(crate) fn measure(size_bytes: u64, finished: &Path) -> io::Result<Measured> {
    // Both ends are made here, so that nobody waits for a sender that did not start.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let connecting = TcpStream::connect(listener.local_addr()?)?;
    let (socket, _) = listener.accept()?;
    let mut sender = spawn_sender(connecting, size_bytes)?;

    let partial = finished.with_extension("partial");
    let (began, cpu_before) = (Instant::now(), cpu_time()?);
    let stored = store(&socket, size_bytes, &partial, finished);
    let (elapsed, cpu_after) = (began.elapsed(), cpu_time()?);

    drop(socket);
    sender.wait()?;

    Ok(Measured { elapsed, cpu: cpu_after.saturating_sub(cpu_before), digest: stored? })
}

fn spawn_sender(socket: TcpStream, size_bytes: u64) -> io::Result<Child> {
    let program = std::env::current_exe()?;
    let socket = Stdio::from(OwnedFd::from(socket));
    Command::new(program).args(["send", &size_bytes.to_string()]).stdout(socket).spawn()
}

/// Sends `size_bytes` bytes to standard output, a socket, as fast as it takes them.
pub(crate) fn send(size_bytes: u64) -> io::Result<()> {
    let mut socket = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let block = content::block(BUFFER);
    let mut left = size_bytes;
    while left > 0 {
        let length = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
        socket.write_all(&block[..length])?;
        left -= length as u64;
    }
    Ok(())
}

fn store(socket: &TcpStream, size_bytes: u64, partial: &Path, finished: &Path) -> io::Result<String> {
    let mut file = File::create(partial)?;
    let digest = thread::scope(|scope| {
        let (to_hasher, filled) = sync_channel(BUFFERS);
        let (give_back, empty) = sync_channel(BUFFERS);
        let hasher = scope.spawn(move || hash(&filled, &give_back));
        receive(socket, size_bytes, &mut file, &to_hasher, &empty)?;
        drop(to_hasher);
        hasher.join().map_err(|_| hasher_ended())
    })?;

    file.sync_data()?;
    fs::rename(partial, finished)?;
    let dir = finished.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all())?;
    Ok(digest)
}

fn receive(
    mut socket: &TcpStream,
    size_bytes: u64,
    file: &mut File,
    to_hasher: &SyncSender<Arc<Vec<u8>>>,
    empty: &Receiver<Arc<Vec<u8>>>,
) -> io::Result<()> {
    let mut spare: Vec<_> = (0..BUFFERS).map(|_| Arc::new(Vec::with_capacity(BUFFER))).collect();
    let mut received = 0;
    while received < size_bytes {
        let mut buffer = spare.pop().or_else(|| empty.recv().ok()).ok_or_else(hasher_ended)?;
        // The hasher is done with a buffer that it gave back, and so is the write below.
        let bytes = Arc::get_mut(&mut buffer).ok_or_else(hasher_ended)?;
        bytes.clear();
        let limit = (size_bytes - received).min(BUFFER as u64);
        let read = (&mut socket).take(limit).read_to_end(bytes)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        received += read as u64;

        to_hasher.send(Arc::clone(&buffer)).map_err(|_| hasher_ended())?;
        file.write_all(&buffer)?;
    }
    Ok(())
}

fn hash(filled: &Receiver<Arc<Vec<u8>>>, give_back: &SyncSender<Arc<Vec<u8>>>) -> String {
    let mut hasher = Sha256::new();
    for buffer in filled {
        hasher.update(buffer.as_slice());
        let _ = give_back.send(buffer);
    }
    hasher.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn hasher_ended() -> io::Error {
    io::Error::other("the hashing thread ended early")
}

/// User and system time of this process, ended threads included.
fn cpu_time() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Fields 14 and 15, in hundredths of a second on every Linux; the name in field 2 may hold spaces.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
