//! CNCF distribution as its package configures it, without what would slow it down: logs of each request,
//! debug server, health checks.

use std::{fs, io, process::Command};

use super::Server;

pub(super) fn start(server: &mut Server) -> io::Result<()> {
    let (directory, address) = (server.directory.display().to_string(), server.address);
    let configuration = format!(
        "version: 0.1
log: {{ level: error, accesslog: {{ disabled: true }} }}
storage: {{ filesystem: {{ rootdirectory: {directory}/data }}, cache: {{ blobdescriptor: inmemory }}, delete: {{ enabled: true }} }}
http: {{ addr: \"{address}\", secret: benchmark }}
"
    );
    let file = server.directory.join("config.yml");
    fs::write(&file, configuration)?;

    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(file).env("OTEL_TRACES_EXPORTER", "none");
    server.run(command, address)
}
