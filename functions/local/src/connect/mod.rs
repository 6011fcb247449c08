//! `sluice connect`: has HCP Terraform tell Sluice of runs and ask it about them, and mends what is broken of that.
//!
//! It looks, says what it would do, and does it once a person agrees. What is right is left alone, so it can be called
//! again at any time, also after it was stopped in the middle.

mod ask;
mod look;
mod options;
mod plan;
mod write;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use secrecy::{SecretSlice, SecretString};
use sluice_aws::TablePace;
use sluice_aws::secrets::{KeyCache, SecretError, resolve, resolve_lists};
use sluice_domain::onboarding::{Endpoint, InvalidEndpoint, NotificationAim, TriggerWords, host_of};
use sluice_domain::pace::{Lane, Paced};
use sluice_domain::ports::{StoreError, TerraformError};
use sluice_domain::{InvalidName, Organization, SecretRef};
use sluice_hcp::digest::Digester;
use sluice_hcp_client::{Client, Settings, SettingsError};
use sluice_lambda::{Env, InvalidConfig, TfeAddress, api_requests_per_second};

use crate::serve::{ServeError, open};
pub use options::{Connect, Level, Only};

use look::Look;
use plan::Plan;
use write::{Writer, Written};

/// The connection cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The store or the environment.
    #[error(transparent)]
    Open(#[from] ServeError),
    /// The environment is not complete.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// A secret has to be fetched and cannot be.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No client can be made.
    #[error(transparent)]
    Client(#[from] SettingsError),
    /// The certificates cannot be read.
    #[error("cannot read SLUICE_CA_BUNDLE")]
    CaBundle(#[source] std::io::Error),
    /// The table does not answer.
    #[error(transparent)]
    Table(#[from] StoreError),
    /// HCP Terraform does not answer, or not to this token.
    #[error(transparent)]
    Terraform(#[from] TerraformError),
    /// It is not the name of an organization.
    #[error("{0} is not the name of an organization")]
    Name(String, #[source] InvalidName),
    /// Nobody said where Sluice is reached.
    #[error("say with --url or SLUICE_PUBLIC_URL where HCP Terraform reaches Sluice, as https://sluice.example.com")]
    NoUrl,
    /// It is no URL. Only the host of it is told, as the rest may be a secret.
    #[error("{0} {1}")]
    Url(String, InvalidEndpoint),
    /// The token is the organization's own.
    #[error(
        "API_TOKEN is an organization token, which cannot manage notification configurations: take the token of a team \
         with admin access to the workspaces, or of a person who has it (--only run-tasks works with this one)"
    )]
    OrganizationToken,
    /// The organization is not there or not to be seen.
    #[error("HCP Terraform knows no organization {0}, or API_TOKEN may not see it")]
    NoOrganization(Organization),
    /// The project is not there or not to be seen.
    #[error("there is no project {0}, or API_TOKEN may not see it, or this instance has no projects")]
    NoProject(String),
    /// Nobody can be asked.
    #[error("nothing was written: there is no terminal to ask on, so say --yes to go on without, or --dry-run")]
    NobodyToAsk,
    /// Standard input or output.
    #[error("cannot say what there is to say")]
    Talk(#[source] std::io::Error),
}

/// What the environment says.
struct Setup {
    address: TfeAddress,
    api_token: SecretRef,
    tokens: Vec<SecretRef>,
    ca_bundle: Option<String>,
    per_second: u32,
    public_url: Option<String>,
}

impl Setup {
    fn from_env(options: &Connect, vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let address = env.tfe_address();
        let api_token = env.secret("API_TOKEN");
        let tokens = if options.notifications() && !options.disconnect {
            env.secrets("NOTIFICATION_TOKEN")
        } else {
            env.optional_secrets("NOTIFICATION_TOKEN")
        };
        let ca_bundle = env.optional("SLUICE_CA_BUNDLE");
        let per_second = api_requests_per_second(&mut env);
        let public_url = env.optional("SLUICE_PUBLIC_URL");
        env.finish(|| {
            Some(Self {
                address: address?,
                api_token: api_token?,
                tokens: tokens?,
                ca_bundle: ca_bundle?,
                per_second: per_second?,
                public_url: public_url?,
            })
        })
    }
}

/// Looks, asks, and writes.
pub async fn run(options: &Connect, vars: &BTreeMap<String, String>) -> Result<ExitCode, ConnectError> {
    let setup = Setup::from_env(options, vars)?;
    let organization =
        options.organization.parse().map_err(|error| ConnectError::Name(options.organization.clone(), error))?;
    let aim = aim(options, &setup)?;
    let (table, store) = open(&options.store, vars).await?;
    let token = resolve_lists(vars, setup.tokens).await?.into_iter().next();
    let pace = TablePace::new(table.clone(), setup.per_second);
    let api_token = resolve(vars, vec![setup.api_token]).await?.remove(0);
    let client = client(&setup.address, api_token, setup.ca_bundle)?;
    // It can wait for the runs that a change sets off.
    let terraform = Arc::new(Paced::new(Arc::new(client), Arc::new(pace), Lane::Bulk));
    let look =
        Look { options, terraform: terraform.clone(), table: &table, host: &setup.address.host, organization, aim };
    let plan = look.plan().await?;
    say(&format!("{} at {} and {}\n{plan}", look.organization, setup.address.url, look.aim.endpoint))?;
    let code = if let Some(code) = end(options, &plan)? {
        code
    } else {
        let Look { organization, aim, .. } = look;
        let keys = Arc::new(KeyCache::new(vars.clone()));
        let writer = Writer { terraform, organization, aim, token, keys, luck: Arc::default() };
        written(writer, plan).await?
    };
    if let Some(store) = store {
        store.close().await;
    }
    Ok(code)
}

fn aim(options: &Connect, setup: &Setup) -> Result<NotificationAim, ConnectError> {
    let read = |url: &String| Endpoint::parse(url).map_err(|error| ConnectError::Url(host_of(url), error));
    let url = options.url.as_ref().or(setup.public_url.as_ref()).ok_or(ConnectError::NoUrl)?;
    Ok(NotificationAim {
        endpoint: read(url)?,
        former: options.replaces.iter().map(read).collect::<Result<_, _>>()?,
        words: TriggerWords::default(),
        rotate: options.rotate,
        none: options.disconnect,
    })
}

fn client(address: &TfeAddress, token: SecretString, ca_bundle: Option<String>) -> Result<Client, ConnectError> {
    let address = address.url.parse().map_err(|_| SettingsError::Address)?;
    let ca_bundle = ca_bundle.map(std::fs::read).transpose().map_err(ConnectError::CaBundle)?;
    // No state is read here, so nothing is digested.
    let digester = Digester::new(&SecretSlice::from(Vec::new()));
    Ok(Client::new(Settings { ca_bundle, ..Settings::new(address, token, digester) })?)
}

/// What it ends with if nothing is to be written; None if there is something, and a person wants it.
fn end(options: &Connect, plan: &Plan) -> Result<Option<ExitCode>, ConnectError> {
    let well = plan.counts().refused == 0;
    if plan.counts().writes() == 0 {
        say("nothing to do\n")?;
        return Ok(Some(code(well)));
    }
    if options.dry_run {
        say("nothing was written: this was a dry run\n")?;
        return Ok(Some(code(well)));
    }
    if options.yes {
        return Ok(None);
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(ConnectError::NobodyToAsk);
    }
    say("Go on? Only yes is taken for an answer: ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(ConnectError::Talk)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(None);
    }
    say("nothing was written\n")?;
    Ok(Some(ExitCode::FAILURE))
}

async fn written(writer: Writer, plan: Plan) -> Result<ExitCode, ConnectError> {
    let refused = plan.counts().refused;
    let stop = crate::signal::told_to_stop();
    let Written { writes, failures } = tokio::select! {
        written = writer.write(plan) => written,
        () = stop => {
            eprintln!("stopped; run the same command again to go on");
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut text = format!("{writes} written, {} failed\n", failures.len());
    let width = failures.iter().map(|failure| failure.what.chars().count()).max().unwrap_or_default();
    for failure in &failures {
        let _ = writeln!(text, "  {:width$}  {}", failure.what, failure.why);
    }
    if !failures.is_empty() {
        text.push_str("run the same command again to try these once more\n");
    }
    say(&text)?;
    Ok(code(failures.is_empty() && refused == 0))
}

fn say(text: &str) -> Result<(), ConnectError> {
    crate::print(text).map_err(ConnectError::Talk)
}

fn code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
