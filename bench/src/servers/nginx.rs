//! nginx over plain files: as many workers as cores, no log, and everything else as it comes.

use std::{fs, io, process::Command};

use super::Server;

pub(super) fn start(server: &mut Server, sendfile: &str) -> io::Result<()> {
    let (directory, address) = (server.directory.display().to_string(), server.address);
    // Beside the files: as root, nginx reads them as another user.
    let configuration = format!(
        "daemon off; user root; worker_processes auto; pid {directory}/pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile {sendfile}; keepalive_requests 1000000000; tcp_nodelay on;
    default_type application/octet-stream;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    server {{ listen {address}; root {directory}/files; }}
}}
"
    );
    fs::create_dir_all(server.directory.join("files"))?;
    let file = server.directory.join("nginx.conf");
    fs::write(&file, configuration)?;

    let mut command = Command::new("nginx");
    command.arg("-p").arg(&server.directory).arg("-c").arg(file).args(["-e", "stderr"]);
    server.run(command, address)
}
