//! What a job came to: a verdict, what it said, and what it leaves for others.

use std::time::Duration;

use secrecy::SecretString;
use sluice_aws::change_context;
use sluice_domain::context::{Document, DocumentError};
use sluice_domain::gate::{CheckVerdict, Ended, Level, Outcome, Tag};
use sluice_domain::ports::{Cluster, ContextKey, ContextStore, JobEnd, JobExit, JobPlace, Kept, Output, StoreError};
use sluice_domain::{CheckName, chain};
use sluice_runner::Asked;
use tracing::{info, warn};

use crate::output::{Shown, masked};
use crate::task_data::{self, TaskData};
use crate::{Jobs, verdict};

/// The member of the context that has a copy of what each check handed back.
const COPIES: &str = "taskData";

/// How long a job's end waits for others who write to the same context.
const CONTEXT_PATIENCE: Duration = Duration::from_secs(10);

impl<S: ContextStore, C: Cluster> Jobs<S, C> {
    /// What a job that ended came to. Whatever becomes of what it left, its exit code stands.
    pub(crate) async fn ended(&self, asked: Asked<'_>, place: &JobPlace, end: JobEnd) -> Ended {
        let (verdict, head) = verdict(&end.how);
        let secrets = self.secrets(asked);
        let shown = Shown::new(&end.output, &secrets);
        let plain = |text: String| Shown::new(&Output { text, cut: false }, &secrets).on_one_line();
        // The cluster may quote the program.
        let head = plain(head);
        let mut outcomes = outcomes(&shown);
        let mut said = None;
        if let Some(annotation) = &end.task_data {
            match task_data::read(annotation) {
                Ok(data) => {
                    outcomes.extend(self.keep(asked, &data).await);
                    outcomes.extend(data.outcomes.into_iter().map(|outcome| without(&secrets, outcome)));
                    outcomes.extend(data.unread.map(not_kept));
                    said = data.message.map(plain);
                }
                Err(error) => {
                    warn!(job = %place, "what job {place} left as its task data is not kept: {error}");
                    outcomes.push(not_kept(format!("What it left in lagoon.sh/taskData is not kept: {error}")));
                }
            }
        }
        info!(job = %place, run = %asked.request().run, "job {place} ended: {head}");
        let message = match (said, shown.last_lines()) {
            // The cluster's word comes first where the program had none.
            (Some(said), _) if !matches!(end.how, JobExit::Broken { .. }) => said,
            (_, Some(lines)) if verdict != CheckVerdict::Passed => format!("{head}: {lines}"),
            (_, Some(lines)) => lines,
            (_, None) => head,
        };
        Ended::new(asked.now, verdict, message).with(outcomes)
    }

    /// What a job that goes on has written.
    pub(crate) fn so_far(&self, asked: Asked<'_>, output: &Output) -> Vec<Outcome> {
        outcomes(&Shown::new(output, &self.secrets(asked)))
    }

    /// Keeps what a job handed back: its members in the context of the run, as one who saves properties would, and all
    /// of it under the check's name. Whoever writes at the same time loses nothing.
    async fn keep(&self, asked: Asked<'_>, data: &TaskData) -> Option<Outcome> {
        let (run, check) = (&asked.request().run, &asked.check.name);
        let of = ContextKey::of(asked.request());
        let change = |kept: &Kept| Ok::<_, NotKept>(with_data(&kept.document, check, &data.document)?);
        let error = change_context(&self.store, &of, CONTEXT_PATIENCE, asked.now, change).await.err()?;
        warn!(run = %run, check = %check, "what check {check} left is not in the context of {run}: {}", chain(&error));
        Some(not_kept(format!("What it left in lagoon.sh/taskData is not in the run's context: {error}")))
    }
}

/// What a job handed back is not kept.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    /// With it, the context would not be one.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// What is behind that concerns the account that Sluice runs in, and is in the log.
    #[error("the table did not take it")]
    Store(#[from] StoreError),
}

/// A context with what a check handed back: its members, and all of it as it is under the check's name. A member of the
/// name of those copies is only in the copy, as it would take the place of what other checks left.
fn with_data(context: &Document, check: &CheckName, data: &Document) -> Result<Document, DocumentError> {
    let members = data.merge(&Document::kept(format!(r#"{{"{COPIES}":null}}"#)))?;
    context.put(&members)?.put_in(COPIES, check.as_str(), data)
}

/// What a program wants to be said, without `secrets`.
fn without(secrets: &[SecretString], outcome: Outcome) -> Outcome {
    let text = |text: String| masked(&text, secrets);
    Outcome {
        description: text(outcome.description),
        body: outcome.body.map(text),
        url: outcome.url.map(text),
        ..outcome
    }
}

/// What a program wrote, as an outcome.
fn outcomes(shown: &Shown) -> Vec<Outcome> {
    let outcome = |body| Outcome {
        id: "output".to_owned(),
        description: "What the program wrote".to_owned(),
        body: Some(body),
        ..Outcome::default()
    };
    shown.body().map(outcome).into_iter().collect()
}

fn not_kept(description: String) -> Outcome {
    let tags = vec![Tag::new("Status", "Not kept", Level::Warning)];
    Outcome { id: "task-data".to_owned(), description, tags, ..Outcome::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(context: &str, data: &str, expect: &str) {
        let document = |text: &str| Document::parse(text.as_bytes()).unwrap();
        let with = with_data(&document(context), &"scan".parse().unwrap(), &document(data)).unwrap();
        assert_eq!(with.as_str(), expect);
    }

    #[test]
    fn what_a_job_hands_back_is_kept_as_it_is_and_takes_nothing_of_other_checks_away() {
        check("{}", r#"{"a":{"b":null}}"#, r#"{"a":{"b":null},"taskData":{"scan":{"a":{"b":null}}}}"#);
        check(
            r#"{"a":{"c":1},"taskData":{"cost":{"x":1},"scan":{"old":1}}}"#,
            r#"{"a":2}"#,
            r#"{"a":2,"taskData":{"cost":{"x":1},"scan":{"a":2}}}"#,
        );
        for data in [r#"{"taskData":{"cost":null}}"#, r#"{"taskData":7}"#, r#"{"taskData":null}"#] {
            let expect = format!(r#"{{"taskData":{{"cost":{{"x":1}},"scan":{data}}}}}"#);
            check(r#"{"taskData":{"cost":{"x":1}}}"#, data, &expect);
        }
        check(r#"{"taskData":"a text"}"#, "{}", r#"{"taskData":{"scan":{}}}"#);
    }

    #[test]
    fn what_would_lie_too_deep_is_not_kept() {
        let data = Document::parse(format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100)).as_bytes()).unwrap();
        let with = with_data(&Document::empty(), &"scan".parse().unwrap(), &data);
        assert_eq!(with, Err(DocumentError::TooDeep));
    }
}
