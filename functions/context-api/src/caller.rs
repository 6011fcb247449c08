//! Who asks: a person with a token of their own, or a check with one that was made for it.

use std::fmt;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sluice_domain::gate::Stage;
use sluice_domain::ports::{ContextKey, ContextStore, GateStore};
use sluice_domain::{CheckName, RunId, TaskResultId, Workspace};
use subtle::{Choice, ConstantTimeEq};

use crate::ContextApi;
use crate::refusal::Refusal;

/// The tokens of people, who may read and write the context of any run. Only what they come to when hashed is held, so
/// that all have one length to be compared by.
#[derive(Clone, Default)]
pub struct Operators(Vec<[u8; 32]>);

impl Operators {
    /// Those who have one of `tokens`.
    #[must_use]
    pub fn new(tokens: &[SecretString]) -> Self {
        Self(tokens.iter().map(|token| hash(token.expose_secret())).collect())
    }

    fn have(&self, token: &str) -> bool {
        let hash = hash(token);
        let found = self.0.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&hash));
        found.into()
    }
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operators({} tokens)", self.0.len())
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A person.
    Operator,
    /// A check that runs.
    Check { result: TaskResultId, check: CheckName, stage: Stage, workspace: Workspace },
}

impl Caller {
    /// Whether the caller may write the context of a run of whose end was heard. A check after the apply may: HCP
    /// Terraform may say that the run is over while it waits for that.
    pub(crate) fn outlives_the_run(&self) -> bool {
        matches!(self, Self::Check { stage: Stage::PostApply, .. })
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("an operator"),
            Self::Check { result, check, .. } => write!(f, "check {check} of {result}"),
        }
    }
}

/// Who asks, if they may ask about `run`. The token of a check is good while that check runs, and no longer.
pub(crate) async fn caller<S: GateStore + ContextStore>(
    api: &ContextApi<S>,
    run: &RunId,
    request: &Request<Bytes>,
) -> Result<Caller, Refusal> {
    let token = bearer(request).ok_or(Refusal::NoToken)?;
    if api.operators.have(token) {
        return Ok(Caller::Operator);
    }
    let claims = api.gate.context_claims(token).ok_or(Refusal::Token)?;
    if claims.run != *run {
        return Err(Refusal::AnotherRun);
    }
    let gated = api.store.gated(&claims.result).await?.ok_or(Refusal::Ended)?;
    let waits = gated.admission.check(&claims.check).is_some()
        && gated.state.verdict.is_none()
        && gated.state.end.is_none()
        && gated.execution(&claims.check).end.is_none();
    let request = gated.admission.request;
    if !waits || request.run != *run {
        return Err(Refusal::Ended);
    }
    let (stage, workspace) = (request.stage, request.workspace);
    Ok(Caller::Check { result: claims.result, check: claims.check, stage, workspace })
}

/// The context of `run` that the caller means. For a check it is that of the workspace in which its task was asked. A person
/// names the run alone, and requests say of runs what they like: where they name more than one workspace, HCP Terraform's
/// news of the run tell, and where those do not either, nobody is to guess.
pub(crate) async fn meant<S: ContextStore>(
    api: &ContextApi<S>,
    run: &RunId,
    caller: &Caller,
) -> Result<ContextKey, Refusal> {
    let key = |workspace: &Workspace| ContextKey { workspace: workspace.clone(), run: run.clone() };
    if let Caller::Check { workspace, .. } = caller {
        return Ok(key(workspace));
    }
    let claims = api.store.context_workspaces(run).await?;
    match claims.as_slice() {
        [] => return Err(Refusal::Unknown),
        [only] => return Ok(key(only)),
        _ => {}
    }
    let mut heard = Vec::new();
    for of in claims.iter().map(key) {
        if api.store.context_standing(&of).await?.is_some() {
            heard.push(of);
        }
    }
    match (heard.pop(), heard.is_empty()) {
        (Some(of), true) => Ok(of),
        _ => Err(Refusal::Claimed(claims)),
    }
}

/// The token of a request, if it has one.
fn bearer(request: &Request<Bytes>) -> Option<&str> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
