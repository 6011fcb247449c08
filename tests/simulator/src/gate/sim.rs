//! The scheduler of the gate: which worker takes the next step, what arrives when, and who dies.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use sluice_aws::GateKeys;
use sluice_domain::{Timestamp, WorkKey};
use sluice_run_task_receiver::Receiver;
use sluice_run_task_relay::Relay;
use sluice_task_runner::Runner;

use crate::faults::FaultKind;
use crate::gate::Mutation;
use crate::gate::ports::Port;
use crate::gate::ports::script::{Script, client};
use crate::gate::report::Report;
use crate::gate::request::{ADDRESS, answered, asked};
use crate::gate::scenario::Scenario;
use crate::gate::world::{Event, Job, Seat, World, known_as};
use crate::scenario::{MINUTE, SECOND};
use crate::world::START;

/// Steps after which a simulation is taken to be without end.
const STEPS_MAX: u64 = 400_000;

/// Virtual time after which a simulation is taken to be without end.
const TIME_MAX: u64 = 8 * 60 * MINUTE;

type Life = Pin<Box<dyn Future<Output = u16> + Send>>;

struct Worker {
    life: Life,
    seat: Arc<Mutex<Seat>>,
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
struct Sim {
    world: Arc<Mutex<World>>,
    workers: Vec<Worker>,
    ready: Vec<Job>,
    swept: u64,
    steps: u64,
    kill_at: Option<u64>,
    outlives: bool,
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
        Self {
            world: Arc::new(Mutex::new(World::new(scenario, traced))),
            workers: Vec::new(),
            ready: Vec::new(),
            swept: START / MINUTE,
            steps: 0,
            kill_at,
            outlives: scenario.faults.outlives,
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
            world.send_out();
            if self.steps > STEPS_MAX || world.now > START + TIME_MAX {
                let text = format!("no rest after {} steps and {} minutes", self.steps, (world.now - START) / MINUTE);
                world.violated("G5", text);
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
        match due {
            Some(Event::Job(job)) => self.ready.push(job),
            Some(Event::Fate(result, fate)) => self.world().befall(result, fate),
            None => {
                self.start_jobs();
                let now = self.world().now;
                if self.workers.iter().all(|worker| worker.wakes > now) {
                    return self.wait();
                }
                self.poll(now);
            }
        }
        true
    }

    /// Gives free workers something to do. Whoever talks to HCP Terraform, and the sweeper, are functions of their own,
    /// for whom there always is room.
    fn start_jobs(&mut self) {
        self.sweep_if_due();
        let apart = |job: &Job| matches!(job, Job::Sweep | Job::Work(WorkKey::Relay(_)));
        while !self.ready.is_empty() {
            let mut world = self.world();
            let full = self.workers.iter().filter(|worker| !apart(&worker.job)).count() >= world.scenario.workers;
            let fit = |job: &usize| !full || apart(&self.ready[*job]);
            let fitting: Vec<usize> = (0..self.ready.len()).filter(fit).collect();
            if fitting.is_empty() {
                return;
            }
            let chosen = fitting[world.rng.usize(0..fitting.len())];
            drop(world);
            let job = self.ready.swap_remove(chosen);
            self.begin(job);
        }
    }

    fn sweep_if_due(&mut self) {
        let mut world = self.world();
        let minute = world.now / MINUTE;
        if minute <= self.swept || world.breaks(Mutation::NoSweeper) {
            return;
        }
        if world.table.next_due().is_some_and(|at| at <= world.now) {
            let missed = world.scenario.faults.sweep;
            let missed = world.strikes(&Job::Sweep, missed, 1);
            if missed {
                world.inject(FaultKind::Lost, "sweep");
            }
            drop(world);
            self.swept = minute;
            if !missed {
                self.ready.push(Job::Sweep);
            }
        }
    }

    fn begin(&mut self, job: Job) {
        let (seat, keys) = {
            let mut world = self.world();
            let skew = world.scenario.faults.skew;
            let (now, off) = (world.now, if skew > 0 { world.rng.u64(0..=2 * skew) } else { 0 });
            let seat = Seat {
                job: job.clone(),
                started: now,
                clock: now + off - skew,
                claimed: None,
                seen: None,
                given: None,
                unwritten: None,
            };
            let keys = world.gate_keys();
            (seat, GateKeys::new(&keys[0], &keys[1..]))
        };
        let (started, clock) = (seat.started, Timestamp(seat.clock));
        let seat = Arc::new(Mutex::new(seat));
        let port = Port::new(self.world.clone(), seat.clone());
        let life = self.life(&job, port, keys, clock);
        self.workers.push(Worker { life, seat, job, started, wakes: 0 });
    }

    fn life(&self, job: &Job, port: Port, keys: GateKeys, now: Timestamp) -> Life {
        let well = |result: Result<(), sluice_domain::ports::StoreError>| if result.is_ok() { 200 } else { 500 };
        let request = match job {
            Job::Ask(result) => {
                let world = self.world();
                asked(*result, &world.scenario.asks[*result], &world.results[*result].token)
            }
            Job::Answer(answer) => {
                let mut world = self.world();
                let say = world.say(*answer).expect("it was said");
                let token = world.course(answer.result, answer.check).handed.clone().map(|(_, token)| token);
                let token = if say.forged { "forged".into() } else { token.expect("it was handed on") };
                let result = known_as(answer.result, &world.scenario.asks[answer.result]);
                answered(&result, answer.check, say.last, &token)
            }
            Job::Work(key @ WorkKey::Relay(_)) => {
                let (relay, key) = (Relay { store: port.clone(), terraform: port, keys }, key.clone());
                return Box::pin(async move { well(sluice_run_task_relay::handle(&relay, &key, now).await) });
            }
            Job::Work(key) => {
                let executor = Script { port: port.clone(), keys: keys.clone() };
                let (runner, key) = (Runner { store: port, executor, keys: Some(keys) }, key.clone());
                return Box::pin(async move { well(sluice_task_runner::handle(&runner, &key, now).await) });
            }
            Job::Sweep => return Box::pin(async move { well(sluice_sweeper::sweep(&port, now).await.map(drop)) }),
        };
        let receiver = Receiver {
            store: port.clone(),
            keyring: port,
            gate: keys,
            host: "tfe.example".parse().expect("it is a host"),
            origin: ADDRESS.parse().expect("it is an address"),
            client: client(),
        };
        Box::pin(async move { sluice_run_task_receiver::handle(&receiver, request, now).await.status().as_u16() })
    }

    /// Lets one of the workers that are awake take a step.
    fn poll(&mut self, now: u64) {
        let wakes = |worker: &usize| (1..=now).contains(&self.workers[*worker].wakes);
        let mut awake: Vec<usize> = (0..self.workers.len()).filter(wakes).collect();
        if awake.is_empty() {
            awake.extend((0..self.workers.len()).filter(|worker| self.workers[*worker].wakes == 0));
        }
        let (chosen, now) = {
            let mut world = self.world();
            let passes = world.rng.u64(1..12);
            world.now += passes;
            (awake[world.rng.usize(0..awake.len())], world.now)
        };
        if now >= self.workers[chosen].ends() && !self.outlives {
            self.world().inject(FaultKind::TimedOut, self.workers[chosen].job.word());
            return self.end(chosen, None);
        }
        let polled = self.workers[chosen].life.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(status) => self.end(chosen, Some(status)),
            Poll::Pending => {
                let sleeps = self.world().sleep_until.take();
                let worker = &mut self.workers[chosen];
                // Its time may be over before its sleep.
                worker.wakes = sleeps.unwrap_or(0).min(if self.outlives { u64::MAX } else { worker.ends() });
                if self.dies(chosen) {
                    self.end(chosen, None);
                }
            }
        }
    }

    /// A worker is done, or dead.
    fn end(&mut self, chosen: usize, status: Option<u16>) {
        let Worker { life, seat, job, .. } = self.workers.swap_remove(chosen);
        drop(life);
        let seat = seat.lock().expect("one thread polls, and a panic ends it").clone();
        let mut world = self.world();
        world.trace(job.word(), status.unwrap_or(0).into());
        match &job {
            Job::Ask(result) => world.ask_answered(*result, status.unwrap_or(502)),
            Job::Answer(answer) => {
                let lost = world.scenario.faults.lose.min(2_000) / 2;
                let lost = world.chance(lost);
                if lost {
                    world.inject(FaultKind::Lost, "answer to a checker");
                }
                world.answered(*answer, if lost { 502 } else { status.unwrap_or(502) });
            }
            Job::Work(_) if status == Some(200) => world.check_taken_in(&seat),
            Job::Work(_) => world.came_to_no_end(&job),
            Job::Sweep => {}
        }
    }

    /// Whether a suspended worker comes to an end there.
    fn dies(&mut self, chosen: usize) -> bool {
        let (job, kill_at) = (self.workers[chosen].job.clone(), self.kill_at);
        let mut world = self.world();
        let (place, suspensions, faults) = (world.place, world.suspensions, world.scenario.faults);
        world.trace(place.operation, u64::from(place.after));
        if place.after {
            world.note(|| format!("      {}: {} for {job:?}", job.word(), place.operation));
        }
        if std::mem::take(&mut world.panicked) {
            world.inject(FaultKind::DiedBefore, "panic");
            return true;
        }
        let killed = kill_at.is_some_and(|at| suspensions >= at);
        if killed || world.strikes(&job, faults.death, 2) {
            let kind = if place.after { FaultKind::DiedAfter } else { FaultKind::DiedBefore };
            world.inject(kind, place.operation);
            world.note(|| format!("  a {} died", job.word()));
            drop(world);
            self.kill_at = None;
            return true;
        }
        if world.strikes(&job, faults.slow, 2) {
            let longest = if faults.outlives { 4 * MINUTE } else { 40 * SECOND };
            let until = world.now + world.rng.u64(SECOND..longest);
            world.inject(FaultKind::Stalled, place.operation);
            if faults.outlives {
                // It may come to no end in time.
                world.came_to_no_end(&job);
            }
            drop(world);
            let worker = &mut self.workers[chosen];
            worker.wakes = worker.wakes.max(until).min(if faults.outlives { u64::MAX } else { worker.ends() });
        }
        false
    }

    /// Nothing is to be done now: time passes until something is. False at rest.
    fn wait(&mut self) -> bool {
        let wakes = self.workers.iter().map(|worker| worker.wakes).min();
        let mut world = self.world();
        let event = world.events.keys().next().map(|(at, _)| *at);
        let due = world.table.next_due().filter(|_| !world.breaks(Mutation::NoSweeper));
        let sweep = due.map(|at| at.max((self.swept + 1) * MINUTE).div_ceil(MINUTE) * MINUTE);
        let Some(next) = event.into_iter().chain(sweep).chain(wakes).min() else { return false };
        world.now = world.now.max(next);
        let now = world.now;
        world.table.expire(now);
        true
    }
}
