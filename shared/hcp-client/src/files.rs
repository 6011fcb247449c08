//! What a run task may read: the plan and the configuration, wherever redirects lead, without the token being led along.

use std::fmt;

use reqwest::Response;
use reqwest::header::LOCATION;
use secrecy::SecretString;
use sluice_domain::gate::CallbackUrl;
use sluice_domain::ports::{DownloadUrl, TerraformError};
use sluice_domain::{Classify, Fault};

use crate::failure::{bad_answer, of_answer, unreachable};
use crate::hop::{BadUrl, Hop};
use crate::stream::FileStream;
use crate::task_client::{TaskClient, with_token};

/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 5;

/// What a run task may read with the token of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskFile {
    /// The plan as JSON.
    Plan,
    /// The configuration as a tar archive.
    Configuration,
}

impl TaskFile {
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Plan => "loading a plan",
            Self::Configuration => "loading a configuration",
        }
    }
}

impl fmt::Display for TaskFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "plan",
            Self::Configuration => "configuration",
        })
    }
}

/// A file that cannot be had. It holds nothing of the file, its URL or the token.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// HCP Terraform is still making it.
    #[error("the {file} is not ready yet")]
    NotReady {
        /// Which.
        file: TaskFile,
    },
    /// It is larger than the caller takes.
    #[error("the {file} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// Which.
        file: TaskFile,
        /// What the caller takes.
        limit_bytes: u64,
    },
    /// The task result's token does not open it, or there is none: the token has run out, the run is gone, or its
    /// Terraform is too old to have one (422).
    #[error("HCP Terraform does not hand out the {file} to this run task any more, or never did (status {status})")]
    Denied {
        /// Which.
        file: TaskFile,
        /// The HTTP status.
        status: u16,
    },
    /// Anything else that HCP Terraform does or does not do.
    #[error(transparent)]
    Terraform(#[from] TerraformError),
}

impl Classify for FileError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotReady { .. } => Fault::TRANSIENT,
            Self::TooLarge { .. } | Self::Denied { .. } => Fault::Permanent,
            Self::Terraform(error) => error.fault(),
        }
    }
}

/// Where a file is.
#[derive(Debug)]
pub enum Located {
    /// At a URL that needs no token: whoever has it has the file, for a minute or so.
    Elsewhere(DownloadUrl),
    /// Here: HCP Terraform hands it out itself.
    Here(FileStream),
}

impl TaskClient {
    /// Opens `file`, which HCP Terraform said is at `url`. Its bytes come as they are asked for, `limit_bytes` of them
    /// at most.
    pub async fn open(
        &self,
        file: TaskFile,
        url: &CallbackUrl,
        token: &SecretString,
        limit_bytes: u64,
    ) -> Result<FileStream, FileError> {
        let mut hop = self.first_hop(file, url)?;
        for _ in 0..=REDIRECTS_MAX {
            match self.ask(file, &hop, token).await? {
                Answered::File(answer) => return FileStream::new(file, answer, limit_bytes),
                Answered::Redirect(next) => hop = next,
            }
        }
        Err(endless(file))
    }

    /// Asks where `file` is without going there. A redirect that stays with HCP Terraform itself is followed, as it
    /// may want the token again.
    pub async fn locate(
        &self,
        file: TaskFile,
        url: &CallbackUrl,
        token: &SecretString,
        limit_bytes: u64,
    ) -> Result<Located, FileError> {
        let mut hop = self.first_hop(file, url)?;
        for _ in 0..=REDIRECTS_MAX {
            match self.ask(file, &hop, token).await? {
                Answered::File(answer) => return FileStream::new(file, answer, limit_bytes).map(Located::Here),
                Answered::Redirect(next) if next.with_token => hop = next,
                Answered::Redirect(next) => return Ok(Located::Elsewhere(DownloadUrl(next.url.into()))),
            }
        }
        Err(endless(file))
    }

    fn first_hop(&self, file: TaskFile, url: &CallbackUrl) -> Result<Hop, FileError> {
        Ok(Hop { url: self.own(file.action(), url)?, with_token: true })
    }

    async fn ask(&self, file: TaskFile, hop: &Hop, token: &SecretString) -> Result<Answered, FileError> {
        let action = file.action();
        let mut request = self.http.get(hop.url.clone());
        if hop.with_token {
            request = with_token(action, request, token)?;
        }
        let answer = request.send().await.map_err(|error| unreachable(action, error))?;
        if !answer.status().is_redirection() {
            return checked(file, answer, hop.with_token).map(Answered::File);
        }
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.ok_or(BadUrl::Unreadable).and_then(|location| hop.follow(location));
        next.map(Answered::Redirect).map_err(|bad| bad_answer(action, bad.to_string()).into())
    }
}

enum Answered {
    File(Response),
    Redirect(Hop),
}

fn endless(file: TaskFile) -> FileError {
    bad_answer(file.action(), format!("it leads through more than {REDIRECTS_MAX} redirects")).into()
}

/// `answer`, if it has the file. `ours`: HCP Terraform itself gave it, to the token.
///
/// The body of any other is not looked at: an object store's error may repeat the signed URL.
fn checked(file: TaskFile, answer: Response, ours: bool) -> Result<Response, FileError> {
    let action = file.action();
    let busy = |status, detail: &str| TerraformError::Busy { action, status, detail: detail.to_owned() };
    Err(match answer.status().as_u16() {
        204 => FileError::NotReady { file },
        200..=299 => return Ok(answer),
        // A signed URL lives for a minute. Asking again gets another.
        status @ (401 | 403) if !ours => busy(status, "the link to the file is not valid any more").into(),
        status @ (408 | 409 | 423 | 425) => busy(status, "it has no time now").into(),
        429 | 500..=599 => of_answer(action, answer.status(), answer.headers(), &[]).into(),
        status => FileError::Denied { file, status },
    })
}

#[cfg(test)]
mod tests;
