//! Everything that the gate's handlers see: the table, HCP Terraform, other checkers, the clock, and what goes wrong.

use std::collections::BTreeMap;

use fastrand::Rng;
use secrecy::SecretString;
use sluice_domain::gate::{Gated, ReportStatus, State};
use sluice_domain::{CheckName, Claimed, TaskResultId, WorkKey};

use crate::faults::{FaultKind, Injected};
use crate::gate::Mutation;
use crate::gate::hcp::TaskResult;
use crate::gate::scenario::{Act, Ask, CheckSpec, Fate, Scenario};
use crate::scenario::{MINUTE, SECOND};
use crate::table::Table;
use crate::world::{Outcome, Place, START, Violation};

/// How much may go wrong between two words that HCP Terraform takes: what the design is to bear without a 10-minute or
/// 60-minute rule coming into force. A worker that dies or stalls counts twice, as it costs a lease; a sweep that is left
/// out counts for all.
const BEARABLE: u8 = 4;

/// What a worker is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// HCP Terraform asks for the task result of this number.
    Ask(usize),
    /// Another checker says something.
    Answer(Answer),
    /// Work that is due is done.
    Work(WorkKey),
    /// What is due is rung for.
    Sweep,
}

/// What another checker says: the result, the check and its word by number, and how often it said so before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The task result.
    pub result: usize,
    /// The check.
    pub check: usize,
    /// Which word.
    pub say: usize,
    /// How often before.
    pub before: u8,
}

impl Job {
    /// The function that does it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ask(_) => "receiver",
            Self::Answer(_) => "receiver of answers",
            Self::Work(WorkKey::Relay(_)) => "relay",
            Self::Work(_) => "runner",
            Self::Sweep => "sweeper",
        }
    }

    /// How long the function may run.
    pub fn time_ms(&self) -> u64 {
        match self {
            Self::Ask(_) | Self::Answer(_) => 10 * SECOND,
            Self::Work(WorkKey::Relay(_)) => sluice_run_task_relay::LEASE_MS,
            Self::Work(_) => sluice_task_runner::LEASE_MS,
            Self::Sweep => MINUTE,
        }
    }
}

/// What is to happen at some time.
#[derive(Debug, Clone)]
pub enum Event {
    /// A request or a doorbell arrives.
    Job(Job),
    /// Somebody else does something to a task result.
    Fate(usize, Fate),
}

/// What one worker knows, as far as what it does next is to be judged by it.
#[derive(Debug, Clone)]
pub struct Seat {
    /// What it does.
    pub job: Job,
    /// When it began.
    pub started: u64,
    /// The same by its own clock.
    pub clock: u64,
    /// What it has claimed.
    pub claimed: Option<Claimed>,
    /// What it read last.
    pub seen: Option<Gated>,
    /// What the executor gave it.
    pub given: Option<Act>,
    /// What it has been told to write down and has not: for a mutation.
    pub unwritten: Option<State>,
}

/// One turn at a check.
#[derive(Debug, Clone, Copy)]
pub struct Spell {
    /// When the worker began.
    pub started: u64,
    /// Until when, if that is over.
    pub until: Option<u64>,
}

/// How a check went, whatever is written down.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Every turn.
    pub spells: Vec<Spell>,
    /// How many workers did not come to an end with it, or not in time.
    pub deaths: u32,
    /// When the worker began with which another checker took it on, and with which token.
    pub handed: Option<(u64, SecretString)>,
    /// When that was written down.
    pub taken_on: Option<u64>,
    /// When that was last heard.
    pub heard: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
}

/// Everything that the handlers see.
#[derive(Debug)]
pub struct World {
    /// The true time, in milliseconds.
    pub now: u64,
    /// Every choice.
    pub rng: Rng,
    /// The table.
    pub table: Table,
    /// HCP Terraform's task results.
    pub results: Vec<TaskResult>,
    /// What is simulated.
    pub scenario: Scenario,
    /// What was injected.
    pub injected: Injected,
    /// What is to happen, by time.
    pub events: BTreeMap<(u64, u64), Event>,
    /// The last suspension.
    pub place: Place,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
    /// How each check of each task result went.
    pub courses: BTreeMap<(usize, usize), Course>,
    /// The last word on each task result, as it first arrived.
    pub last_words: BTreeMap<usize, (ReportStatus, String)>,
    /// When the first request for a task result was recorded, by the receiver's clock.
    pub admitted: BTreeMap<usize, u64>,
    /// When the last word on each task result was decided.
    pub decided: BTreeMap<usize, u64>,
    /// How often there was something to tell about each task result.
    pub news: BTreeMap<usize, u64>,
    /// What may still go wrong with a relay's work before HCP Terraform has heard something.
    pub spent: BTreeMap<usize, u8>,
    /// Until when the worker that was just suspended sleeps.
    pub sleep_until: Option<u64>,
    /// The worker that was just suspended has panicked.
    pub panicked: bool,
    /// A digest of everything that happened.
    pub hash: u64,
    /// What happened, in words, if it is to be told.
    pub log: Option<Vec<String>>,
    /// Suspensions so far.
    pub suspensions: u64,
    numbered: u64,
}

impl World {
    /// The world as it is before anything is asked.
    #[must_use]
    pub fn new(scenario: &Scenario, traced: bool) -> Self {
        let mut world = Self {
            now: START,
            rng: Rng::with_seed(scenario.seed),
            table: Table::default(),
            results: scenario.asks.iter().enumerate().map(|(number, ask)| TaskResult::new(number, *ask)).collect(),
            scenario: scenario.clone(),
            injected: Injected::default(),
            events: BTreeMap::new(),
            place: Place::default(),
            violation: None,
            courses: BTreeMap::new(),
            last_words: BTreeMap::new(),
            admitted: BTreeMap::new(),
            decided: BTreeMap::new(),
            news: BTreeMap::new(),
            spent: BTreeMap::new(),
            sleep_until: None,
            panicked: false,
            hash: 0xcbf2_9ce4_8422_2325,
            log: traced.then(Vec::new),
            suspensions: 0,
            numbered: 0,
        };
        world.table.leaseless = scenario.mutation == Some(Mutation::NoLease);
        if scenario.faults.skew > 0 {
            world.injected.count(FaultKind::ClockSkew, "clock");
        }
        for (number, ask) in scenario.asks.iter().enumerate() {
            for copy in 0..ask.copies.max(1) {
                world.at(START + ask.at + u64::from(copy) * 15, Event::Job(Job::Ask(number)));
            }
            if let Some((after, fate)) = ask.fate {
                world.at(START + ask.at + after, Event::Fate(number, fate));
            }
        }
        world
    }

    /// Has something happen at a time.
    pub fn at(&mut self, at: u64, event: Event) {
        self.numbered += 1;
        self.events.insert((at.max(self.now), self.numbered), event);
    }

    /// True so many times out of ten thousand.
    pub fn chance(&mut self, of_ten_thousand: u16) -> bool {
        of_ten_thousand > 0 && self.rng.u16(0..10_000) < of_ten_thousand
    }

    /// Whether this is broken on purpose.
    #[must_use]
    pub fn breaks(&self, mutation: Mutation) -> bool {
        self.scenario.mutation == Some(mutation)
    }

    /// Says that an invariant does not hold. The first such word counts.
    pub fn violated(&mut self, invariant: &'static str, text: String) {
        self.note(|| format!("VIOLATION of {invariant}: {text}"));
        self.violation.get_or_insert(Violation { invariant, text });
    }

    /// Tells what happens, if anybody listens.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            let line = format!("{:>10.3} {}", (self.now - START) as f64 / 1000.0, text());
            log.push(line);
        }
    }

    /// Takes something that happened into the digest of everything.
    pub fn trace(&mut self, what: &str, number: u64) {
        let mut hash = self.hash;
        for byte in what.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.hash = (hash ^ number ^ self.now.rotate_left(17)).wrapping_mul(0x0100_0000_01b3);
    }

    /// Counts and tells a fault.
    pub fn inject(&mut self, kind: FaultKind, operation: &'static str) {
        self.injected.count(kind, operation);
        self.note(|| format!("! {kind:?} {operation}"));
    }

    /// Whether something may go wrong with `job`, which would cost so much. If so, it is taken to go wrong.
    pub fn bears(&mut self, job: &Job, cost: u8) -> bool {
        let faults = self.scenario.faults;
        let most = if faults.storm.is_some() || faults.outage.is_some() { 1 } else { BEARABLE };
        let of = match job {
            Job::Work(WorkKey::Relay(result)) => number(result)..number(result) + 1,
            // All wait for the sweeper.
            Job::Sweep => 0..self.results.len(),
            Job::Ask(_) | Job::Answer(_) | Job::Work(_) => return true,
        };
        let bears = of.clone().all(|result| self.spent.get(&result).unwrap_or(&0) + cost <= most);
        for result in of.filter(|_| bears) {
            *self.spent.entry(result).or_default() += cost;
        }
        bears
    }

    /// Rolls the dice for `job`.
    pub fn strikes(&mut self, job: &Job, of_ten_thousand: u16, cost: u8) -> bool {
        self.chance(of_ten_thousand) && self.bears(job, cost)
    }

    /// What an operation of the table comes to.
    pub fn table_outcome(&mut self, job: &Job, operation: &'static str, writes: bool) -> Outcome {
        let faults = self.scenario.faults;
        if faults.outage.is_some_and(|(from, until)| (START + from..START + until).contains(&self.now)) {
            self.inject(FaultKind::Storm, operation);
            return Outcome::Before;
        }
        if !writes {
            if self.strikes(job, faults.table_read, 1) {
                self.inject(FaultKind::ReadFailed, operation);
                return Outcome::Before;
            }
            return Outcome::Well;
        }
        let transaction = matches!(operation, "admit" | "advance" | "told");
        if transaction && self.strikes(job, faults.conflict, 1) {
            self.inject(FaultKind::Conflict, operation);
            return Outcome::Conflict;
        }
        self.failing(job, operation, faults.table_write)
    }

    /// What a callback comes to.
    pub fn api_outcome(&mut self, job: &Job, operation: &'static str) -> Outcome {
        let faults = self.scenario.faults;
        if faults.storm.is_some_and(|(from, until)| (START + from..START + until).contains(&self.now)) {
            self.inject(FaultKind::Storm, operation);
            return if self.rng.bool() { Outcome::Throttled } else { Outcome::Before };
        }
        if self.strikes(job, faults.throttle, 1) {
            self.inject(FaultKind::Throttled, operation);
            return Outcome::Throttled;
        }
        self.failing(job, operation, faults.api)
    }

    fn failing(&mut self, job: &Job, operation: &'static str, of_ten_thousand: u16) -> Outcome {
        if !self.strikes(job, of_ten_thousand, 1) {
            return Outcome::Well;
        }
        if self.rng.bool() {
            self.inject(FaultKind::FailedBefore, operation);
            Outcome::Before
        } else {
            self.inject(FaultKind::FailedAfter, operation);
            Outcome::After
        }
    }

    /// Has the doorbells ring that the table's stream has, as far as they are heard.
    pub fn send_out(&mut self) {
        let faults = self.scenario.faults;
        for key in std::mem::take(&mut self.table.bells) {
            let mut after = self.rng.u64(20..800);
            if self.chance(faults.lose) {
                self.inject(FaultKind::Lost, "doorbell");
                continue;
            }
            if self.chance(faults.late) {
                self.inject(FaultKind::Late, "doorbell");
                after += self.rng.u64(SECOND..15 * MINUTE);
            }
            self.at(self.now + after, Event::Job(Job::Work(key.clone())));
            if self.chance(faults.double) {
                self.inject(FaultKind::Doubled, "doorbell");
                let again = after + self.rng.u64(0..MINUTE);
                self.at(self.now + again, Event::Job(Job::Work(key)));
            }
        }
    }

    /// The gate keys that a function has which starts now.
    pub fn gate_keys(&mut self) -> Vec<SecretString> {
        let [old, new] = ["the old gate key", "the new gate key"].map(SecretString::from);
        let Some(rotation) = self.scenario.faults.rotation else { return vec![old] };
        // Not all functions have new settings at once.
        let seen = (self.now - START).saturating_sub(self.rng.u64(0..MINUTE));
        let sealing = if rotation.hasty { rotation.at } else { rotation.at + 3 * MINUTE };
        match seen {
            seen if seen < rotation.at.min(sealing) => vec![old],
            seen if seen < sealing => vec![old, new],
            seen if seen < sealing + 65 * MINUTE => vec![new, old],
            _ => vec![new],
        }
    }

    /// The check of that number, of the task that result asks.
    #[must_use]
    pub fn spec(&self, result: usize, check: usize) -> &CheckSpec {
        &self.scenario.tasks[self.scenario.asks[result].task].checks[check]
    }

    /// How a check went.
    pub fn course(&mut self, result: usize, check: usize) -> &mut Course {
        self.courses.entry((result, check)).or_default()
    }
}

/// The id under which Sluice knows a task result.
#[must_use]
pub fn known_as(result: usize, ask: &Ask) -> TaskResultId {
    format!("taskrs-{result}@task{}", ask.task).parse().expect("it is an id")
}

/// The number of a task result.
#[must_use]
pub fn number(result: &TaskResultId) -> usize {
    let id = result.as_str().trim_start_matches("taskrs-");
    id.split('@').next().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

/// The number of a check.
#[must_use]
pub fn check_number(check: &CheckName) -> usize {
    check.as_str().trim_start_matches('c').parse().unwrap_or(usize::MAX)
}
