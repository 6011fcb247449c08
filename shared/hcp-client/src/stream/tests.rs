use std::time::Duration;

use secrecy::SecretString;
use sluice_domain::gate::CallbackUrl;
use sluice_domain::{Classify, Fault};
use tokio::sync::oneshot;

use super::*;
use crate::far::{Deed, Far, ok};
use crate::task_client::{TaskClient, TaskLimits};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

async fn open_within(far: &Far, limit_bytes: u64, limits: TaskLimits) -> Result<FileStream, FileError> {
    let client = TaskClient::new(&far.address.parse().unwrap(), None, limits).unwrap();
    let (url, token) = (CallbackUrl(format!("{}/plan", far.address)), SecretString::from("SECRET-EXAMPLE"));
    client.open(TaskFile::Plan, &url, &token, limit_bytes).await
}

async fn open(far: &Far, limit_bytes: u64) -> Result<FileStream, FileError> {
    open_within(far, limit_bytes, TaskLimits::default()).await
}

fn text(mut reader: FileReader) -> io::Result<String> {
    let mut text = String::new();
    reader.read_to_string(&mut text).map(|_| text)
}

async fn drained(mut stream: FileStream) -> Result<u64, FileError> {
    let mut bytes = 0;
    while let Some(chunk) = stream.chunk().await? {
        bytes += chunk.len() as u64;
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_parser_reads_the_file_as_it_is() {
    let body = "{\"a\": [1, 2, 3]}\n".repeat(50_000);
    let said = body.clone();
    let far = Far::new(move |_| ok(&said)).await;
    let stream = open(&far, 1 << 30).await.unwrap();
    let read = tokio::spawn(stream.read_with(text)).await.unwrap().unwrap();
    assert_eq!(read.unwrap(), body);
    assert_eq!(drained(open(&far, 1 << 30).await.unwrap()).await.unwrap(), body.len() as u64);

    let empty = Far::new(|_| ok("")).await;
    assert_eq!(open(&empty, 0).await.unwrap().read_with(text).await.unwrap().unwrap(), "");
}

#[tokio::test]
async fn a_file_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let far = Far::new(|_| ok("12345")).await;
    assert_eq!(drained(open(&far, 5).await.unwrap()).await.unwrap(), 5);
    let error = open(&far, 4).await.unwrap_err();
    assert!(matches!(error, FileError::TooLarge { limit_bytes: 4, .. }), "{error}");
    assert_eq!(error.fault(), Fault::Permanent);

    let far = Far::new(|_| Deed::Say(format!("{CHUNKED}3\r\n123\r\n2\r\n45\r\n0\r\n\r\n"))).await;
    assert_eq!(drained(open(&far, 5).await.unwrap()).await.unwrap(), 5);
    let error = drained(open(&far, 4).await.unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "the plan is larger than 4 bytes");
}

#[tokio::test]
async fn a_file_without_end_is_not_loaded_beyond_the_limit() {
    const FLOOD_BYTES: u64 = 256 << 20;
    let far = Far::new(|_| Deed::Flood("HTTP/1.1 200 OK\r\n\r\n".to_owned(), FLOOD_BYTES)).await;
    let read = open(&far, 1 << 20).await.unwrap().read_with(text).await;
    assert!(matches!(read, Err(FileError::TooLarge { limit_bytes: 0x0010_0000, .. })), "{read:?}");
    assert!(far.sent_bytes() < FLOOD_BYTES / 8, "{} bytes", far.sent_bytes());
}

#[tokio::test]
async fn a_download_that_breaks_off_is_no_fault_of_the_file() {
    for said in [
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"a\":".to_owned(),
        format!("{CHUNKED}4\r\n{{\"a\":\r\n"),
        format!("{CHUNKED}FFFFF\r\n{{\"a\":"),
    ] {
        let far = Far::new(move |_| Deed::Say(said.clone())).await;
        let stream = open(&far, 1 << 20).await.unwrap();
        assert!(stream.is_framed());
        let (tell, told) = oneshot::channel();
        let parse = move |reader| tell.send(text(reader).unwrap_err().kind()).unwrap();
        let error = stream.read_with(parse).await.unwrap_err();
        assert_eq!(error.fault(), Fault::TRANSIENT, "{error}");
        assert_eq!(told.await.unwrap(), io::ErrorKind::ConnectionAborted, "the parser is not told that it is the end");
    }
}

#[tokio::test]
async fn whether_the_end_can_be_trusted_is_told() {
    let far = Far::new(|_| Deed::Say("HTTP/1.1 200 OK\r\n\r\n{\"a\":".to_owned())).await;
    let stream = open(&far, 1 << 20).await.unwrap();
    assert!(!stream.is_framed());
    assert_eq!(drained(stream).await.unwrap(), 5);
}

#[tokio::test]
async fn silence_ends_in_time_on_both_sides() {
    let limits = TaskLimits { idle: Duration::from_millis(50), ..TaskLimits::default() };
    let far = Far::new(|_| Deed::Hang("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned())).await;
    let error = open_within(&far, 1 << 20, limits).await.unwrap().read_with(text).await.unwrap_err();
    assert_eq!(error.fault(), Fault::TRANSIENT);
    let far = Far::new(|_| Deed::Hang(String::new())).await;
    assert_eq!(open_within(&far, 1 << 20, limits).await.unwrap_err().fault(), Fault::TRANSIENT);
}

#[tokio::test]
async fn what_a_parser_finds_wrong_is_its_own_result() {
    let far = Far::new(|_| ok("{]")).await;
    let parse = |reader: FileReader| serde_json::from_reader::<_, serde_json::Value>(reader).map_err(|e| e.to_string());
    let parsed = open(&far, 1 << 20).await.unwrap().read_with(parse).await.unwrap();
    assert_eq!(parsed.unwrap_err(), "key must be a string at line 1 column 2");
}

#[tokio::test]
async fn a_parser_that_has_seen_enough_ends_the_download() {
    const FLOOD_BYTES: u64 = 256 << 20;
    let first = |mut reader: FileReader| {
        let mut byte = [0];
        reader.read_exact(&mut byte).map(|()| byte[0])
    };
    let far = Far::new(|_| Deed::Flood("HTTP/1.1 200 OK\r\n\r\n!".to_owned(), FLOOD_BYTES)).await;
    assert_eq!(open(&far, u64::MAX).await.unwrap().read_with(first).await.unwrap().unwrap(), b'!');
    assert!(far.sent_bytes() < FLOOD_BYTES / 8, "{} bytes", far.sent_bytes());

    let far = Far::new(|_| Deed::Hang("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n!".to_owned())).await;
    assert_eq!(open(&far, u64::MAX).await.unwrap().read_with(first).await.unwrap().unwrap(), b'!');
    open(&far, u64::MAX).await.unwrap().read_with(drop).await.unwrap();
}

#[tokio::test]
async fn nobody_waiting_for_the_result_ends_the_parser() {
    let far = Far::new(|_| Deed::Hang("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n!".to_owned())).await;
    let (start, started) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let parse = move |mut reader: FileReader| {
        reader.read_exact(&mut [0]).unwrap();
        start.send(()).unwrap();
        end.send(text(reader).unwrap_err().kind()).unwrap();
    };
    let reading = open(&far, u64::MAX).await.unwrap().read_with(parse);
    tokio::select! {
        _ = reading => panic!("there is no end to it"),
        started = started => started.unwrap(),
    }
    assert_eq!(ended.await.unwrap(), io::ErrorKind::ConnectionAborted);
}

#[tokio::test]
#[should_panic(expected = "a parser's own panic")]
async fn a_parser_that_panics_panics() {
    let far = Far::new(|_| ok("{}")).await;
    let _ = open(&far, 9).await.unwrap().read_with(|_| panic!("a parser's own panic")).await;
}

#[tokio::test]
async fn a_file_does_not_print() {
    let far = Far::new(|_| ok("hunter2")).await;
    let printed = format!("{:?}", open(&far, 99).await.unwrap());
    assert_eq!(printed, "FileStream { file: Plan, bytes: 0, .. }");
}
