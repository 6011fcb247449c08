//! What a job came to: a verdict, what it said, and what it leaves for others.

use std::time::Duration;

use sluice_aws::change_context;
use sluice_domain::context::{Document, DocumentError};
use sluice_domain::gate::{CheckVerdict, Ended, Level, Outcome, Tag};
use sluice_domain::ports::{Cluster, ContextStore, JobEnd, JobExit, JobPlace, Kept, Output, StoreError};
use sluice_domain::{CheckName, chain};
use sluice_runner::Asked;
use tracing::{info, warn};

use crate::output::{Shown, masked};
use crate::task_data::{self, TaskData};
use crate::{Jobs, verdict};

/// How long a job's end waits for others who write to the same context.
const CONTEXT_PATIENCE: Duration = Duration::from_secs(10);

impl<S: ContextStore, C: Cluster> Jobs<S, C> {
    /// What a job that ended came to. Whatever becomes of what it left, its exit code stands.
    pub(crate) async fn ended(&self, asked: Asked<'_>, place: &JobPlace, end: JobEnd) -> Ended {
        let (verdict, head) = verdict(&end.how);
        let shown = self.shown(asked, &end.output);
        // The cluster may quote the program.
        let head = self.plain(asked, head);
        let mut outcomes = outcomes(&shown);
        let mut said = None;
        if let Some(annotation) = &end.task_data {
            match task_data::read(annotation) {
                Ok(data) => {
                    outcomes.extend(self.keep(asked, &data).await);
                    let of_job = data.outcomes.into_iter().map(|outcome| self.masked(asked, outcome));
                    outcomes.extend(of_job);
                    outcomes.extend(data.unread.map(not_kept));
                    said = data.message.map(|message| self.plain(asked, message));
                }
                Err(error) => {
                    warn!(job = %place, "what job {place} left as its task data is not kept: {error}");
                    outcomes.push(not_kept(format!("What it left in lagoon.sh/taskData is not kept: {error}")));
                }
            }
        }
        info!(job = %place, run.id = %asked.request().run, "job {place} ended: {head}");
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
        outcomes(&self.shown(asked, output))
    }

    fn plain(&self, asked: Asked<'_>, text: String) -> String {
        self.shown(asked, &Output { text, cut: false }).on_one_line()
    }

    fn shown(&self, asked: Asked<'_>, output: &Output) -> Shown {
        Shown::new(output, &self.secrets(asked))
    }

    fn masked(&self, asked: Asked<'_>, outcome: Outcome) -> Outcome {
        let secrets = self.secrets(asked);
        let text = |text: String| masked(&text, &secrets);
        Outcome {
            description: text(outcome.description),
            body: outcome.body.map(text),
            url: outcome.url.map(text),
            ..outcome
        }
    }

    /// Keeps what a job handed back: its members in the context of the run, as one who saves properties would, and all
    /// of it under the check's name. Whoever writes at the same time loses nothing.
    async fn keep(&self, asked: Asked<'_>, data: &TaskData) -> Option<Outcome> {
        let (run, check) = (&asked.request().run, &asked.check.name);
        let (gone, copy) = (copy_of(check, &Document::empty(), true), copy_of(check, &data.document, false));
        let change = |kept: &Kept| {
            let document = kept.document.put(&data.document)?.merge(&gone)?.merge(&copy)?;
            Ok::<_, NotKept>(document)
        };
        let error = change_context(&self.store, run, CONTEXT_PATIENCE, asked.now, change).await.err()?;
        warn!(run.id = %run, check = %check, "what check {check} left is not in the context of {run}: {}", chain(&error));
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

/// A patch of the context that puts a check's task data under its name, or takes it away.
fn copy_of(check: &CheckName, data: &Document, away: bool) -> Document {
    let data = if away { "null" } else { data.as_str() };
    Document::kept(format!(r#"{{"taskData":{{"{check}":{data}}}}}"#))
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
