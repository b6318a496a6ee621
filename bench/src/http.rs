//! A client that costs next to nothing: HTTP/1.1 over one blocking connection. It knows only what registries
//! answer to the requests below, and refuses everything else.

use std::{
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::content::Content;

/// No single answer may take longer.
const PATIENCE: Duration = Duration::from_mins(5);
const BUFFER: usize = 1 << 20;

/// One connection.
pub(crate) struct Client {
    connection: BufReader<TcpStream>,
    host: SocketAddr,
}

/// What is asked.
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    /// Complete lines, each with its end.
    pub(crate) headers: String,
    pub(crate) body: Body<'a>,
}

/// What is sent along.
pub(crate) enum Body<'a> {
    None,
    Bytes(&'a [u8]),
    /// With its length in front.
    Announced(&'a Content),
    /// In chunks, as docker does it.
    Chunked(&'a Content),
}

/// What was answered; the body is still to be read.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    length: u64,
    framing: Framing,
}

enum Framing {
    Length,
    Chunks,
}

impl Client {
    pub(crate) fn connect(host: SocketAddr) -> io::Result<Self> {
        let connection = TcpStream::connect(host)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { connection: BufReader::with_capacity(BUFFER, connection), host })
    }

    /// Asks, throws the answer's body away, and insists on `status`.
    pub(crate) fn expect(&mut self, status: u16, request: &Request<'_>) -> io::Result<Head> {
        let head = self.ask(request)?;
        let body = if request.method == "HEAD" { Vec::new() } else { self.small_body(&head)? };
        if head.status == status {
            return Ok(head);
        }
        let (Request { method, path, .. }, got) = (request, head.status);
        let said = String::from_utf8_lossy(&body).into_owned();
        Err(io::Error::other(format!("{method} {path} at {}: {got} instead of {status}: {said}", self.host)))
    }

    /// Asks, and reads the body into nowhere. Answers its length.
    pub(crate) fn download(&mut self, request: &Request<'_>) -> io::Result<u64> {
        let head = self.ask(request)?;
        if head.status != 200 {
            return Err(io::Error::other(format!("{} at {}: {}", request.path, self.host, head.status)));
        }
        if matches!(head.framing, Framing::Chunks) {
            return Ok(self.small_body(&head)?.len() as u64);
        }
        let mut left = head.length;
        while left > 0 {
            let buffered = self.connection.fill_buf()?.len();
            if buffered == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let taken = left.min(buffered as u64);
            self.connection.consume(usize::try_from(taken).map_err(io::Error::other)?);
            left -= taken;
        }
        Ok(head.length)
    }

    /// Asks, and keeps the body: for short ones.
    pub(crate) fn read(&mut self, request: &Request<'_>) -> io::Result<(Head, Vec<u8>)> {
        let head = self.ask(request)?;
        let body = self.small_body(&head)?;
        Ok((head, body))
    }

    fn ask(&mut self, request: &Request<'_>) -> io::Result<Head> {
        self.send(request)?;
        loop {
            let head = self.head()?;
            if head.status >= 200 {
                return Ok(head);
            }
        }
    }

    fn send(&mut self, request: &Request<'_>) -> io::Result<()> {
        let Request { method, path, headers, body } = request;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}", self.host);
        let framing = match body {
            Body::None if matches!(*method, "POST" | "PUT") => "Content-Length: 0\r\n".to_owned(),
            Body::None => String::new(),
            Body::Bytes(bytes) => format!("Content-Length: {}\r\n", bytes.len()),
            Body::Announced(content) => format!("Content-Length: {}\r\n", content.size_bytes()),
            Body::Chunked(_) => "Transfer-Encoding: chunked\r\n".to_owned(),
        };
        let _ = write!(head, "{framing}\r\n");

        let connection = self.connection.get_mut();
        match body {
            Body::None => connection.write_all(head.as_bytes()),
            Body::Bytes(bytes) => connection.write_all(&[head.as_bytes(), bytes].concat()),
            Body::Announced(content) => {
                connection.write_all(head.as_bytes())?;
                content.blocks(|block| connection.write_all(block))
            }
            Body::Chunked(content) => {
                connection.write_all(head.as_bytes())?;
                content.blocks(|block| {
                    connection.write_all(format!("{:x}\r\n", block.len()).as_bytes())?;
                    connection.write_all(block)?;
                    connection.write_all(b"\r\n")
                })?;
                connection.write_all(b"0\r\n\r\n")
            }
        }
    }

    fn head(&mut self) -> io::Result<Head> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no answer from {}", self.host)))?;

        let mut head = Head { status, location: None, length: 0, framing: Framing::Length };
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                return Ok(head);
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.parse().map_err(io::Error::other)?,
                "location" => head.location = Some(value.to_owned()),
                "transfer-encoding" => head.framing = Framing::Chunks,
                _ => {}
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.connection.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn chunk_length(&mut self) -> io::Result<u64> {
        u64::from_str_radix(&self.line()?, 16).map_err(io::Error::other)
    }

    fn small_body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if matches!(head.framing, Framing::Chunks) {
            while let length @ 1.. = self.chunk_length()? {
                (&mut self.connection).take(length).read_to_end(&mut body)?;
                self.line()?;
            }
            self.line()?;
        } else if head.status != 204 && head.status != 304 {
            (&mut self.connection).take(head.length).read_to_end(&mut body)?;
        }
        Ok(body)
    }
}

impl<'a> Request<'a> {
    /// A request without a body.
    pub(crate) fn new(method: &'static str, path: &'a str, headers: &str) -> Self {
        Self { method, path, headers: headers.to_owned(), body: Body::None }
    }

    /// The same, with a body of a media type.
    pub(crate) fn with(self, media_type: &str, body: Body<'a>) -> Self {
        let headers = format!("{}Content-Type: {media_type}\r\n", self.headers);
        Self { headers, body, ..self }
    }
}
