//! What a program wrote, and what it left, read once it is over.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Resource as _;
use kube::api::LogParams;
use kube::core::Request;
use sluice_domain::ports::{JobPlace, Output};
use sluice_domain::{Classify as _, Fault, chain};

use crate::calls::Calls;
use crate::error::{ClusterError, Tried};

/// Most lines that are read.
const LINES: i64 = 400;
/// Lines that are read where so many are too long.
const LINES_FEW: i64 = 20;
/// Most bytes that are read.
const READ_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes that are kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// How often it is tried: the end counts all the same.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(400);

/// The end of what `container` wrote. Where it is not to be had, why not.
pub(crate) async fn output(calls: &Calls, place: &JobPlace, pod: &str, container: &str) -> Output {
    let mut attempt = 1;
    loop {
        match read(calls, place, pod, container).await {
            Ok(output) => return output,
            Err(error) if attempt == ATTEMPTS || error.fault() == Fault::Permanent => {
                let text = format!("(what the program wrote is not to be had: {})", chain(&error));
                return Output { text, cut: true };
            }
            Err(_) => tokio::time::sleep(PAUSE * attempt).await,
        }
        attempt += 1;
    }
}

async fn read(calls: &Calls, place: &JobPlace, pod: &str, container: &str) -> Result<Output, ClusterError> {
    let tried = Tried::new("get", "pods/log", &place.namespace, pod);
    let lines = async |lines: i64| {
        let params = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(lines),
            limit_bytes: i64::try_from(READ_BYTES_MAX).ok(),
            ..LogParams::default()
        };
        let get = Request::new(Pod::url_path(&(), Some(&place.namespace))).logs(pod, &params);
        calls.text(&tried, get, READ_BYTES_MAX).await
    };
    let mut bytes = lines(LINES).await?;
    // The bytes are counted from the first of those lines: of very long ones it is not the end that was read.
    let long = bytes.len() >= READ_BYTES_MAX;
    if long {
        bytes = lines(LINES_FEW).await?;
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

#[cfg(test)]
mod tests {
    use super::{KEPT_BYTES_MAX, tail};

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
