//! A file as it comes in: bounded, and readable by a parser that knows nothing of waiting.

use std::fmt;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use reqwest::Response;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use sluice_domain::ports::TerraformError;
use tokio::sync::mpsc;
use tracing::debug;

use crate::failure::unreachable;
use crate::files::{FileError, TaskFile};

/// Most chunks that wait for the parser.
const CHUNKS_AHEAD: usize = 4;

/// A file whose bytes come as they are asked for. It does not print: it may hold secrets.
pub struct FileStream {
    file: TaskFile,
    answer: Response,
    limit_bytes: u64,
    bytes: u64,
}

impl fmt::Debug for FileStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStream").field("file", &self.file).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl FileStream {
    /// The file that `answer` has, refused at once if it says that it is too large.
    pub(crate) fn new(file: TaskFile, answer: Response, limit_bytes: u64) -> Result<Self, FileError> {
        if answer.content_length().is_some_and(|length| length > limit_bytes) {
            return Err(FileError::TooLarge { file, limit_bytes });
        }
        Ok(Self { file, answer, limit_bytes, bytes: 0 })
    }

    /// The next bytes; None at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FileError> {
        let file = self.file;
        let chunk = self.answer.chunk().await.map_err(|error| unreachable(file.action(), error))?;
        self.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.bytes > self.limit_bytes {
            return Err(FileError::TooLarge { file, limit_bytes: self.limit_bytes });
        }
        Ok(chunk)
    }

    /// Whether the answer says where the file ends. If it does not, a connection that breaks looks like the end: a
    /// parser that misses something there has learned nothing of the file.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|header| self.answer.headers().contains_key(header))
    }

    /// What `parse` makes of the file, on a thread where it may block, while the bytes come in. It may stop early:
    /// then the rest is not loaded.
    ///
    /// An error is one of the download, whatever `parse` made of the part it saw; what `parse` says of the file itself
    /// is in its own result. Whoever drops the future ends `parse` at its next read.
    pub async fn read_with<T: Send + 'static>(
        mut self,
        parse: impl FnOnce(FileReader) -> T + Send + 'static,
    ) -> Result<T, FileError> {
        let action = self.file.action();
        let (sender, parts) = mpsc::channel(CHUNKS_AHEAD);
        let reader = FileReader { parts, rest: Bytes::new(), ended: false };
        let parsing = tokio::task::spawn_blocking(move || parse(reader));
        let fed = self.feed(sender).await;
        let parsed = parsing.await;
        fed?;
        parsed.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => TerraformError::Unreachable { action, source: error.into() }.into(),
        })
    }

    /// Hands the file over until its end, an error, or until nobody listens any more.
    async fn feed(&mut self, parts: mpsc::Sender<Part>) -> Result<(), FileError> {
        loop {
            let chunk = tokio::select! {
                () = parts.closed() => return Ok(()),
                chunk = self.chunk() => chunk?,
            };
            let part = chunk.map_or(Part::End, Part::Bytes);
            let ended = matches!(part, Part::End);
            if parts.send(part).await.is_err() || ended {
                debug!(size_bytes = self.bytes, "done with {}", self.file.action());
                return Ok(());
            }
        }
    }
}

enum Part {
    Bytes(Bytes),
    End,
}

/// A file for a parser that blocks. A download that breaks off is an error here, never an early end.
pub struct FileReader {
    parts: mpsc::Receiver<Part>,
    rest: Bytes,
    ended: bool,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.ended {
            match self.parts.blocking_recv() {
                Some(Part::Bytes(bytes)) => self.rest = bytes,
                Some(Part::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the download broke off")),
            }
        }
        let length = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
