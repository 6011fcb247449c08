//! What a job is told: Lagoon's contract with its images, Terrakube's with its scripts, and what both lack.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;
use sluice_domain::gate::{JobSpec, Program, TaskRequest};
use sluice_domain::ports::{About, Cluster, ContextStore, FILES, JobOrder, JobPlace, WORKSPACE};
use sluice_hcp::wire::told_to_job;
use sluice_runner::Asked;

use crate::{JobError, Jobs};

/// How much longer the cluster lets a job run than its check may take, in seconds: by then it has been read and taken
/// away, unless nobody is left who would.
const LONGER_SECONDS: u64 = 60;

/// The file of the request.
const REQUEST: &str = "request.json";

/// What a job may want to know of its run that a request says besides.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Mentioned {
    vcs_branch: Option<String>,
    vcs_repo_url: Option<String>,
    run_created_by: Option<String>,
}

impl<S: ContextStore, C: Cluster> Jobs<S, C> {
    /// The job that a check is.
    pub(crate) fn order<'a>(&self, asked: Asked<'a>, spec: &'a JobSpec) -> Result<JobOrder<'a>, JobError<C::Error>> {
        let settings = self.pod(spec)?;
        let namespace = self.namespace(&settings);
        let (request, check) = (asked.request(), &asked.check.name);
        let addresses = self.addresses(asked);
        let mentioned: Mentioned = serde_json::from_str(&request.original.0).unwrap_or_default();
        let mut env = self.lagoon(request, &mentioned);
        env.extend(variables(asked, &addresses, mentioned));
        let mut secrets = self.tokens(asked);
        match spec.program {
            Program::Image { .. } => {
                let payload = serde_json::to_string(&spec.arguments).expect("texts are JSON");
                secrets.insert("JSON_PAYLOAD".to_owned(), SecretString::from(STANDARD.encode(payload)));
            }
            Program::Service { .. } => {
                let own = spec.arguments.clone().into_iter();
                secrets.extend(own.map(|(name, value)| (name, SecretString::from(value))));
            }
        }
        let Addresses { plan, configuration, .. } = &addresses;
        let told = told_to_job(request, plan.as_deref(), configuration.as_deref());
        let left = asked.deadline.since_ms(asked.now).div_ceil(1000) + LONGER_SECONDS;
        Ok(JobOrder {
            place: JobPlace::of(&namespace, &request.result, check),
            spec,
            settings,
            about: About {
                result: request.result.clone(),
                check: check.clone(),
                run: request.run.to_string(),
                organization: request.workspace.organization.to_string(),
                workspace: request.workspace.name.clone(),
            },
            env,
            secrets,
            files: BTreeMap::from([(REQUEST.to_owned(), SecretString::from(told))]),
            seconds: u32::try_from(left).unwrap_or(u32::MAX),
        })
    }

    fn addresses(&self, asked: Asked<'_>) -> Addresses {
        let (request, check) = (asked.request(), &asked.check.name);
        let Some(base) = &self.settings.public_url else { return Addresses::default() };
        let of_result = |what: &str| format!("{base}/task-results/{}~{check}/{what}", request.result);
        Addresses {
            base: base.clone(),
            context: Some(format!("{base}/context/v1/{}", request.run)),
            plan: request.plan.as_ref().map(|_| of_result("plan")),
            configuration: request.configuration.as_ref().map(|_| of_result("configuration")),
        }
    }

    /// The tokens of a job: for the context, and for the plan and the configuration. Neither is HCP Terraform's, and
    /// both end with the check.
    fn tokens(&self, asked: Asked<'_>) -> BTreeMap<String, SecretString> {
        let (request, check) = (asked.request(), &asked.check.name);
        if self.settings.public_url.is_none() {
            return BTreeMap::new();
        }
        let context = self.keys.context_token(&request.run, &request.result, check);
        BTreeMap::from([
            ("terrakubeToken".to_owned(), context.clone()),
            ("SLUICE_CONTEXT_TOKEN".to_owned(), context),
            ("SLUICE_TOKEN".to_owned(), self.keys.checker_token(&request.result, check)),
        ])
    }

    /// What must not be seen in what a job writes.
    pub(crate) fn secrets(&self, asked: Asked<'_>) -> Vec<SecretString> {
        self.tokens(asked).into_values().collect()
    }

    /// Variables of Lagoon's tasks, but for those that its controller takes from the pod and the arguments (contract
    /// terrakube-lagoon, section 3.3). A name that is not set is there and empty.
    fn lagoon(&self, request: &TaskRequest, mentioned: &Mentioned) -> BTreeMap<String, String> {
        let (host, port) = (self.settings.ssh_host.as_str(), self.settings.ssh_port.as_str());
        let api = self.settings.public_url.as_deref().unwrap_or_default();
        [
            ("TASK_API_HOST", api),
            ("TASK_SSH_HOST", host),
            ("TASK_SSH_PORT", port),
            ("TASK_DATA_ID", request.result.of_hcp()),
            ("LAGOON_CONFIG_API_HOST", api),
            ("LAGOON_CONFIG_TOKEN_HOST", host),
            ("LAGOON_CONFIG_TOKEN_PORT", port),
            ("LAGOON_CONFIG_SSH_HOST", host),
            ("LAGOON_CONFIG_SSH_PORT", port),
            ("LAGOON_PROJECT", &request.workspace.name),
            ("LAGOON_GIT_BRANCH", mentioned.vcs_branch.as_deref().unwrap_or_default()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

/// Where a job finds what it may ask for.
#[derive(Debug, Default)]
struct Addresses {
    base: String,
    context: Option<String>,
    plan: Option<String>,
    configuration: Option<String>,
}

/// Variables of Terrakube's scripts (contract terrakube-lagoon, section 1.3), and our own.
fn variables(asked: Asked<'_>, addresses: &Addresses, mentioned: Mentioned) -> BTreeMap<String, String> {
    let request = asked.request();
    let set = [
        ("terrakubeApi", Some(addresses.base.clone())),
        ("jobId", Some(request.run.to_string())),
        ("stepId", Some(request.result.of_hcp().to_owned())),
        ("organizationId", Some(request.workspace.organization.to_string())),
        ("workspaceId", Some(request.workspace_id.to_string())),
        ("workingDirectory", Some(WORKSPACE.to_owned())),
        ("branch", mentioned.vcs_branch),
        ("source", mentioned.vcs_repo_url),
        ("SLUICE_CHECK", Some(asked.check.name.to_string())),
        ("SLUICE_CONTEXT_URL", addresses.context.clone()),
        ("SLUICE_PLAN_URL", addresses.plan.clone()),
        ("SLUICE_CONFIGURATION_URL", addresses.configuration.clone()),
        ("SLUICE_REQUEST_FILE", Some(format!("{FILES}/{REQUEST}"))),
        ("SLUICE_RUN_CREATED_BY", mentioned.run_created_by),
        ("SLUICE_STAGE", Some(request.stage.to_string())),
        ("SLUICE_WORKSPACE", Some(request.workspace.name.clone())),
    ];
    set.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
