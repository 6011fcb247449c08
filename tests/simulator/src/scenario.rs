//! What happens in one simulation, as plain data, so that it can be printed and made smaller.

use sluice_domain::{Autonomy, Budgets};

use crate::mutation::Mutation;
use crate::program::Habits;

/// Milliseconds in a second and in a minute.
pub const SECOND: u64 = 1_000;
/// See [`SECOND`].
pub const MINUTE: u64 = 60_000;

/// How a workspace's outputs follow from what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They follow from its inputs and its own setting.
    Follows,
    /// Its resources follow from its inputs, its outputs do not: a change ends here.
    CutOff,
    /// Nothing but its data sources follows from its inputs: a run changes nothing and writes no state.
    DataOnly,
}

/// What happens to a plan that has changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// It is applied by itself.
    Auto,
    /// A person confirms it after so many milliseconds.
    Confirmed(u64),
    /// A person discards it after so many milliseconds.
    Discarded(u64),
    /// It waits for ever, unless an action confirms it.
    Forgotten,
}

/// One workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Numbers of the workspaces it reads.
    pub reads: Vec<usize>,
    /// How its outputs follow.
    pub kind: Kind,
    /// What happens to its plans.
    pub approval: Approval,
    /// How many outputs it has.
    pub outputs: u8,
    /// How long its plans take, in milliseconds.
    pub plan_ms: u64,
    /// How long its applies take, in milliseconds.
    pub apply_ms: u64,
    /// What it reads and uses, and whether its plans are seen.
    pub habits: Habits,
}

/// What a person, or the world, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Changes the workspace's own setting, and runs it.
    Change,
    /// Runs it as it is: a push that changes nothing.
    Run,
    /// Changes what its configuration reads and uses, and runs it.
    Rewrite,
    /// Confirms the plan that waits.
    Confirm,
    /// Discards the plan that waits.
    Discard,
    /// Cancels whatever run is under way or queued first.
    Cancel,
    /// Makes so many of its next runs fail.
    Break(u8),
    /// Makes its runs succeed again, and runs it.
    Fix,
    /// Destroys what it has.
    Destroy,
    /// Gives it another name.
    Rename,
    /// Deletes it.
    Delete,
    /// Deletes it, makes it anew under the same name, and runs it.
    Remake,
    /// Locks it.
    Lock,
    /// Unlocks it.
    Unlock,
    /// Runs it with a target, or to refresh only: what it reads is not acted on.
    Partly,
    /// Has it plan only.
    Speculate,
    /// Pushes a state with other outputs, without any run.
    Push,
    /// Sets its tag.
    Tag(Option<Autonomy>),
    /// Stops the creation of runs, everywhere.
    Pause,
    /// Lets it go on, everywhere.
    Resume,
    /// Has the whole organization read again.
    Survey,
}

/// A deed, to which workspace, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// Milliseconds after the start.
    pub at: u64,
    /// Number of the workspace.
    pub workspace: usize,
    /// What is done.
    pub deed: Deed,
}

/// How often what goes wrong, out of ten thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Profile {
    /// A message is lost.
    pub lose: u16,
    /// A message comes late.
    pub late: u16,
    /// A message comes twice.
    pub double: u16,
    /// A write of the table fails, before or after it took effect.
    pub table_write: u16,
    /// A read of the table fails.
    pub table_read: u16,
    /// A commit is refused as if somebody else had been first.
    pub conflict: u16,
    /// A request to HCP Terraform fails, before or after it took effect.
    pub api: u16,
    /// A request to HCP Terraform is throttled.
    pub throttle: u16,
    /// A worker dies at a suspension.
    pub death: u16,
    /// A worker is slow at a suspension.
    pub slow: u16,
    /// Minutes of throttling or of 5xx answers: from, until, in milliseconds after the start.
    pub storm: Option<(u64, u64)>,
    /// How far HCP Terraform's clock is ahead, in milliseconds.
    pub skew_ms: i64,
    /// How much later than its run's end a state becomes current, at most, in milliseconds.
    pub state_lag_ms: u64,
    /// The last notification of a person's run may be lost for good, too.
    pub lose_persons_ends: bool,
}

impl Profile {
    /// Nothing goes wrong at all.
    #[must_use]
    pub fn calm() -> Self {
        Self::default()
    }
}

/// What Sluice is told to do and not to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Where no tag says otherwise.
    pub autonomy: Autonomy,
    /// How long outputs must have been unchanged, in milliseconds.
    pub settle_ms: u64,
    /// How much may be run.
    pub budgets: Budgets,
    /// How many requests the instance allows in a second.
    pub per_second: u32,
    /// What nobody told is looked for.
    pub survey: bool,
    /// Sluice begins with a list of the organization, and knows nothing before.
    pub backfill: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            autonomy: Autonomy::Run,
            settle_ms: 0,
            budgets: Budgets::default(),
            per_second: 30,
            survey: false,
            backfill: false,
        }
    }
}

impl Rules {
    /// Whether a change travels as far as it can, whatever the pace.
    #[must_use]
    pub fn lets_through(&self) -> bool {
        let Budgets { depth, wave_runs, .. } = self.budgets;
        let wide = Budgets::default();
        self.autonomy == Autonomy::Run && depth >= wide.depth && wave_runs >= wide.wave_runs
    }
}

/// One simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Drives every choice that is not written down here.
    pub seed: u64,
    /// The workspaces.
    pub workspaces: Vec<Spec>,
    /// What is done to them.
    pub actions: Vec<Action>,
    /// What goes wrong.
    pub faults: Profile,
    /// How many works are done at a time, at most.
    pub workers: usize,
    /// Sluice knows the workspaces and who reads whom from the start.
    pub known: bool,
    /// What Sluice is told.
    pub rules: Rules,
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
}

impl Scenario {
    /// Whether this is one change in a graph without cycles, with runs that all succeed by themselves: then every
    /// affected workspace runs exactly once.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let dag = self.workspaces.iter().enumerate().all(|(number, spec)| spec.reads.iter().all(|read| *read < number));
        let calm = self.workspaces.iter().all(|spec| spec.approval == Approval::Auto);
        let one = matches!(self.actions[..], [Action { deed: Deed::Change, .. }]);
        // A state that comes long after its run's end is not waited for by those below, who run again when it comes.
        let prompt = self.faults.state_lag_ms <= 5 * SECOND;
        dag && calm && one && prompt && self.known && self.rules.lets_through()
    }
}

/// A chain of `length`, each reading the one before.
#[must_use]
pub fn chain(length: usize) -> Vec<Spec> {
    (0..length).map(|number| spec(&number.checked_sub(1).map_or(Vec::new(), |above| vec![above]))).collect()
}

/// Workspaces that follow from what they read: `reads` of each, by number.
#[must_use]
pub fn graph(reads: &[&[usize]]) -> Vec<Spec> {
    reads.iter().map(|reads| spec(reads)).collect()
}

/// A workspace that follows from `reads` and applies by itself.
#[must_use]
pub fn spec(reads: &[usize]) -> Spec {
    Spec {
        reads: reads.to_vec(),
        kind: Kind::Follows,
        approval: Approval::Auto,
        outputs: 1,
        plan_ms: 5 * SECOND,
        apply_ms: 10 * SECOND,
        habits: Habits::default(),
    }
}

/// A calm scenario with one worker.
#[must_use]
pub fn calm(workspaces: Vec<Spec>, actions: &[(u64, usize, Deed)]) -> Scenario {
    let actions = actions.iter().map(|(at, workspace, deed)| Action { at: *at, workspace: *workspace, deed: *deed });
    Scenario {
        seed: 1,
        workspaces,
        actions: actions.collect(),
        faults: Profile::calm(),
        workers: 2,
        known: true,
        rules: Rules::default(),
        mutation: None,
    }
}
