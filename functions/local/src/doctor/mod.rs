//! `sluice doctor`: looks at everything that has to be right, and says of what is not what mends it.
//!
//! Each probe stands alone and ends in time: what one cannot find out is a line of its own, and stops no other.

mod asking;
mod clock;
mod endpoint;
mod listening;
mod probe;
pub mod report;
mod settings;
mod table;
mod terraform;
mod turns;
mod work;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use secrecy::{SecretSlice, SecretString};
use sluice_aws::Table;
use sluice_aws::secrets::{KeyCache, resolve, resolve_lists};
use sluice_domain::onboarding::{Endpoint, InvalidEndpoint};
use sluice_domain::pace::{Lane, Paced};
use sluice_domain::ports::Definitions;
use sluice_domain::{InvalidName, Organization, chain};
use sluice_hcp::digest::Digester;
use sluice_hcp_client::{Client, Limits, Settings, SettingsError};
use sluice_lambda::{Env, InvalidConfig, SecretRef, TfeAddress, api_requests_per_second};

use self::asking::Defined;
use self::endpoint::Doorway;
use self::report::{Line, Report, Section};
use self::settings::Secrets;
use self::terraform::Terraform;
use self::turns::Turns;
use self::work::Place;
use crate::cli;
use crate::serve::{ServeError, directory, named_table};
use crate::settings::table_name;
use crate::store::{Alone, Embedded, OpenError};

/// Doctor cannot look at all.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The environment does not say what is to be looked at.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// Both a real table and a directory for the embedded one are named.
    #[error(transparent)]
    Store(#[from] ServeError),
    /// It is not the name of an organization.
    #[error("{0} is not the name of an organization")]
    Name(String, #[source] InvalidName),
    /// Nobody reads what is printed.
    #[error("cannot print")]
    Print(#[from] std::io::Error),
}

/// Looks at everything, and prints what it has found. The exit code says whether anything is wrong.
pub async fn run(options: &cli::Doctor, vars: &BTreeMap<String, String>) -> Result<ExitCode, DoctorError> {
    let asked = Asked::from_env(options, vars)?;
    if table_name(vars).is_some() && options.store.data_dir.is_some() {
        return Err(ServeError::TwoStores.into());
    }
    let parse = |name: &String| name.parse().map_err(|error| DoctorError::Name(name.clone(), error));
    let organizations: Vec<Organization> = options.organizations.iter().map(parse).collect::<Result<_, _>>()?;
    let report = Box::pin(examine(options, vars, &asked, organizations)).await;
    let colours = std::io::stdout().is_terminal() && !vars.contains_key("NO_COLOR");
    crate::print(&if options.json { report.json() } else { report.text(colours) })?;
    Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is to be looked at.
struct Asked {
    terraform: TfeAddress,
    url: Option<String>,
    ca_bundle: Option<String>,
    requests_per_second: u32,
    api_token: Vec<SecretRef>,
    unsigned: bool,
    tokens: Vec<SecretRef>,
    digest_keys: Vec<SecretRef>,
    gate_keys: Vec<SecretRef>,
}

impl Asked {
    /// Where Sluice is reached, if that is known. What cannot be one is not printed: it may have a password in it.
    fn endpoint(&self) -> Result<Option<Endpoint>, InvalidEndpoint> {
        self.url.as_deref().map(Endpoint::parse).transpose()
    }

    fn from_env(options: &cli::Doctor, vars: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        let mut env = Env::new(vars);
        let terraform = env.tfe_address();
        let public_url = env.optional::<String>("SLUICE_PUBLIC_URL");
        let ca_bundle = env.optional("SLUICE_CA_BUNDLE");
        let requests_per_second = api_requests_per_second(&mut env);
        let api_token = env.optional_secrets("API_TOKEN");
        let unsigned = env.or("SLUICE_ALLOW_UNSIGNED", false);
        let tokens = env.optional_secrets("NOTIFICATION_TOKEN");
        let digest_keys = env.optional_secrets("SLUICE_DIGEST_KEY");
        let gate_keys = env.optional_secrets("SLUICE_GATE_KEY");
        env.finish(|| {
            let url = options.url.clone().or(public_url?);
            Some(Self {
                terraform: terraform?,
                url,
                ca_bundle: ca_bundle?,
                requests_per_second: requests_per_second?,
                api_token: api_token?,
                unsigned: unsigned?,
                tokens: tokens?,
                digest_keys: digest_keys?,
                gate_keys: gate_keys?,
            })
        })
    }
}

/// What a person may have, and what it is worth if not all of it is there.
async fn examine(
    options: &cli::Doctor,
    vars: &BTreeMap<String, String>,
    asked: &Asked,
    organizations: Vec<Organization>,
) -> Report {
    let mut faults = Vec::new();
    let ca_bundle = asked.ca_bundle.as_ref().and_then(|path| {
        std::fs::read(path)
            .inspect_err(|error| {
                let what = format!("SLUICE_CA_BUNDLE cannot be read: {error}");
                faults.push(Line::wrong(what, "have SLUICE_CA_BUNDLE name a file of PEM certificates"));
            })
            .ok()
    });
    let secrets = secrets(vars, asked, &mut faults).await;
    let store = Opened::of(options, vars).await;
    let keyring = KeyCache::new(vars.clone());
    let table = store.table();
    let place = asked.endpoint();
    let endpoint = async {
        match &place {
            Ok(Some(place)) => {
                let (url, tokens) = (&place.to_string(), &secrets.notification_tokens);
                endpoint::look(&Doorway { url, tokens, ca_bundle: ca_bundle.as_deref(), table, keyring: &keyring })
                    .await
            }
            Ok(None) => Section::new(
                "The endpoint",
                vec![
                    Line::aside("not looked at: say with --url or SLUICE_PUBLIC_URL where HCP Terraform reaches it")
                        .unseen(),
                ],
            ),
            Err(error) => Section::new(
                "The endpoint",
                vec![Line::wrong(format!("its URL {error}"), "give --url or SLUICE_PUBLIC_URL as https://host")],
            ),
        }
    };
    let organizations = known(asked, organizations, table).await;
    let client = client(vars, asked, ca_bundle.clone(), !organizations.is_empty());
    let told = async {
        match client.await {
            Ok(terraform) => instance(&terraform, asked, organizations, table).await,
            Err(line) => vec![Section::new(format!("HCP Terraform at {}", asked.terraform.url), vec![line])],
        }
    };
    let (stored, endpoint, told) = tokio::join!(store.look(), endpoint, told);
    store.close().await;
    let mut sections = stored;
    sections.push(endpoint);
    sections.extend(told);
    sections.push(settings::look(&secrets, faults));
    Report(sections)
}

/// The organizations that are named, or else those that the table knows.
async fn known(asked: &Asked, named: Vec<Organization>, table: Option<&Table>) -> Vec<Organization> {
    match table {
        Some(table) if named.is_empty() => {
            // That it cannot be read is said elsewhere.
            let known = probe::timely(table.organizations(&asked.terraform.host)).await;
            known.map(|known| known.into_iter().collect()).unwrap_or_default()
        }
        _ => named,
    }
}

/// The client of HCP Terraform, or a line about why there is none: `needed` if there are organizations to look at.
async fn client(
    vars: &BTreeMap<String, String>,
    asked: &Asked,
    ca_bundle: Option<Vec<u8>>,
    needed: bool,
) -> Result<Terraform, Line> {
    let missing = "set API_TOKEN to a token of a team or of a user, as state-indexer and run-creator have it";
    if asked.api_token.is_empty() {
        let what = "API_TOKEN is not set here, so nothing of it is looked at";
        let line = if needed { Line::wrong(what, missing) } else { Line::warning(what, missing) };
        return Err(line.unseen());
    }
    let token = probe::timely(resolve(vars, asked.api_token.clone())).await;
    let token = token.map_err(|why| Line::wrong(format!("API_TOKEN cannot be fetched: {why}"), missing))?;
    let Some(token) = token.into_iter().next() else { return Err(Line::wrong("API_TOKEN is empty", missing)) };
    let limits = Limits { call: probe::PATIENCE, ..Limits::default() };
    // It reads no state, so it makes no digests.
    let digester = Digester::new(&SecretSlice::from(vec![0; 32]));
    let client = asked
        .terraform
        .url
        .parse()
        .map_err(|_| SettingsError::Address)
        .and_then(|address| Client::new(Settings { ca_bundle, limits, ..Settings::new(address, token, digester) }));
    let client = client.map_err(|error| Line::wrong(chain(&error), missing))?;
    // Half of what there is, so that what Sluice does meanwhile is not held up.
    let turns = Turns::new((asked.requests_per_second / 2).max(1));
    Ok(Arc::new(Paced::new(Arc::new(client), Arc::new(turns), Lane::Bulk)))
}

/// HCP Terraform, and each of the organizations there.
async fn instance(
    terraform: &Terraform,
    asked: &Asked,
    organizations: Vec<Organization>,
    table: Option<&Table>,
) -> Vec<Section> {
    let (mut section, ours) = terraform::look(terraform, &asked.terraform.url).await;
    if !ours {
        return vec![section];
    }
    if organizations.is_empty() {
        let what = "no organization is known, so none is looked at: name one, as in sluice doctor acme";
        section.lines.push(Line::aside(what).unseen());
    }
    let endpoint = asked.endpoint().ok().flatten();
    let defined = match table {
        Some(table) => defined(table).await,
        None => None,
    };
    let mut sections = vec![section];
    for organization in organizations {
        sections.push(terraform::organization(terraform, &organization, endpoint.as_ref(), defined.as_deref()).await);
    }
    sections
}

/// The run tasks that are defined; None if that cannot be told, which is not the same as none.
async fn defined(table: &Table) -> Option<Vec<Defined>> {
    let mut defined = Vec::new();
    for name in probe::timely(table.tasks()).await.ok()? {
        // One that has just been taken away is none.
        let Some(stored) = probe::timely(table.task(&name)).await.ok()? else { continue };
        let enabled = stored.definition.map_or(true, |task| task.enabled);
        defined.push(Defined { name, enabled });
    }
    Some(defined)
}

/// The secrets that are at hand. One that cannot be fetched is a line, and no reason to stop.
async fn secrets(vars: &BTreeMap<String, String>, asked: &Asked, faults: &mut Vec<Line>) -> Secrets {
    let (tokens, digests, gates) = tokio::join!(
        probe::timely(resolve_lists(vars, asked.tokens.clone())),
        probe::timely(resolve(vars, asked.digest_keys.clone())),
        probe::timely(resolve_lists(vars, asked.gate_keys.clone())),
    );
    let mut or_fault = |name: &str, fetched: Result<Vec<SecretString>, String>| {
        fetched.unwrap_or_else(|why| {
            let what = format!("{name} cannot be fetched: {why}");
            faults
                .push(Line::wrong(what, format!("have {name} name a secret that is there and may be read from here")));
            Vec::new()
        })
    };
    Secrets {
        notification_tokens: or_fault("NOTIFICATION_TOKEN", tokens),
        digest_keys: or_fault("SLUICE_DIGEST_KEY", digests),
        gate_keys: or_fault("SLUICE_GATE_KEY", gates),
        unsigned_allowed: asked.unsigned,
        account: table_name(vars).is_some(),
    }
}

/// The store, as far as there is one.
enum Opened {
    Account(Table),
    Embedded { store: Embedded, directory: String, served: bool },
    None { title: String, line: Line },
}

impl Opened {
    async fn of(options: &cli::Doctor, vars: &BTreeMap<String, String>) -> Self {
        match named_table(&options.store, vars).await {
            Ok(Some(table)) => return Self::Account(table),
            Ok(None) => {}
            Err(error) => {
                let what = format!("it cannot be reached: {}", chain(&error));
                let mend = "set AWS_REGION and credentials, or AWS_PROFILE, to those of the deployment";
                return Self::None { title: "The table".to_owned(), line: Line::wrong(what, mend) };
            }
        }
        let path = directory(&options.store);
        let directory = path.display().to_string();
        match Embedded::open_existing(&path).await {
            Ok(store) => {
                // Held by a running server for as long as it runs; for no longer than a moment here.
                let served = matches!(Alone::in_directory(&path), Err(OpenError::Taken(_)));
                Self::Embedded { store, directory, served }
            }
            Err(error) => {
                let mend = "set WORKSPACE_DEPENDENCIES_TABLE to the table of a deployment, or say with --data-dir where \
                            sluice serve keeps its own";
                let title = format!("The embedded table in {directory}");
                Self::None { title, line: Line::wrong(chain(&error), mend) }
            }
        }
    }

    fn table(&self) -> Option<&Table> {
        match self {
            Self::Account(table) => Some(table),
            Self::Embedded { store, .. } => Some(&store.table),
            Self::None { .. } => None,
        }
    }

    async fn look(&self) -> Vec<Section> {
        match self {
            Self::Account(table) => {
                let (shape, work) = tokio::join!(table::look(table), work::look(table, Place::Account));
                vec![shape, work]
            }
            Self::Embedded { store, directory, served } => {
                let place = Place::Embedded { directory, served: *served };
                let shape = table::look_at_embedded(&store.table, directory);
                let (shape, work) = tokio::join!(shape, work::look(&store.table, place));
                vec![shape, work]
            }
            Self::None { title, line } => vec![Section::new(title.clone(), vec![line.clone()])],
        }
    }

    async fn close(self) {
        if let Self::Embedded { store, .. } = self {
            store.close().await;
        }
    }
}
