//! A state file on its way into the scanner, never held.

use reqwest::Response;
use reqwest::header::{CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use secrecy::ExposeSecret;
use sluice_domain::ports::{DownloadUrl, TerraformError};
use sluice_hcp::state::{Scan, ScanError, ScanErrorKind, Scanner};
use tracing::debug;

use crate::client::Client;
use crate::failure::{bad_answer, of_download, unreachable};
use crate::hop::{BadUrl, Hop};

const ACTION: &str = "loading a state file";
/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 5;

/// How much of a state file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All that the scanner looks for.
    All,
    /// Its outputs, which come first: the rest is not even loaded.
    Outputs,
}

impl Client {
    /// Scans the state file at `download`.
    pub(crate) async fn scan(&self, download: &DownloadUrl, wanted: Wanted) -> Result<Scan, TerraformError> {
        let mut answer = self.open(download).await?;
        let mut scanner = match wanted {
            Wanted::All => Scanner::new(self.digester.clone()),
            Wanted::Outputs => Scanner::outputs_only(self.digester.clone()),
        };
        let framed = framed(&answer);
        let mut bytes = 0;
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(ACTION, error))? {
            bytes += chunk.len() as u64;
            if bytes > self.limits.state_bytes {
                return Err(bad_answer(ACTION, format!("it is larger than {} bytes", self.limits.state_bytes)));
            }
            scanner.push(&chunk).map_err(|error| bad_answer(ACTION, error.to_string()))?;
            if wanted == Wanted::Outputs && scanner.outputs_done() {
                break;
            }
        }
        debug!(size_bytes = bytes, "loaded a state file");
        let scan = if wanted == Wanted::Outputs { scanner.finish_outputs() } else { scanner.finish() };
        scan.map_err(|error| unfinished(error, framed))
    }

    /// The answer that has the file, wherever redirects lead.
    async fn open(&self, download: &DownloadUrl) -> Result<Response, TerraformError> {
        let refused = |bad: BadUrl| bad_answer(ACTION, bad.to_string());
        let mut hop = Hop::first(&self.api, download).map_err(refused)?;
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.request(&hop).await?;
            if !answer.status().is_redirection() {
                return checked(answer, hop.with_token);
            }
            let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            hop = hop.follow(location.ok_or(BadUrl::Unreadable).map_err(refused)?).map_err(refused)?;
        }
        Err(bad_answer(ACTION, format!("it leads through more than {REDIRECTS_MAX} redirects")))
    }

    async fn request(&self, hop: &Hop) -> Result<Response, TerraformError> {
        let mut request = self.http.get(hop.url.clone());
        if hop.with_token {
            request = request.bearer_auth(self.token.expose_secret());
        }
        request.send().await.map_err(|error| unreachable(ACTION, error))
    }
}

fn checked(answer: Response, ours: bool) -> Result<Response, TerraformError> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    Err(of_download(ACTION, answer.status(), answer.headers(), ours))
}

/// Whether the answer says where its body ends. Then a body that breaks off is an error of the connection.
fn framed(answer: &Response) -> bool {
    [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|header| answer.headers().contains_key(header))
}

/// The file is there to its end, as far as one can tell, and is not a state.
fn unfinished(error: ScanError, framed: bool) -> TerraformError {
    match error.kind {
        // A connection that broke looks just like one that was closed.
        ScanErrorKind::Empty | ScanErrorKind::Truncated if !framed => {
            TerraformError::Unreachable { action: ACTION, source: error.into() }
        }
        _ => bad_answer(ACTION, error.to_string()),
    }
}
