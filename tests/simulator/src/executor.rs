//! The scheduler: which of the live futures takes the next step, when messages arrive, and who dies.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use secrecy::SecretString;
use sluice_domain::pace::{Lane, Paced};
use sluice_domain::{AutonomyRules, Policy, Queue, Timestamp};
use sluice_hcp::signature::{Keys, NOTIFICATION_HEADER, sign};
use sluice_notification_receiver::Receiver;
use sluice_run_creator::Creator;
use sluice_state_indexer::Indexer;

use crate::faults::FaultKind;
use crate::hcp::run_id;
use crate::job::Job;
use crate::mutation::Mutation;
use crate::ports::Port;
use crate::report::Report;
use crate::scenario::{MINUTE, SECOND, Scenario};
use crate::teaching::teach;
use crate::world::{Event, START, World};

/// Steps after which a simulation is taken to be without end.
const STEPS_MAX: u64 = 400_000;

/// The same, for each workspace, where there are many.
const STEPS_EACH_MAX: u64 = 2_000;

/// Virtual time after which a simulation is taken to be without end.
const TIME_MAX: u64 = 30 * 24 * 60 * MINUTE;

/// How long nothing may have changed before those who ask again and again are taken to be at rest.
const QUIET_MS: u64 = 130 * MINUTE;

/// How many surveys have to come to their end after anything changed: one may have begun before.
const ROUNDS: u64 = 2;

type Life = Pin<Box<dyn Future<Output = bool> + Send>>;

struct Worker {
    life: Life,
    job: Job,
    started: u64,
    /// It sleeps until then.
    wakes: u64,
}

impl Worker {
    fn ends(&self) -> u64 {
        self.started + self.job.time_ms()
    }
}

/// One simulation.
pub struct Sim {
    world: Arc<Mutex<World>>,
    receiver: Arc<Receiver<Port>>,
    token: SecretString,
    policy: Policy,
    workers: Vec<Worker>,
    ready: Vec<Job>,
    swept: u64,
    steps: u64,
    kill_at: Option<u64>,
    killed: bool,
    quiet: Quiet,
}

/// Since when nothing has changed.
#[derive(Debug, Clone, Copy, Default)]
struct Quiet {
    stirs: u64,
    since: u64,
    rounds: u64,
}

/// Runs a scenario to its rest.
#[must_use]
pub fn simulate(scenario: &Scenario) -> Report {
    Sim::new(scenario, false, None).run()
}

/// Runs a scenario to its rest, telling everything that happens.
#[must_use]
pub fn simulate_traced(scenario: &Scenario) -> Report {
    Sim::new(scenario, true, None).run()
}

/// Runs a scenario to its rest; the worker that comes to this suspension, counted from 1, dies there.
#[must_use]
pub fn simulate_killed(scenario: &Scenario, suspension: u64) -> Report {
    Sim::new(scenario, false, Some(suspension)).run()
}

impl Sim {
    fn new(scenario: &Scenario, traced: bool, kill_at: Option<u64>) -> Self {
        let world = Arc::new(Mutex::new(World::new(scenario, traced)));
        let token = SecretString::from("simulated");
        let host = "tfe".parse().expect("it is a host");
        let receiver = Receiver::new(Port::new(world.clone(), START), Keys::new([&token]), host);
        let rules = scenario.rules;
        let autonomy = AutonomyRules::all(rules.autonomy);
        let (settle_ms, budgets) = (rules.settle_ms, rules.budgets);
        Self {
            world,
            receiver: Arc::new(receiver),
            token,
            policy: Policy { autonomy, settle_ms, budgets, ..Policy::default() },
            workers: Vec::new(),
            ready: Vec::new(),
            swept: START / MINUTE,
            steps: 0,
            kill_at,
            killed: false,
            quiet: Quiet { since: START, ..Quiet::default() },
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("one thread polls, and a panic ends it")
    }

    fn run(mut self) -> Report {
        while self.step() {}
        let steps = self.steps;
        self.workers.clear();
        let mut world = self.world();
        if world.violation.is_none() {
            world.check_at_rest();
        }
        Report::of(&mut world, steps)
    }

    /// Takes one step; false at rest.
    fn step(&mut self) -> bool {
        self.steps += 1;
        let due = {
            let mut world = self.world();
            world.hcp.now = world.now;
            world.send_out();
            let most = STEPS_MAX.max(STEPS_EACH_MAX * world.hcp.sites.len() as u64);
            if self.steps > most || world.now > START + TIME_MAX {
                let text = format!("no rest after {} steps and {} minutes", self.steps, (world.now - START) / MINUTE);
                world.violated("I5", text);
            }
            if world.violation.is_some() {
                return false;
            }
            let now = world.now;
            match world.events.first_entry() {
                Some(first) if first.key().0 <= now => Some(first.remove()),
                _ => None,
            }
        };
        if let Some(event) = due {
            self.happen(event);
        } else {
            self.start_jobs();
            let now = self.world().now;
            if self.workers.iter().all(|worker| worker.wakes > now) {
                return self.wait();
            }
            self.poll(now);
        }
        true
    }

    fn happen(&mut self, event: Event) {
        let job = {
            let mut world = self.world();
            match event {
                Event::Notice(notice) => Some(Job::Notice(notice)),
                Event::Bell(key) => Some(Job::Work(key)),
                Event::Plan(run) => Some(Job::Plan(run)),
                Event::Timer(timer) => {
                    world.hcp.fire(timer);
                    None
                }
                Event::Deed(number) => {
                    world.deed(number);
                    None
                }
            }
        };
        self.ready.extend(job);
    }

    /// Gives free workers something to do.
    fn start_jobs(&mut self) {
        self.sweep_if_due();
        while !self.ready.is_empty() {
            let mut world = self.world();
            if self.workers.len() >= world.scenario.workers {
                return;
            }
            let chosen = world.rng.usize(0..self.ready.len());
            let now = world.now;
            drop(world);
            let job = self.ready.swap_remove(chosen);
            let life = self.life(&job, Timestamp(now));
            self.workers.push(Worker { life, job, started: now, wakes: 0 });
        }
    }

    fn sweep_if_due(&mut self) {
        let mut world = self.world();
        let minute = world.now / MINUTE;
        if minute <= self.swept || world.scenario.mutation == Some(Mutation::NoSweeper) {
            return;
        }
        let due = world.table.next_due().is_some_and(|at| at <= world.now);
        if due {
            world.trace("sweep", minute);
            drop(world);
            self.swept = minute;
            self.ready.push(Job::Sweep);
        }
    }

    fn life(&self, job: &Job, now: Timestamp) -> Life {
        let port = Port::new(self.world.clone(), now.0);
        let asks = Arc::new(port.clone());
        let paced = Paced::new(asks.clone(), asks, Lane::Work);
        match job.clone() {
            Job::Notice(notice) => {
                let (receiver, signature) = (self.receiver.clone(), sign(&self.token, notice.body.as_bytes()));
                Box::pin(async move {
                    let request = Request::post("/notifications").header(NOTIFICATION_HEADER, signature);
                    let request = request.body(Bytes::from(notice.body)).expect("method, path and header are valid");
                    sluice_notification_receiver::handle(&receiver, request, now).await.status().is_success()
                })
            }
            Job::Work(key) if key.queue() == Queue::Create => {
                let (policy, watch_ms) = (self.policy.clone(), sluice_run_creator::WATCH_MS);
                let creator = Creator { store: port, terraform: paced, policy, watch_ms };
                Box::pin(async move { sluice_run_creator::handle(&creator, &key, now).await.is_ok() })
            }
            Job::Work(key) => {
                let indexer = Indexer {
                    store: port,
                    bulk: paced.in_lane(Lane::Bulk),
                    terraform: paced,
                    policy: self.policy.clone(),
                    watch_ms: sluice_state_indexer::WATCH_MS,
                    survey_ms: sluice_state_indexer::SURVEY_MS,
                };
                Box::pin(async move { sluice_state_indexer::handle(&indexer, &key, now).await.is_ok() })
            }
            Job::Plan(run) => {
                let (workspace, reads) = self.world().plan_of(run);
                Box::pin(async move { teach(&port, &workspace, &run_id(run), reads).await.is_ok() })
            }
            Job::Sweep => Box::pin(async move { sluice_sweeper::sweep(&port, now).await.is_ok() }),
        }
    }

    /// Lets one of the workers that are awake take a step.
    fn poll(&mut self, now: u64) {
        // A sleep ends when it is over: others do not come first.
        let wakes = |worker: &usize| (1..=now).contains(&self.workers[*worker].wakes);
        let mut awake: Vec<usize> = (0..self.workers.len()).filter(wakes).collect();
        if awake.is_empty() {
            awake.extend((0..self.workers.len()).filter(|worker| self.workers[*worker].wakes == 0));
        }
        let (chosen, now) = {
            let mut world = self.world();
            let passes = world.rng.u64(1..12);
            world.now += passes;
            world.hcp.now = world.now;
            (awake[world.rng.usize(0..awake.len())], world.now)
        };
        if now >= self.workers[chosen].ends() {
            let worker = self.workers.swap_remove(chosen);
            self.world().inject(FaultKind::TimedOut, worker.job.word());
            return self.again(&worker.job);
        }
        let polled = self.workers[chosen].life.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(well) => {
                let worker = self.workers.swap_remove(chosen);
                if !well {
                    self.again(&worker.job);
                }
            }
            Poll::Pending => {
                let sleeps = self.world().sleep_until.take();
                let worker = &mut self.workers[chosen];
                worker.wakes = sleeps.unwrap_or(0).min(worker.ends());
                if self.dies(chosen) {
                    let worker = self.workers.swap_remove(chosen);
                    self.again(&worker.job);
                }
            }
        }
    }

    /// Whether a suspended worker comes to an end there.
    fn dies(&mut self, chosen: usize) -> bool {
        let ends = self.workers[chosen].ends();
        let function = self.workers[chosen].job.word();
        let (kill_at, killed) = (self.kill_at, self.killed);
        let mut world = self.world();
        let (place, suspensions) = (world.place, world.suspensions);
        world.trace(place.operation, u64::from(place.after));
        if place.after {
            let job = &self.workers[chosen].job;
            world.note(|| format!("      {function}: {} for {}", place.operation, job.name()));
        }
        let dies = world.scenario.faults.death;
        if world.chance(dies) || !killed && kill_at.is_some_and(|at| suspensions >= at) {
            let kind = if place.after { FaultKind::DiedAfter } else { FaultKind::DiedBefore };
            world.inject(kind, place.operation);
            world.note(|| format!("  a {function} died"));
            drop(world);
            self.killed = true;
            return true;
        }
        let slow = world.scenario.faults.slow;
        if world.chance(slow) {
            let stall = world.rng.u64(SECOND..40 * SECOND);
            world.now += stall;
            world.inject(FaultKind::Stalled, place.operation);
        }
        if world.now + 1 >= ends {
            world.inject(FaultKind::TimedOut, function);
            return true;
        }
        false
    }

    /// A message that must arrive and was not taken comes again.
    fn again(&mut self, job: &Job) {
        let mut world = self.world();
        if let Job::Notice(notice) = job
            && world.must_arrive(notice)
        {
            let at = world.now + 30 * SECOND;
            world.at(at, Event::Notice(notice.clone()));
        }
    }

    /// Nothing is to be done now: time passes until something is. False at rest.
    fn wait(&mut self) -> bool {
        let swept = self.swept;
        let quiet = self.quiet;
        let wakes = self.workers.iter().map(|worker| worker.wakes).min();
        let mut world = self.world();
        let stirs = world.table.stirs + world.hcp.stirs;
        let (now, rounds) = (world.now, world.rounds);
        let quiet = if quiet.stirs == stirs { quiet } else { Quiet { stirs, since: now, rounds } };
        let event = world.events.keys().next().map(|(at, _)| *at);
        let sweeps = world.scenario.mutation != Some(Mutation::NoSweeper);
        let due = world.table.next_due().filter(|_| sweeps);
        let sweep = due.map(|at| at.max((swept + 1) * MINUTE).div_ceil(MINUTE) * MINUTE);
        let long = now - quiet.since > QUIET_MS;
        let surveyed = due.is_none() || world.table.survey().is_none() || rounds >= quiet.rounds + ROUNDS || long;
        let news = world.table.next_news_due().is_some() && sweeps;
        let bells = |event: &Event| matches!(event, Event::Bell(_));
        let silent = event.is_none() || long && world.events.values().all(bells);
        let rests = wakes.is_none() && silent && surveyed && (!news || long && world.only_asks_again());
        let next = event.into_iter().chain(sweep).chain(wakes).min();
        if let Some(next) = next
            && !rests
        {
            world.now = world.now.max(next);
        }
        drop(world);
        self.quiet = quiet;
        !rests
    }
}
