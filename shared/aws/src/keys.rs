//! The keys of the table: every item type, written and read in one place. `README.md` shows them with what they serve.

use aws_sdk_dynamodb::types::AttributeValue;
use sluice_domain::pace::Lane;
use sluice_domain::ports::{ContextKey, Tally};
use sluice_domain::{Host, RunId, TaskResultId, WorkKey, Workspace};

/// Sort keys of a workspace's partition. Their order is used: what a decision needs of a workspace lies together.
pub(crate) const CONSUMER: &str = "CONSUMER#";
pub(crate) const CREATE: &str = "CREATE";
pub(crate) const DECISION: &str = "DECISION";
pub(crate) const FACTS: &str = "FACTS";
pub(crate) const LOOK: &str = "LOOK";
pub(crate) const READ: &str = "READ";
pub(crate) const VERIFY: &str = "VERIFY";
pub(crate) const WAITER: &str = "WAITER#";
const RUN: &str = "RUN";
const SURVEY: &str = "SURVEY";

/// Sort keys of a task result's partition.
pub(crate) const CHECK: &str = "CHECK#";
pub(crate) const JOB: &str = "JOB#";
pub(crate) const RELAY: &str = "RELAY";
pub(crate) const TASK: &str = "TASK";
pub(crate) const TOKEN: &str = "TOKEN";

/// Sort keys of a run: in which workspaces a task was asked of it.
pub(crate) const CLAIM: &str = "WORKSPACE#";

/// Sort keys of a context.
pub(crate) const PART: &str = "PART#";
const HEAD: &str = "HEAD";

/// The partitions of what a person defines.
pub(crate) const POLICIES: &str = "POLICIES";
pub(crate) const TASKS: &str = "TASKS";

/// The partition of what is shared by everything that runs at the same time.
const BUDGET: &str = "BUDGET";

/// Attribute names.
pub(crate) const PK: &str = "pk";
pub(crate) const SK: &str = "sk";

/// A partition key and a sort key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    pub(crate) fn of(workspace: &Workspace, sk: &str) -> Self {
        Self { pk: partition(workspace), sk: sk.to_owned() }
    }

    pub(crate) fn consumer(producer: &Workspace, consumer: &Workspace) -> Self {
        Self { pk: partition(producer), sk: format!("{CONSUMER}{consumer}") }
    }

    /// The workspaces of a host, so that a picture of all of them needs no Scan.
    pub(crate) fn listing(workspace: &Workspace) -> Self {
        Self { pk: listing(&workspace.host), sk: workspace.short() }
    }

    /// Decisions about a workspace, in order of time.
    pub(crate) fn log(workspace: &Workspace, at: sluice_domain::Timestamp, verdict: &str) -> Self {
        Self { pk: log(workspace), sk: format!("{:013}#{verdict}", at.0) }
    }

    pub(crate) fn work(key: &WorkKey) -> Self {
        match key {
            WorkKey::Run(workspace, run) => Self { pk: format!("RUN#{workspace}/{run}"), sk: RUN.to_owned() },
            WorkKey::Look(workspace) => Self::of(workspace, LOOK),
            WorkKey::Waiter { holder, waiter } => Self { pk: partition(holder), sk: format!("{WAITER}{waiter}") },
            WorkKey::Verify(workspace) => Self::of(workspace, VERIFY),
            WorkKey::Read(workspace) => Self::of(workspace, READ),
            WorkKey::Survey(host, organization) => {
                Self { pk: format!("ORG#{host}/{organization}"), sk: SURVEY.to_owned() }
            }
            WorkKey::Create(workspace) => Self::of(workspace, CREATE),
            WorkKey::Check(result, check) => Self::gate(result, &format!("{CHECK}{check}")),
            WorkKey::Job(result, check) => Self::gate(result, &format!("{JOB}{check}")),
            WorkKey::Relay(result) => Self::gate(result, RELAY),
        }
    }

    /// Part of a task result.
    pub(crate) fn gate(result: &TaskResultId, sk: &str) -> Self {
        Self { pk: gate(result), sk: sk.to_owned() }
    }

    /// That a task was asked of a run in a workspace. One for each task result: those of a stage come at the same time,
    /// and two transactions on one item would keep each other out.
    pub(crate) fn claim(of: &ContextKey, result: &TaskResultId) -> Self {
        Self { pk: claims(&of.run), sk: format!("{CLAIM}{}#{result}", of.workspace) }
    }

    /// A context, or what it is made of.
    pub(crate) fn context_head(of: &ContextKey) -> Self {
        Self { pk: context(of), sk: HEAD.to_owned() }
    }

    /// Part of a context that is too large for one item.
    pub(crate) fn context_part(of: &ContextKey, generation: &str, part: usize) -> Self {
        Self { pk: context(of), sk: format!("{PART}{generation}#{part:03}") }
    }

    /// A run task or a policy, as `partition` has it.
    pub(crate) fn defined(partition: &str, name: &str) -> Self {
        Self { pk: partition.to_owned(), sk: name.to_owned() }
    }

    /// The runs that count together.
    pub(crate) fn tally(tally: &Tally) -> Self {
        match tally {
            Tally::Wave(origin) => Self { pk: format!("WAVE#{origin}"), sk: "RUNS".to_owned() },
            Tally::Hour(hour) => Self { pk: BUDGET.to_owned(), sk: format!("HOUR#{hour}") },
            Tally::UnderWay => Self { pk: BUDGET.to_owned(), sk: "UNDERWAY".to_owned() },
        }
    }

    /// The turns of a lane. What can wait takes its turns out of those of work.
    pub(crate) fn turns(lane: Lane) -> Self {
        let sk = match lane {
            Lane::Work | Lane::Bulk => "API#work",
            Lane::RunLists => "API#runlists",
        };
        Self { pk: BUDGET.to_owned(), sk: sk.to_owned() }
    }

    /// A person's word that no run is to be created.
    pub(crate) fn pause() -> Self {
        Self { pk: "CONTROL".to_owned(), sk: "PAUSE".to_owned() }
    }

    /// The sign of life of whoever rings for due work.
    pub(crate) fn pulse() -> Self {
        Self { pk: "CONTROL".to_owned(), sk: "PULSE".to_owned() }
    }

    pub(crate) fn attributes(&self) -> [(String, AttributeValue); 2] {
        [(PK.to_owned(), string(&self.pk)), (SK.to_owned(), string(&self.sk))]
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pk, self.sk)
    }
}

/// The partition of decisions about a workspace.
pub(crate) fn log(workspace: &Workspace) -> String {
    format!("LOG#{workspace}")
}

pub(crate) fn partition(workspace: &Workspace) -> String {
    format!("WS#{workspace}")
}

/// The partition of a task result.
pub(crate) fn gate(result: &TaskResultId) -> String {
    format!("GATE#{result}")
}

/// The partition of a run, as requests name it.
pub(crate) fn claims(run: &RunId) -> String {
    format!("CONTEXT#{run}")
}

/// The partition of a context.
pub(crate) fn context(of: &ContextKey) -> String {
    format!("CONTEXT#{of}")
}

/// The sort key that lies between the claims of `workspace` to a run and those of the next one: no name has a `#` in it.
pub(crate) fn beyond_claims_of(workspace: &Workspace) -> String {
    format!("{CLAIM}{workspace}$")
}

pub(crate) fn listing(host: &Host) -> String {
    format!("WORKSPACES#{host}")
}

/// The partition key and the sort key of a work's item.
#[must_use]
pub fn item_key(work: &WorkKey) -> [String; 2] {
    let Key { pk, sk } = Key::work(work);
    [pk, sk]
}

/// The work that an item's key stands for, as a stream record or the due index names it. None for facts.
#[must_use]
pub fn work_key(pk: &str, sk: &str) -> Option<WorkKey> {
    if let Some(run) = pk.strip_prefix("RUN#") {
        let (workspace, run) = run.rsplit_once('/')?;
        return Some(WorkKey::Run(workspace.parse().ok()?, run.parse().ok()?));
    }
    if let Some(survey) = pk.strip_prefix("ORG#").filter(|_| sk == SURVEY) {
        let (host, organization) = survey.split_once('/')?;
        return Some(WorkKey::Survey(host.parse().ok()?, organization.parse().ok()?));
    }
    if let Some(result) = pk.strip_prefix("GATE#") {
        let result = result.parse().ok()?;
        return match (sk.strip_prefix(CHECK), sk.strip_prefix(JOB)) {
            (Some(check), _) => Some(WorkKey::Check(result, check.parse().ok()?)),
            (_, Some(check)) => Some(WorkKey::Job(result, check.parse().ok()?)),
            (None, None) => (sk == RELAY).then_some(WorkKey::Relay(result)),
        };
    }
    let workspace: Workspace = pk.strip_prefix("WS#")?.parse().ok()?;
    match sk {
        LOOK => Some(WorkKey::Look(workspace)),
        VERIFY => Some(WorkKey::Verify(workspace)),
        READ => Some(WorkKey::Read(workspace)),
        CREATE => Some(WorkKey::Create(workspace)),
        _ => {
            let waiter = sk.strip_prefix(WAITER)?.parse().ok()?;
            Some(WorkKey::Waiter { holder: workspace, waiter })
        }
    }
}

pub(crate) fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_claims_of_a_workspace_lie_together() {
        let claim = |workspace: &str, result: &str| {
            let of = ContextKey { workspace: workspace.parse().unwrap(), run: "run-1".parse().unwrap() };
            Key::claim(&of, &result.parse().unwrap()).sk
        };
        let names =
            ["a.example/b/app", "a.example/b/app-1", "a.example/b/app.1", "a.example/b/app1", "a.example/b/app_1"];
        for (name, next) in names.iter().zip(&names[1..]) {
            let beyond = beyond_claims_of(&name.parse().unwrap());
            assert!(CLAIM < claim(name, "taskrs-0").as_str() && claim(name, "taskrs-zz@z").as_str() < beyond.as_str());
            assert!(beyond < claim(next, "taskrs-0"), "{name} {next}");
        }
    }

    #[test]
    fn every_work_is_found_again_by_its_key() {
        let workspace: Workspace = "tfe.example.com:8443/acme/network".parse().unwrap();
        let other: Workspace = "app.terraform.io/acme/app".parse().unwrap();
        for work in [
            WorkKey::Run(workspace.clone(), "run-1".parse().unwrap()),
            WorkKey::Look(workspace.clone()),
            WorkKey::Waiter { holder: workspace.clone(), waiter: other },
            WorkKey::Verify(workspace.clone()),
            WorkKey::Read(workspace.clone()),
            WorkKey::Survey(workspace.host.clone(), workspace.organization.clone()),
            WorkKey::Create(workspace.clone()),
            WorkKey::Check("taskrs-1".parse().unwrap(), "cost".parse().unwrap()),
            WorkKey::Job("taskrs-1".parse().unwrap(), "scan".parse().unwrap()),
            WorkKey::Relay("taskrs-1".parse().unwrap()),
        ] {
            let key = Key::work(&work);
            assert_eq!(work_key(&key.pk, &key.sk), Some(work));
        }
        assert_eq!(work_key("WS#app.terraform.io/acme/network", FACTS), None);
        assert_eq!(work_key("LOG#app.terraform.io/acme/network", "1"), None);
        assert_eq!(work_key("GATE#taskrs-1", TOKEN), None);
        assert_eq!(work_key("ORG#app.terraform.io/acme", FACTS), None);
        let of = ContextKey { workspace: "app.terraform.io/acme/app".parse().unwrap(), run: "run-1".parse().unwrap() };
        let context = [Key::context_head(&of), Key::claim(&of, &"taskrs-1".parse().unwrap())];
        for other in
            [Key::tally(&Tally::UnderWay), Key::turns(Lane::Work), Key::pause(), Key::pulse()].iter().chain(&context)
        {
            assert_eq!(work_key(&other.pk, &other.sk), None, "{other}");
        }
    }
}
