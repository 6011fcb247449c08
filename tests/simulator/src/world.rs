//! Everything that the handlers see: the table, HCP Terraform, the clock, and what goes wrong between them.

mod pace;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use sluice_domain::ports::{StoreError, TerraformError, Write};
use sluice_domain::{Order, StateVersionId, Survey, SurveyScope, Timestamp, WorkKey, Workspace};

use crate::faults::{FaultKind, Injected};
use crate::hcp::{Hcp, Notice, Timer, name};
use crate::mutation::Mutation;
use crate::scenario::{MINUTE, SECOND, Scenario};
use crate::table::{Table, survey_key};
use crate::teaching::Plans;

pub use pace::Meter;

/// When every simulation starts, by our clock.
pub const START: u64 = 1_700_000_000_000;

/// An invariant that does not hold, and how that shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `I1` to `I8`.
    pub invariant: &'static str,
    /// In words.
    pub text: String,
}

/// What is to happen at some time.
#[derive(Debug, Clone)]
pub enum Event {
    /// A notification arrives.
    Notice(Notice),
    /// A doorbell arrives.
    Bell(WorkKey),
    /// A run goes on.
    Timer(Timer),
    /// The plan of this run is shown.
    Plan(usize),
    /// The action of this number is done.
    Deed(usize),
}

/// Where a worker is suspended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Beside which operation.
    pub operation: &'static str,
    /// After it, rather than before.
    pub after: bool,
}

/// A run that Sluice created, and what was true at that moment.
#[derive(Debug, Clone)]
pub struct Made {
    /// The run.
    pub run: usize,
    /// Its workspace.
    pub workspace: usize,
    /// What it was ordered for.
    pub order: Order,
}

/// What an operation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It does what it does.
    Well,
    /// It fails and has no effect.
    Before,
    /// It has its effect and fails.
    After,
    /// It is refused for a conflict that is none.
    Conflict,
    /// It is throttled.
    Throttled,
}

/// Everything that the handlers see.
#[derive(Debug)]
pub struct World {
    /// Our clock, in milliseconds.
    pub now: u64,
    /// Every choice.
    pub rng: Rng,
    /// The table.
    pub table: Table,
    /// HCP Terraform.
    pub hcp: Hcp,
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
    /// Runs that Sluice created.
    pub made: Vec<Made>,
    /// Which run carries which marker.
    pub markers: BTreeMap<String, usize>,
    /// When an order with a marker was made, under which name, and what it says.
    pub orders: BTreeMap<String, (u64, Workspace, Order)>,
    /// When the end of a run was taken in.
    pub taken_in: BTreeMap<usize, u64>,
    /// The plans that Sluice was shown.
    pub plans: Plans,
    /// When a state version was first among the facts.
    pub read_at: BTreeMap<StateVersionId, u64>,
    /// Turns and requests to HCP Terraform.
    pub meter: Meter,
    /// Who reads whom, as far as Sluice has ever seen, and whether in a state that tells what was acted on.
    pub edges: BTreeMap<Workspace, BTreeMap<Workspace, bool>>,
    /// Runs created by those who began in an hour.
    pub made_in_hour: BTreeMap<u64, BTreeSet<usize>>,
    /// What was planned only: workspace, inputs, how often those had changed, its last run.
    pub planned: BTreeSet<(usize, String, u64, Option<usize>)>,
    /// Until when the worker that was just suspended sleeps.
    pub sleep_until: Option<u64>,
    /// Rounds of surveys that came to their end.
    pub rounds: u64,
    /// A digest of everything that happened.
    pub hash: u64,
    /// What happened, in words, if it is to be told.
    pub log: Option<Vec<String>>,
    /// Suspensions so far.
    pub suspensions: u64,
    /// Who changed, and who is affected by that and whether its own outputs change, where everybody is to run once.
    pub wave: Option<(usize, BTreeMap<usize, bool>)>,
    numbered: u64,
}

impl World {
    /// The world as it is before anything happens.
    #[must_use]
    pub fn new(scenario: &Scenario, traced: bool) -> Self {
        let mut world = Self {
            now: START,
            rng: Rng::with_seed(scenario.seed),
            table: Table::default(),
            hcp: Hcp::new(START, scenario.faults.skew_ms),
            scenario: scenario.clone(),
            injected: Injected::default(),
            events: BTreeMap::new(),
            place: Place::default(),
            violation: None,
            made: Vec::new(),
            markers: BTreeMap::new(),
            orders: BTreeMap::new(),
            taken_in: BTreeMap::new(),
            plans: Plans::default(),
            read_at: BTreeMap::new(),
            meter: Meter::default(),
            made_in_hour: BTreeMap::new(),
            edges: BTreeMap::new(),
            planned: BTreeSet::new(),
            sleep_until: None,
            rounds: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            log: traced.then(Vec::new),
            suspensions: 0,
            wave: None,
            numbered: 0,
        };
        world.break_on_purpose();
        if scenario.faults.skew_ms != 0 {
            world.injected.count(FaultKind::ClockSkew, "clock");
        }
        if scenario.faults.state_lag_ms > 0 {
            for _ in 0..256 {
                let lag = if world.rng.u8(..) < 90 { world.rng.u64(1..=scenario.faults.state_lag_ms) } else { 0 };
                world.hcp.lags.push(lag);
            }
        }
        world.hcp.found(&scenario.workspaces);
        world.hcp.idle_first = scenario.seed.is_multiple_of(3);
        world.begin_survey();
        if scenario.known {
            for number in 0..scenario.workspaces.len() {
                let facts = world.hcp.facts(number, Timestamp(START - 1));
                world.read_at.extend(facts.state.as_ref().map(|state| (state.version.clone(), START - 1)));
                world.take_in_edges(&name(number, 0), &facts);
                world.table.plant(&name(number, 0), facts);
            }
        }
        for (number, action) in scenario.actions.iter().enumerate() {
            world.at(START + action.at, Event::Deed(number));
        }
        world
    }

    fn break_on_purpose(&mut self) {
        let is = |mutation| self.scenario.mutation == Some(mutation);
        self.table.unchecked = is(Mutation::NoVersionCheck);
        self.table.leaseless = is(Mutation::NoLease);
        self.table.seqless = is(Mutation::CompleteIgnoresSeq);
        self.hcp.digests_with_version = is(Mutation::NoCutOff);
    }

    /// Lists the organization from the start, where the scenario says so.
    fn begin_survey(&mut self) {
        let rules = self.scenario.rules;
        if rules.backfill && self.rng.bool() {
            // Whoever reads it is stale from before, and that is how it is.
            let number = self.rng.usize(0..self.hcp.sites.len());
            self.hcp.has_changed(number);
        }
        let scope = if rules.backfill { SurveyScope::All } else { SurveyScope::LatelyRun };
        let due = if rules.backfill { 0 } else { self.rng.u64(0..5 * MINUTE) };
        if rules.backfill || rules.survey && self.scenario.known && self.surveys() {
            let WorkKey::Survey(host, organization) = survey_key() else { return };
            let survey = Survey { scope, page: 1, ..Survey::default() };
            self.table.write(&Write::Survey { host, organization, survey, at: Timestamp(START + due), seq: None });
        }
    }

    /// Whether surveys are made at all.
    #[must_use]
    pub fn surveys(&self) -> bool {
        self.scenario.mutation != Some(Mutation::NoSurvey)
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

    /// What an operation of the table comes to.
    pub fn table_outcome(&mut self, operation: &'static str, writes: bool) -> Outcome {
        let faults = self.scenario.faults;
        if !writes {
            if self.chance(faults.table_read) {
                self.inject(FaultKind::ReadFailed, operation);
                return Outcome::Before;
            }
            return Outcome::Well;
        }
        if operation == "commit" && self.chance(faults.conflict) {
            self.inject(FaultKind::Conflict, operation);
            return Outcome::Conflict;
        }
        self.failing(operation, faults.table_write)
    }

    /// What a request to HCP Terraform comes to.
    pub fn api_outcome(&mut self, operation: &'static str, writes: bool) -> Outcome {
        let faults = self.scenario.faults;
        if faults.storm.is_some_and(|(from, until)| (START + from..START + until).contains(&self.now)) {
            self.inject(FaultKind::Storm, operation);
            return if self.scenario.seed.is_multiple_of(2) { Outcome::Throttled } else { Outcome::Before };
        }
        if self.chance(faults.throttle) {
            self.inject(FaultKind::Throttled, operation);
            return Outcome::Throttled;
        }
        if !writes {
            if self.chance(faults.api) {
                self.inject(FaultKind::ReadFailed, operation);
                return Outcome::Before;
            }
            return Outcome::Well;
        }
        self.failing(operation, faults.api)
    }

    fn failing(&mut self, operation: &'static str, of_ten_thousand: u16) -> Outcome {
        if !self.chance(of_ten_thousand) {
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

    /// Counts and tells a fault.
    pub fn inject(&mut self, kind: FaultKind, operation: &'static str) {
        self.injected.count(kind, operation);
        self.note(|| format!("! {kind:?} {operation}"));
    }

    /// Sends whatever HCP Terraform and the table's stream have to say, and starts their timers.
    pub fn send_out(&mut self) {
        for (at, timer) in std::mem::take(&mut self.hcp.timers) {
            self.at(at, Event::Timer(timer));
        }
        for notice in std::mem::take(&mut self.hcp.outbox) {
            self.note(|| format!("  run-{} is {}", notice.run, notice.status));
            self.send_notice(&notice);
        }
        for run in std::mem::take(&mut self.hcp.shown) {
            self.show_plan(run);
        }
        for key in std::mem::take(&mut self.table.bells) {
            let times = self.weather("doorbell", false);
            for after in times {
                self.at(self.now + after, Event::Bell(key.clone()));
            }
        }
    }

    fn send_notice(&mut self, notice: &Notice) {
        if self.is_never_heard(notice.run) {
            return self.inject(FaultKind::Unheard, "notification");
        }
        let must = self.must_arrive(notice);
        for after in self.weather("notification", must) {
            self.at(self.now + after, Event::Notice(notice.clone()));
        }
    }

    /// Whether no notification at all tells of the run: what people do, where a survey finds it all the same.
    fn is_never_heard(&self, run: usize) -> bool {
        let deaf = self.scenario.faults.lose_persons_ends && !self.hcp.runs[run].ours();
        deaf && (self.scenario.seed ^ run as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0
    }

    /// Whether nothing but this piece of news tells of a run's end.
    #[must_use]
    pub fn must_arrive(&self, notice: &Notice) -> bool {
        notice.ends && !self.hcp.runs[notice.run].ours() && !self.scenario.faults.lose_persons_ends
    }

    /// After how long each copy of a message arrives.
    pub(crate) fn weather(&mut self, what: &'static str, must_arrive: bool) -> Vec<u64> {
        let faults = self.scenario.faults;
        let mut after = self.rng.u64(20..800);
        if self.chance(faults.lose) {
            if !must_arrive {
                self.inject(FaultKind::Lost, what);
                return Vec::new();
            }
            after += self.rng.u64(MINUTE..90 * MINUTE);
            self.inject(FaultKind::Late, what);
        }
        if self.chance(faults.late) {
            after += self.rng.u64(SECOND..15 * MINUTE);
            self.inject(FaultKind::Late, what);
        }
        if self.chance(faults.double) {
            self.inject(FaultKind::Doubled, what);
            let again = after + self.rng.u64(0..5 * MINUTE);
            return vec![after, again];
        }
        vec![after]
    }
}

/// The table did not answer.
#[must_use]
pub fn no_table() -> StoreError {
    StoreError::Unavailable { action: "a simulated operation", source: "it was to fail".into() }
}

/// HCP Terraform did not answer, or asked to be left alone.
#[must_use]
pub fn no_terraform(outcome: Outcome) -> TerraformError {
    match outcome {
        Outcome::Throttled => TerraformError::RateLimited { action: "a simulated request", after_ms: 700 },
        Outcome::Before => TerraformError::ServerError { action: "a simulated request", status: 502 },
        _ => TerraformError::Unreachable { action: "a simulated request", source: "it was to fail".into() },
    }
}
