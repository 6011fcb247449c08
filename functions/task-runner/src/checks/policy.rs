//! What Rego policies say of a run, in HCP Terraform's words.

use std::collections::BTreeSet;

use futures_util::stream::{Stream, try_unfold};
use serde_json::{Value, json};
use sluice_domain::gate::{CheckVerdict, Ended, Level, Outcome, Tag, TaskRequest};
use sluice_domain::ports::{ContextKey, ContextStore, Definitions, FactStore};
use sluice_domain::{PolicyName, Timestamp};
use sluice_hcp_client::{FileError, FileStream};

use super::{CheckError, Checks};
use crate::rego::{Finding, Findings, Input, Namespaces, NoPlan, Policy};
use sluice_runner::{Asked, Step};

impl<S: FactStore + Definitions + ContextStore> Checks<S> {
    /// Evaluates a stored policy over the plan, the run, and what the run's checks left for each other.
    pub(super) async fn rego(
        &self,
        asked: Asked<'_>,
        name: &PolicyName,
        namespaces: &BTreeSet<String>,
    ) -> Result<Step, CheckError> {
        let stored = self.store.policy(name).await?.ok_or_else(|| CheckError::NoPolicy(name.clone()))?;
        let policy: Policy = serde_json::from_str(&stored)
            .map_err(|error| CheckError::BadPolicy { name: name.clone(), why: error.to_string() })?;
        let namespaces = Namespaces(namespaces.iter().cloned().collect());
        let run = run(asked.request());
        let context = self.store.context(&ContextKey::of(asked.request())).await?.document;
        // It was looked at when it was sent, so only one that was kept badly is refused here.
        let context = serde_json::from_str(context.as_str()).map_err(CheckError::Context)?;
        // It is never closed.
        let _turn = self.evaluations.acquire().await.ok();
        let found = if asked.request().plan.is_some() {
            let plan = Some(bytes(self.open(asked).await?));
            self.evaluator.evaluate(&policy, &namespaces, Input { run, context, plan }).await?
        } else {
            let input = Input { run, context, plan: None::<NoPlan> };
            self.evaluator.evaluate(&policy, &namespaces, input).await?
        };
        Ok(Step::Ended(ended(&found, asked.now)))
    }
}

fn bytes(plan: FileStream) -> impl Stream<Item = Result<bytes::Bytes, FileError>> {
    try_unfold(plan, |mut plan| async move { Ok(plan.chunk().await?.map(|chunk| (chunk, plan))) })
}

/// What policies see as `input.run`.
fn run(request: &TaskRequest) -> Value {
    json!({
        "id": request.run,
        "stage": request.stage,
        "created_at": request.run_created_at.to_string(),
        "speculative": request.speculative,
        "organization": request.workspace.organization,
        "workspace": request.workspace.name,
        "workspace_id": request.workspace_id,
        // As HCP Terraform sent it: who, which commit, which project. It has no token in it.
        "request": serde_json::from_str::<Value>(&request.original.0).unwrap_or_default(),
    })
}

/// How the check ends.
fn ended(found: &Findings, now: Timestamp) -> Ended {
    let denied = found.denied.iter().map(|finding| outcome(finding, "Denied", Level::Error));
    let warned = found.warned.iter().map(|finding| outcome(finding, "Warning", Level::Warning));
    let mut outcomes: Vec<Outcome> = denied.chain(warned).collect();
    unique(&mut outcomes);
    let verdict = if found.denied.is_empty() { CheckVerdict::Passed } else { CheckVerdict::Failed };
    Ended::new(now, verdict, sentence(found)).with(outcomes)
}

fn sentence(found: &Findings) -> String {
    let counted = |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    let mut parts = Vec::new();
    if !found.denied.is_empty() {
        parts.push(counted(found.denied.len(), "denial"));
    }
    if !found.warned.is_empty() {
        parts.push(counted(found.warned.len(), "warning"));
    }
    if found.excepted > 0 {
        parts.push(counted(found.excepted, "exception"));
    }
    if found.left_out > 0 {
        parts.push(format!("{} more left out", found.left_out));
    }
    match found.denied.iter().chain(&found.warned).next() {
        Some(first) => format!("{} ({})", parts.join(", "), first.msg),
        None if parts.is_empty() => format!("nothing to object to in {}", counted(found.passed, "rule")),
        None => parts.join(", "),
    }
}

fn outcome(finding: &Finding, status: &str, level: Level) -> Outcome {
    let text = |name: &str| finding.metadata.get(name).and_then(Value::as_str).map(str::to_owned);
    let rule = format!("{}.{}", finding.namespace, finding.rule);
    let mut tags = vec![Tag::new("Status", status, level), Tag::new("Rule", &rule, Level::None)];
    if let Some(severity) = text("severity") {
        tags.push(Tag::new("Severity", &severity, level));
    }
    let mut rest = finding.metadata.clone();
    rest.retain(|name, _| !["id", "severity", "url"].contains(&name.as_str()));
    let details = serde_json::to_string_pretty(&rest).unwrap_or_default();
    let body = (!rest.is_empty()).then(|| format!("{}\n\n```json\n{details}\n```\n", finding.msg));
    let id = text("id").filter(|id| !id.trim().is_empty()).unwrap_or(rule);
    Outcome { id, description: finding.msg.clone(), tags, body, url: text("url") }
}

/// Numbers ids that come more than once: an outcome would take the place of another.
fn unique(outcomes: &mut [Outcome]) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for outcome in outcomes {
        let mut number = 1;
        let id = outcome.id.clone();
        while !seen.insert(outcome.id.clone()) {
            number += 1;
            outcome.id = format!("{id}-{number}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(msg: &str, metadata: &Value) -> Finding {
        let metadata = metadata.as_object().cloned().unwrap_or_default();
        Finding { rule: "deny".into(), namespace: "main".into(), msg: msg.into(), metadata }
    }

    #[test]
    fn denials_fail_and_warnings_do_not() {
        let denied = vec![
            finding(
                "bucket a is public",
                &json!({"id": "S3-1", "severity": "High", "url": "https://x.example/1", "fix": "acl"}),
            ),
            finding("bucket b is public", &json!({"id": "S3-1"})),
        ];
        let found = Findings { denied, warned: vec![finding("no tags", &json!({}))], ..Findings::default() };
        let end = ended(&found, Timestamp(0));
        assert_eq!(end.verdict, CheckVerdict::Failed);
        assert_eq!(end.message, "2 denials, 1 warning (bucket a is public)");
        let ids: Vec<_> = end.outcomes.iter().map(|outcome| outcome.id.as_str()).collect();
        assert_eq!(ids, ["S3-1", "S3-1-2", "main.deny"]);
        assert_eq!(
            end.outcomes[0].body.as_deref(),
            Some("bucket a is public\n\n```json\n{\n  \"fix\": \"acl\"\n}\n```\n")
        );
        assert_eq!(end.outcomes[0].url.as_deref(), Some("https://x.example/1"));

        let warned = Findings { denied: Vec::new(), ..found };
        assert_eq!(ended(&warned, Timestamp(0)).verdict, CheckVerdict::Passed);
        let nothing = Findings { passed: 3, ..Findings::default() };
        assert_eq!(ended(&nothing, Timestamp(0)).message, "nothing to object to in 3 rules");
    }
}
