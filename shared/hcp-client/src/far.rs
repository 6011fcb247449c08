//! For tests: a far side that does exactly what a test says, byte by byte.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

static SPACES: [u8; 64 << 10] = [b' '; 64 << 10];

/// A server of one answer per connection.
pub(crate) struct Far {
    /// `http://127.0.0.1:port`.
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    sent_bytes: Arc<AtomicU64>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `GET /path?query`.
    pub(crate) line: String,
    /// The header lines, their names in lower case.
    pub(crate) head: Vec<String>,
    pub(crate) body: String,
}

/// What the far side does with a request, before it closes the connection.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Say(String),
    /// Says no more, and does not close either.
    Hang(String),
    /// Goes on with spaces, up to so many bytes.
    Flood(String, u64),
}

impl Far {
    pub(crate) async fn new(deeds: impl Fn(&Seen) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let far = Self { address, seen: Arc::default(), sent_bytes: Arc::default() };
        let (deeds, seen, sent_bytes) = (Arc::new(deeds), far.seen.clone(), far.sent_bytes.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (deeds, seen, sent_bytes) = (deeds.clone(), seen.clone(), sent_bytes.clone());
                tokio::spawn(async move {
                    let (stream, request) = read(stream).await;
                    seen.lock().unwrap().push(request.clone());
                    act(stream, deeds(&request), &sent_bytes).await;
                });
            }
        });
        far
    }

    /// One that always says the same.
    pub(crate) async fn saying(status: &str, headers: &str, body: &str) -> Self {
        let deed = Deed::Say(answer(status, headers, body));
        Self::new(move |_| deed.clone()).await
    }

    /// An address at which nobody listens.
    pub(crate) async fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Each request's line, `+` before those with a token.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mark = |seen: &Seen| if seen.header("authorization").is_some() { '+' } else { '-' };
        self.seen().iter().map(|seen| format!("{}{}", mark(seen), seen.line)).collect()
    }

    /// How much of a flood was taken.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::SeqCst)
    }
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

async fn read(mut stream: TcpStream) -> (TcpStream, Seen) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let (line, head) = head.split_once("\r\n").unwrap();
            let lower = |line: &str| {
                let (name, value) = line.split_once(':').unwrap();
                format!("{}:{value}", name.to_lowercase())
            };
            let line = line.split(" HTTP/").next().unwrap().to_owned();
            let seen = Seen { line, head: head.lines().map(lower).collect(), body: body.to_owned() };
            if body.len() >= seen.header("content-length").map_or(0, |length| length.parse().unwrap()) {
                return (stream, seen);
            }
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the request breaks off");
    }
}

async fn act(mut stream: TcpStream, deed: Deed, sent_bytes: &AtomicU64) {
    match deed {
        // A client that has left, as it may, leaves nobody to tell.
        Deed::Say(answer) => drop(stream.write_all(answer.as_bytes()).await),
        Deed::Hang(answer) => {
            drop(stream.write_all(answer.as_bytes()).await);
            std::future::pending::<()>().await;
        }
        Deed::Flood(answer, bytes_max) => {
            drop(stream.write_all(answer.as_bytes()).await);
            while sent_bytes.load(Ordering::SeqCst) < bytes_max && stream.write_all(&SPACES).await.is_ok() {
                sent_bytes.fetch_add(SPACES.len() as u64, Ordering::SeqCst);
            }
        }
    }
}

pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

pub(crate) fn ok(body: &str) -> Deed {
    Deed::Say(answer("200 OK", "", body))
}

pub(crate) fn redirect(to: &str) -> Deed {
    Deed::Say(answer("307 Temporary Redirect", &format!("location: {to}\r\n"), ""))
}
