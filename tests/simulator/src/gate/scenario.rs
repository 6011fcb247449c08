//! What is asked of the gate in one simulation, and what goes wrong, as plain data.

use crate::gate::Mutation;

/// What another checker says, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Say {
    /// How long after it was asked, in milliseconds.
    pub after: u64,
    /// Some: for good, well or badly. None: that it goes on.
    pub last: Option<bool>,
    /// How often it says so, all at about the same time.
    pub copies: u8,
    /// With a token that is not its own.
    pub forged: bool,
}

/// What comes of one turn at a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It passes.
    Pass,
    /// It fails.
    Fail,
    /// It fails in a way that may pass.
    Transient,
    /// It fails for good.
    Permanent,
    /// It is told to come again after so many milliseconds.
    Throttled(u64),
    /// It panics.
    Panic,
    /// It is to be looked at again after so many milliseconds.
    Again(u64),
    /// Another checker takes it on.
    HandOn(Vec<Say>),
}

/// One turn at a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// How long it takes, in milliseconds.
    pub takes: u64,
    /// What comes of it.
    pub act: Act,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    /// What comes of each turn; of further ones the same as of the last.
    pub turns: Vec<Turn>,
    /// It cannot fail the result.
    pub advisory: bool,
    /// Without a verdict it counts as passed.
    pub lenient: bool,
    /// The checks before it, by number, that it needs.
    pub needs: Vec<usize>,
    /// How long it may take, in seconds.
    pub timeout: u32,
    /// It is asked at another stage only.
    pub elsewhere: bool,
}

/// What is wrong with a task as a whole, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nothing.
    #[default]
    Good,
    /// It is not enabled.
    Disabled,
    /// Its definition is not valid.
    Invalid,
}

/// A run task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec {
    /// What is wrong with it.
    pub standing: Standing,
    /// How long it may take, in seconds.
    pub timeout: u32,
    /// Its checks.
    pub checks: Vec<CheckSpec>,
}

/// How a task result ends though nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The run is canceled.
    Canceled,
    /// The run and its results are deleted.
    Deleted,
    /// The access token is revoked.
    Revoked,
}

/// A task result that HCP Terraform asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// When, in milliseconds.
    pub at: u64,
    /// Which task.
    pub task: usize,
    /// How often the request is sent though once would do, at about the same time.
    pub copies: u8,
    /// How long the access token is good for, in milliseconds, if not for ever.
    pub token_life: Option<u64>,
    /// What happens to it by somebody else, and how long after it was asked.
    pub fate: Option<(u64, Fate)>,
    /// The sender takes no outcomes.
    pub old: bool,
    /// It finds outcomes wrong, whatever they are.
    pub fussy: bool,
}

/// How the gate key is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// When it begins, in milliseconds.
    pub at: u64,
    /// The new key seals at once, rather than when all functions can open it.
    pub hasty: bool,
}

/// What goes wrong. Chances are out of ten thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// A read of the table fails.
    pub table_read: u16,
    /// A write of the table fails, before or after its effect.
    pub table_write: u16,
    /// A transaction meets a conflict that is none.
    pub conflict: u16,
    /// A callback fails, before or after its effect.
    pub api: u16,
    /// A callback is throttled.
    pub throttle: u16,
    /// From when to when HCP Terraform takes no callback.
    pub storm: Option<(u64, u64)>,
    /// From when to when the table does nothing.
    pub outage: Option<(u64, u64)>,
    /// A worker dies.
    pub death: u16,
    /// A worker stalls.
    pub slow: u16,
    /// A worker that stalls is not ended when its time is over.
    pub outlives: bool,
    /// A doorbell, or an answer to HCP Terraform or another checker, is lost.
    pub lose: u16,
    /// A doorbell arrives late.
    pub late: u16,
    /// A doorbell arrives twice.
    pub double: u16,
    /// A sweep is left out.
    pub sweep: u16,
    /// How far a worker's clock is off, at most, in milliseconds.
    pub skew: u64,
    /// How the gate key is replaced, if it is.
    pub rotation: Option<Rotation>,
}

/// One simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Every choice follows from it.
    pub seed: u64,
    /// The run tasks.
    pub tasks: Vec<TaskSpec>,
    /// The task results that are asked for.
    pub asks: Vec<Ask>,
    /// What goes wrong.
    pub faults: Faults,
    /// Most workers at once.
    pub workers: usize,
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
}

impl Scenario {
    /// Whether nothing goes wrong but what checks themselves do.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.faults == Faults::default() && self.workers >= 8
    }
}

/// A check of one turn.
#[must_use]
pub fn check(act: Act) -> CheckSpec {
    CheckSpec {
        turns: vec![Turn { takes: 300, act }],
        advisory: false,
        lenient: false,
        needs: Vec::new(),
        timeout: 1_800,
        elsewhere: false,
    }
}

/// One result of one task, and nothing going wrong.
#[must_use]
pub fn calm(checks: Vec<CheckSpec>) -> Scenario {
    let ask = Ask { at: 1_000, task: 0, copies: 1, token_life: None, fate: None, old: false, fussy: false };
    Scenario {
        seed: 1,
        tasks: vec![TaskSpec { standing: Standing::Good, timeout: 1_800, checks }],
        asks: vec![ask],
        faults: Faults::default(),
        workers: 16,
        mutation: None,
    }
}
