//! What a program wrote, and what it left, read once it is over.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Resource as _;
use kube::api::LogParams;
use kube::core::Request;
use sluice_domain::ports::{JobPlace, Output};
use sluice_domain::{Classify as _, Fault, Told as _, chain};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::calls::Calls;
use crate::error::{ClusterError, Tried};

/// Most lines that are read.
const LINES: i64 = 400;
/// Lines that are read where so many are too long, and where those still are.
const LINES_FEWER: [i64; 2] = [20, 1];
/// Most bytes that are read.
const READ_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes that are kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// What is said after the beginning of a line whose end is out of reach.
const BEGINNING: &str =
    "…\n(this is the beginning of the last line: it is longer than a megabyte, and its end cannot be read)\n";
/// How often it is tried, in the time that there is.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(400);

/// The end of what `container` wrote. Where it is not to be had, or not in the time that there is for it, why not: it is
/// shown to whoever sees the run, and the end of the job counts all the same.
pub(crate) async fn output(calls: &Calls, place: &JobPlace, pod: &str, container: &str) -> Output {
    let tried = Tried::new("get", "pods/log", &place.namespace, pod);
    let reading = timeout(calls.limits().output, reading(calls, &tried, container));
    match reading.await.unwrap_or_else(|_| Err(ClusterError::TimedOut(tried.clone()))) {
        Ok(output) => output,
        Err(error) => {
            let why = chain(&error);
            warn!(job = %place, "what {pod} of job {place} wrote is not to be had: {why}");
            let text = format!("(what the program wrote is not to be had: {})", error.told());
            Output { text, cut: true }
        }
    }
}

async fn reading(calls: &Calls, tried: &Tried, container: &str) -> Result<Output, ClusterError> {
    for attempt in 1..ATTEMPTS {
        match read(calls, tried, container).await {
            Err(error) if error.fault() != Fault::Permanent => sleep(PAUSE * attempt).await,
            done => return done,
        }
    }
    read(calls, tried, container).await
}

async fn read(calls: &Calls, tried: &Tried, container: &str) -> Result<Output, ClusterError> {
    let lines = async |lines: i64| {
        let params = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(lines),
            limit_bytes: i64::try_from(READ_BYTES_MAX).ok(),
            ..LogParams::default()
        };
        let get = Request::new(Pod::url_path(&(), Some(&tried.namespace))).logs(&tried.name, &params);
        calls.text(tried, get, READ_BYTES_MAX).await
    };
    let mut bytes = lines(LINES).await?;
    // The bytes are counted from the first of those lines: of very long ones it is not the end that was read.
    let long = bytes.len() >= READ_BYTES_MAX;
    for fewer in LINES_FEWER {
        if bytes.len() >= READ_BYTES_MAX {
            bytes = lines(fewer).await?;
        }
    }
    if bytes.len() >= READ_BYTES_MAX {
        return Ok(Output { text: head(&bytes), cut: true });
    }
    let count = String::from_utf8_lossy(&bytes).lines().count();
    let many = i64::try_from(count).is_ok_and(|count| count >= LINES);
    let (text, cut) = tail(&bytes);
    Ok(Output { text, cut: cut || long || many })
}

/// The last of it, as text; whether there is more.
fn tail(bytes: &[u8]) -> (String, bool) {
    let from = bytes.len().saturating_sub(KEPT_BYTES_MAX);
    let mut kept = &bytes[from..];
    if from > 0 {
        // Not from within a letter.
        let whole = kept.iter().take(4).position(|byte| byte & 0xC0 != 0x80).unwrap_or_default();
        kept = &kept[whole..];
    }
    let text = String::from_utf8_lossy(kept);
    // What was no text takes more room as such.
    let over = text.len().saturating_sub(KEPT_BYTES_MAX);
    let start = (over..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    (text[start..].to_owned(), from > 0 || start > 0)
}

/// The beginning of a line that is too long for its end to be read, which is said.
fn head(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT_BYTES_MAX)]);
    let kept = text.floor_char_boundary(KEPT_BYTES_MAX - BEGINNING.len());
    format!("{}{BEGINNING}", &text[..kept])
}

#[cfg(test)]
mod tests {
    use super::{BEGINNING, KEPT_BYTES_MAX, head, tail};

    #[test]
    fn of_a_line_without_an_end_the_beginning_is_kept_and_called_so() {
        for bytes in ["é".repeat(KEPT_BYTES_MAX).into_bytes(), vec![0xFF; KEPT_BYTES_MAX], b"short".to_vec()] {
            let text = head(&bytes);
            assert!(text.len() <= KEPT_BYTES_MAX && text.ends_with(BEGINNING), "{} bytes", text.len());
            assert!(text.starts_with(['é', '\u{FFFD}', 's']));
        }
    }

    #[test]
    fn the_end_of_what_was_written_is_kept_as_text() {
        assert_eq!(tail(b"hello\n"), ("hello\n".to_owned(), false));
        assert_eq!(tail(b"a\xFFb"), ("a\u{FFFD}b".to_owned(), false));
        let long = format!("{}é{}", "x".repeat(10), "y".repeat(KEPT_BYTES_MAX - 1));
        assert_eq!(tail(long.as_bytes()), ("y".repeat(KEPT_BYTES_MAX - 1), true));
        let (text, cut) = tail(&vec![0xFF; KEPT_BYTES_MAX]);
        assert!(cut && text.len() <= KEPT_BYTES_MAX && text.chars().all(|c| c == '\u{FFFD}'));
    }
}
