//! A process that a test has started: ready before it is used, killed when it goes out of scope.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long a process may take until it is ready, or to end: generous, because it is never waited out.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running process whose output goes to a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ready: Receiver<()>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` and waits until a line of its output contains `ready`.
    ///
    /// # Panics
    /// If it cannot be started, or ends before it is ready; with what it printed.
    pub fn start(name: &str, command: Command, log: &Path, ready: &'static str) -> Self {
        let process = Self::spawn(name, command, log, ready);
        process.wait_until_ready();
        process
    }

    /// Starts `command` and does not wait.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn(name: &str, mut command: Command, log: &Path, ready: &'static str) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("starting {name} ({command:?}): {error}"));

        let (tell, told) = channel();
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|output| Box::new(output) as _),
            child.stderr.take().map(|output| Box::new(output) as _),
        ];
        let readers = outputs
            .into_iter()
            .flatten()
            .map(|output| {
                let file = File::options().create(true).append(true).open(log).unwrap();
                let tell = tell.clone();
                std::thread::spawn(move || copy_lines(output, file, ready, &tell))
            })
            .collect();
        Self { name: name.to_owned(), child, log: log.to_owned(), ready: told, readers }
    }

    fn wait_until_ready(&self) {
        match self.ready.recv_timeout(PATIENCE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} is not ready after {PATIENCE:?}:\n{}", self.name, self.log())
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("{} ended at its start:\n{}", self.name, self.log())
            }
        }
    }

    /// All that it, and those before it with the same log, have printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs still.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it like `kill -9`, and waits for that.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        // The output ends with the process: joining the readers waits without asking again and again.
        let began = Instant::now();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        assert!(began.elapsed() < PATIENCE, "{} took too long to end", self.name);
        self.child.wait().unwrap()
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Panics
    /// If there is no such process.
    pub fn terminate(&mut self) -> ExitStatus {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.wait_for_end()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.char_indices().rev().nth(4_000).map_or(0, |(at, _)| at);
            eprintln!("── the end of what {} printed:\n{}", self.name, &log[tail..]);
        }
    }
}

fn copy_lines(output: impl Read, mut file: File, ready: &str, tell: &std::sync::mpsc::Sender<()>) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while let Ok(1..) = lines.read_until(b'\n', &mut line) {
        let _ = file.write_all(&line);
        if String::from_utf8_lossy(&line).contains(ready) {
            let _ = tell.send(());
        }
        line.clear();
    }
}

/// Runs `command` to its end; answers what it printed on both outputs.
///
/// # Panics
/// If it fails, with what it printed.
pub fn run(command: &mut Command) -> String {
    let (status, printed) = try_run(command);
    assert!(status.success(), "{command:?} ended with {status}:\n{printed}");
    printed
}

/// Runs `command` to its end; answers how it ended and what it printed on both outputs.
///
/// # Panics
/// If it cannot be started.
pub fn try_run(command: &mut Command) -> (ExitStatus, String) {
    let output =
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status, printed)
}
