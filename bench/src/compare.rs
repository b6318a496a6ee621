//! The comparison: every server is started anew for each round, and then every scenario is done with one server
//! after the other, so that what the machine does meanwhile meets all of them.

use std::{fs, io, path::Path};

use crate::{
    ballast::Ballast,
    copy,
    ledger::{Ledger, Row, Who},
    registry::Upload,
    scenarios::{self, Stock, images, large, lists, reads},
    servers::{Kind, Server},
    usage,
};

/// How often in a round a large blob is pushed, each time right behind the yardstick: what the machine takes for fresh
/// memory and for the disk varies more from minute to minute than the servers do.
const PUSHES: usize = 3;

/// What to compare.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often everything is done.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bytes of the large blob.
    #[arg(long, default_value = "1GiB", value_parser = crate::bytes)]
    size: u64,
    /// Where all servers keep their data.
    #[arg(long, default_value = ".")]
    dir: std::path::PathBuf,
    /// Only these scenarios.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Only these servers.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// The file that also gets the table.
    #[arg(long)]
    results: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    Memory,
    Copy,
    Push,
    Pull,
    Pulls,
    Gets,
    Heads,
    Images,
    /// In the first round only: filling takes long.
    Lists,
    /// In the first round only, and Bucket alone.
    Million,
}

impl Options {
    /// Compares, and prints the table.
    pub(crate) fn run(&self) -> io::Result<()> {
        // nginx reads relative paths from a directory of its own.
        let directory = std::path::absolute(&self.dir)?.join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let ballast = Ballast::take()?;
        let measured = self.rounds_in(&directory);
        drop(ballast);
        let removed = fs::remove_dir_all(&directory);
        let table = measured?.table();
        removed?;

        println!("{table}");
        match &self.results {
            Some(file) => fs::write(file, format!("{}\n{table}", self.heading()?)),
            None => Ok(()),
        }
    }

    fn rounds_in(&self, directory: &Path) -> io::Result<Ledger> {
        let mut ledger = Ledger::default();
        for round in 0..self.rounds {
            eprintln!("round {} of {}", round + 1, self.rounds);
            self.round(round, directory, &mut ledger)?;
        }
        Ok(ledger)
    }

    fn round(&self, round: usize, directory: &Path, ledger: &mut Ledger) -> io::Result<()> {
        let stock = Stock::new(self.size);
        let servers: io::Result<Vec<Server>> = Kind::ALL
            .into_iter()
            .filter(|kind| self.servers.is_empty() || self.servers.contains(&format!("{kind:?}")))
            .map(|kind| Server::start(kind, directory))
            .collect();
        let servers = servers?;
        if self.wants(Scenario::Memory) {
            servers.iter().try_for_each(|server| scenarios::idle_memory(server, ledger))?;
        }
        servers.iter().try_for_each(|server| stock.put_into(server))?;
        for push in 0..PUSHES {
            if self.wants(Scenario::Copy) {
                self.yardstick(&directory.join(format!("copy-{round}-{push}")), ledger)?;
            }
            if self.wants(Scenario::Push) {
                servers
                    .iter()
                    .try_for_each(|server| self.play(Scenario::Push, server, round, &stock, ledger))?;
            }
        }
        for scenario in [
            Scenario::Pull,
            Scenario::Pulls,
            Scenario::Gets,
            Scenario::Heads,
            Scenario::Images,
            Scenario::Lists,
            Scenario::Million,
        ] {
            let once = matches!(scenario, Scenario::Lists | Scenario::Million);
            if self.wants(scenario) && (round == 0 || !once) {
                servers.iter().try_for_each(|server| self.play(scenario, server, round, &stock, ledger))?;
            }
        }
        Ok(())
    }

    fn play(
        &self,
        scenario: Scenario,
        server: &Server,
        round: usize,
        stock: &Stock,
        ledger: &mut Ledger,
    ) -> io::Result<()> {
        let files_without_sendfile = server.kind == Kind::NginxWithoutSendfile;
        match scenario {
            Scenario::Memory | Scenario::Copy => Ok(()),
            Scenario::Push => {
                large::push(server, self.size, Upload::Monolithic, ledger)?;
                large::push(server, self.size, Upload::Streamed, ledger)
            }
            Scenario::Pull => large::pull(server, stock, ledger),
            // It is here for large files only.
            _ if files_without_sendfile => Ok(()),
            Scenario::Pulls => large::pulls(server, stock, ledger),
            Scenario::Gets => reads::gets(server, stock, ledger),
            Scenario::Heads => reads::heads(server, ledger),
            Scenario::Images => images::push(server, round, ledger),
            Scenario::Lists => lists::lists(server, stock, ledger),
            Scenario::Million => lists::million(server, stock, ledger),
        }
    }

    /// The file stays, as what servers store does: memory that is given back to a virtual machine's host is slow to get
    /// again, and whoever comes next would pay for it.
    fn yardstick(&self, file: &Path, ledger: &mut Ledger) -> io::Result<()> {
        let size = scenarios::gibibytes(self.size);
        usage::settle();
        let took = copy::measure(self.size, file)?;
        let (time, cpu) = (took.elapsed.as_secs_f64() / size, took.cpu.as_secs_f64() / size);
        ledger.add(&Row::lower("push, monolithic PUT, time", "s/GiB"), Who::Copy, time);
        ledger.add(&Row::lower("push, monolithic PUT, CPU of the server", "s/GiB"), Who::Copy, cpu);
        Ok(())
    }

    fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }

    fn heading(&self) -> io::Result<String> {
        let cores = std::thread::available_parallelism()?;
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
        Ok(format!(
            "# Results\n\nMedians of {} rounds on {cores} cores ({}), client and servers on one machine; large blobs of {:.2} GiB. \
             A ratio above 1 is in Bucket's favour.\nMade by `bench/run`, which writes this file anew.\n",
            self.rounds,
            model.map_or("unknown", str::trim),
            scenarios::gibibytes(self.size),
        ))
    }
}
