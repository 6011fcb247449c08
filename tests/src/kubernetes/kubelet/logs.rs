//! The kubelet's own endpoint: logs over TLS, as the API server asks for them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::Listener;
use rustls::pki_types::PrivateKeyDer;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::node::{Log, Node};

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What may be asked of a log.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    tail_lines: Option<usize>,
    limit_bytes: Option<usize>,
}

/// Serves logs until the node stops. Returns the port.
pub(super) async fn serve(node: Arc<Node>) -> io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let listener = Encrypted { listener, acceptor: acceptor() };
    let mut stopped = node.stopped();
    let router = Router::new().route("/containerLogs/{namespace}/{pod}/{container}", get(log)).with_state(node);
    tokio::spawn(async move {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            _ = axum::serve(listener, router) => {}
        }
    });
    Ok(port)
}

async fn log(
    State(node): State<Arc<Node>>,
    Path(log): Path<Log>,
    Query(options): Query<Options>,
) -> (StatusCode, Vec<u8>) {
    let (_, pod, container) = &log;
    match node.log(&log) {
        None => (StatusCode::NOT_FOUND, format!("pod \"{pod}\" not found").into_bytes()),
        Some(Err(reason)) => {
            let why = format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {reason}");
            (StatusCode::BAD_REQUEST, why.into_bytes())
        }
        // A container that could not be started has said nothing.
        Some(Ok(path)) => (StatusCode::OK, cut(std::fs::read(path).unwrap_or_default(), &options)),
    }
}

/// The last lines, and of these the first bytes.
fn cut(mut text: Vec<u8>, options: &Options) -> Vec<u8> {
    if let Some(lines) = options.tail_lines {
        let ended = text.ends_with(b"\n");
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1);
        let mut starts: Vec<_> = std::iter::once(0).chain(ends).collect();
        if ended || text.is_empty() {
            starts.pop();
        }
        let start = starts.len().checked_sub(lines).map_or(0, |first| starts.get(first).copied().unwrap_or(text.len()));
        text.drain(..start);
    }
    if let Some(bytes) = options.limit_bytes {
        text.truncate(bytes);
    }
    text
}

fn acceptor() -> TlsAcceptor {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("names of our own can be certified");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a key fits the certificate that was made with it");
    TlsAcceptor::from(Arc::new(config))
}

/// Accepts connections that shake hands.
struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream)).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_to_its_last_lines_and_then_to_its_first_bytes() {
        let check = |text: &str, tail_lines: Option<usize>, limit_bytes: Option<usize>, expected: &str| {
            let cut = cut(text.into(), &Options { tail_lines, limit_bytes });
            assert_eq!(String::from_utf8(cut).unwrap(), expected, "{text:?} {tail_lines:?} {limit_bytes:?}");
        };
        check("a\nb\nc\n", None, None, "a\nb\nc\n");
        check("a\nb\nc\n", Some(2), None, "b\nc\n");
        check("a\nb\nc", Some(2), None, "b\nc");
        check("a\nb\n", Some(9), None, "a\nb\n");
        check("a\nb\n", Some(0), None, "");
        check("", Some(1), None, "");
        check("a\nbb\nc\n", Some(2), Some(3), "bb\n");
    }
}
