//! Telling Lambda that init failed, and why.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::Serialize;

/// Init failed. Prints the same for a person and for `main`.
#[derive(thiserror::Error)]
#[error("{0}")]
pub struct InitFailed(String);

impl fmt::Debug for InitFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    error_type: &'a str,
    error_message: &'a str,
    stack_trace: [&'a str; 0],
}

/// What init made. If it failed, the Runtime API is told why before the process ends: Lambda would otherwise know
/// of an exit status only.
pub fn started<T, E: StdError>(vars: &BTreeMap<String, String>, init: Result<T, E>) -> Result<T, InitFailed> {
    init.map_err(|error| {
        let failed = InitFailed(sluice_domain::chain(&error));
        if let Some(api) = vars.get("AWS_LAMBDA_RUNTIME_API") {
            // Whoever does not listen cannot be told; the error is printed in any case.
            let _ = report(api, &failed.0);
        }
        failed
    })
}

/// One request on a connection of its own: no client is worth setting up for a process that is about to end.
fn report(api: &str, message: &str) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(1);
    let report = Report { error_type: "Runtime.InitError", error_message: message, stack_trace: [] };
    let body = serde_json::to_vec(&report)?;
    let address = api.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {api}\r\nContent-Type: application/json\r\n\
         Lambda-Runtime-Function-Error-Type: Runtime.InitError\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    // The answer is waited for, as it says that the report arrived; what it says does not matter.
    stream.read(&mut [0; 64]).map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn lambda_is_told_why_init_failed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = listener.local_addr().unwrap().to_string();
        let lambda = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut part = [0; 256];
                let read = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..read]);
            }
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").unwrap();
            String::from_utf8(request).unwrap()
        });
        let vars = BTreeMap::from([("AWS_LAMBDA_RUNTIME_API".to_owned(), api)]);
        let init: Result<(), io::Error> = Err(io::Error::other("TABLE is not set"));
        assert_eq!(format!("{:?}", started(&vars, init).unwrap_err()), "TABLE is not set");
        let request = lambda.join().unwrap();
        assert!(request.starts_with("POST /2018-06-01/runtime/init/error HTTP/1.1\r\n"), "{request}");
        let body = r#"{"errorType":"Runtime.InitError","errorMessage":"TABLE is not set","stackTrace":[]}"#;
        assert!(request.ends_with(&format!("\r\n\r\n{body}")), "{request}");
    }

    #[test]
    fn init_fails_alike_where_nobody_listens() {
        let init: Result<(), io::Error> = Err(io::Error::other("no"));
        assert_eq!(started(&BTreeMap::new(), init).unwrap_err().to_string(), "no");
    }
}
