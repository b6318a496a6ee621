//! nginx over plain files, or in front of a hub: as many workers as cores, no log, and everything else as it comes.

use std::{fs, io, net::SocketAddr, path::Path, process::Command};

use super::Server;

pub(super) fn start(server: &mut Server, sendfile: &str) -> io::Result<()> {
    let files = server.directory.join("files");
    fs::create_dir_all(&files)?;
    run(server, sendfile, &format!("root {};", files.display()))
}

/// What deploy/nginx/bucket.conf does with layers, without TLS, and without asking the hub again if that fails.
pub(super) fn start_in_front_of(server: &mut Server, hub: SocketAddr, store: &Path) -> io::Result<()> {
    let store = store.display();
    let locations = format!(
        "location / {{
            proxy_pass http://{hub}; proxy_http_version 1.1; proxy_buffering off;
            proxy_set_header Host $http_host; proxy_set_header X-Bucket-Handoff file;
        }}
        location /_bucket/file/ {{
            internal; alias {store}/; tcp_nopush on; sendfile_max_chunk 2m; etag off; max_ranges 1;
        }}"
    );
    run(server, "on", &locations)
}

fn run(server: &mut Server, sendfile: &str, locations: &str) -> io::Result<()> {
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
    server {{ listen {address}; {locations} }}
}}
"
    );
    let file = server.directory.join("nginx.conf");
    fs::write(&file, configuration)?;

    let mut command = Command::new("nginx");
    command.arg("-p").arg(&server.directory).arg("-c").arg(file).args(["-e", "stderr"]);
    server.run(command, address)
}
