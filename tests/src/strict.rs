//! A way to an object store on which the documented rules of one vendor hold: what that vendor would not take is refused
//! in its manner and does not arrive. It is an HTTP proxy, so that requests name the vendor's own host and the store
//! behind, which serves that name, checks the very signatures that the vendor would.

mod asked;
mod checks;
pub mod rules;
mod uploads;

use std::{
    convert::Infallible,
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use blob::store::object::Scale;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use crate::address;
use asked::{Asked, Operation};
use rules::{Habit, Refusal, Rules};
use uploads::Uploads;

/// A running proxy.
#[derive(Debug)]
pub struct Strict {
    listens_at: SocketAddr,
    way: Arc<Way>,
    serving: JoinHandle<()>,
}

/// The store behind, at its two doors.
#[derive(Debug, Clone, Copy)]
pub struct Behind {
    /// Where it speaks S3.
    pub store: SocketAddr,
    /// Where it takes whole files under `/buckets`, unsigned.
    pub files: SocketAddr,
}

#[derive(Debug)]
struct Way {
    rules: Rules,
    behind: Behind,
    client: reqwest::Client,
    uploads: Uploads,
    passed: AtomicU64,
    refused: Mutex<Vec<String>>,
}

type Answer = Response<Full<Bytes>>;

impl Strict {
    /// Starts a proxy in front of `behind` that keeps `rules`.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(behind: Behind, rules: Rules) -> Self {
        let listener = TcpListener::bind(address::with_port(0)).await.unwrap();
        let listens_at = listener.local_addr().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let (uploads, passed, refused) = (Uploads::default(), AtomicU64::new(0), Mutex::default());
        let way = Arc::new(Way { rules, behind, client, uploads, passed, refused });
        let serving = tokio::spawn(serve(listener, way.clone()));
        Self { listens_at, way, serving }
    }

    /// Where it listens.
    pub fn listens_at(&self) -> SocketAddr {
        self.listens_at
    }

    /// How many requests broke no rule.
    pub fn passed(&self) -> u64 {
        self.way.passed.load(Ordering::Relaxed)
    }

    /// Those that broke one, each with the code of its refusal.
    ///
    /// # Panics
    /// If answering one has panicked.
    pub fn refused(&self) -> Vec<String> {
        self.way.refused.lock().unwrap().clone()
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, way: Arc<Way>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let way = way.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let way = way.clone();
                async move { Ok::<_, Infallible>(way.answer(request).await) }
            });
            // A client may go at any time.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

impl Way {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return plain(StatusCode::BAD_REQUEST, Bytes::new());
        };
        let asked = Asked::new(head, body.to_bytes());
        match self.take(&asked).await {
            Ok(answer) => {
                self.passed.fetch_add(1, Ordering::Relaxed);
                answer
            }
            Err(refusal) => self.refuse(&asked, refusal),
        }
    }

    async fn take(&self, asked: &Asked) -> Result<Answer, Refusal> {
        let (bucket, path) = checks::alone(asked, &self.rules)?;
        if let Operation::Complete { id } = asked.operation() {
            let named = uploads::named(&asked.body);
            let sizes = self.uploads.sizes(id, &named);
            // Of an upload that it has not seen it knows nothing.
            if self.uploads.knows(id) {
                checks::together(&sizes, &self.rules)?;
            }
        }

        // The store's own smallest part cannot be made smaller: what is scaled is put together here.
        if self.rules.scale != Scale::default() {
            return self.keep(asked, bucket, path).await;
        }
        let answer = self.pass(asked).await;
        if let (true, Operation::Part { id, number }) = (answer.status().is_success(), asked.operation()) {
            self.uploads.note(id, number.parse().unwrap(), asked.size_bytes());
        }
        Ok(answer)
    }

    /// Answers for multipart uploads itself, and hands the objects over that come of them.
    async fn keep(&self, asked: &Asked, bucket: &str, path: &str) -> Result<Answer, Refusal> {
        match asked.operation() {
            Operation::Begin => {
                let id = self.uploads.begin();
                let document = format!("<UploadId>{id}</UploadId>");
                Ok(document_of("InitiateMultipartUploadResult", "", &document))
            }
            Operation::Part { id, number } => {
                let tag = self.uploads.keep(id, number.parse().unwrap(), asked.body.clone())?;
                let mut answer = plain(StatusCode::OK, Bytes::new());
                answer.headers_mut().insert(header::ETAG, self.tags()(&tag).parse().unwrap());
                Ok(answer)
            }
            Operation::Complete { id } => {
                let joined = self.uploads.join(id, &uploads::named(&asked.body), self.tags())?;
                let answer = self.hand_over(bucket, path, joined).await;
                if answer.status().is_success() {
                    self.uploads.end(id);
                }
                Ok(answer)
            }
            Operation::Abort { id } => {
                self.uploads.end(id);
                Ok(plain(StatusCode::NO_CONTENT, Bytes::new()))
            }
            Operation::Put | Operation::List | Operation::Other => Ok(self.pass(asked).await),
        }
    }

    /// How this vendor writes entity tags.
    fn tags(&self) -> fn(&str) -> String {
        if self.rules.has(Habit::TagsInCapitals) { str::to_uppercase } else { str::to_owned }
    }

    async fn hand_over(&self, bucket: &str, path: &str, joined: Vec<u8>) -> Answer {
        let url = format!("http://{}/buckets/{bucket}{path}", self.behind.files);
        let sent = self.client.put(url).header(header::CONTENT_TYPE, "application/octet-stream").body(joined);
        if !sent.send().await.is_ok_and(|answer| answer.status().is_success()) {
            return plain(StatusCode::BAD_GATEWAY, Bytes::new());
        }
        let blanks = if self.rules.has(Habit::BlanksBeforeTheResult) { " \n \n " } else { "" };
        document_of("CompleteMultipartUploadResult", blanks, "<ETag>\"0-1\"</ETag>")
    }

    /// Hands the request over as it is, also its host, because that is signed.
    async fn pass(&self, asked: &Asked) -> Answer {
        let query = asked.parameters.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("http://{}{}{query}", self.behind.store, asked.path);
        let request = self.client.request(asked.method.clone(), url).headers(asked.headers.clone());
        let Ok(answer) = request.body(asked.body.clone()).send().await else {
            return plain(StatusCode::BAD_GATEWAY, Bytes::new());
        };
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let Ok(bytes) = answer.bytes().await else {
            return plain(StatusCode::BAD_GATEWAY, Bytes::new());
        };

        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONNECTION);
        if asked.method != Method::HEAD {
            headers.insert(header::CONTENT_LENGTH, bytes.len().into());
        }
        let mut response = plain(status, bytes);
        *response.headers_mut() = headers;
        response
    }

    fn refuse(&self, asked: &Asked, refusal: Refusal) -> Answer {
        let request = format!("{}: {} {}{}", refusal.code, asked.method, asked.host, asked.path);
        self.refused.lock().unwrap().push(request);

        let mut inside = format!("<Code>{}</Code><Message>{}</Message>", refusal.code, refusal.message);
        for name in self.rules.error_elements {
            let value = match *name {
                "Resource" => asked.path.as_str(),
                "HostId" => asked.host.as_str(),
                _ => "0",
            };
            write!(inside, "<{name}>{value}</{name}>").unwrap();
        }
        let mut answer = document_of("Error", "", &inside);
        *answer.status_mut() = StatusCode::from_u16(refusal.status).unwrap();
        answer
    }
}

fn document_of(root: &str, blanks: &str, inside: &str) -> Answer {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{blanks}<{root}>{inside}</{root}>");
    let mut answer = plain(StatusCode::OK, text.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/xml"));
    answer
}

fn plain(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
}
