//! The gate's ports over the models: each call is suspended before its effect and after it.

pub(super) mod script;
mod spoil;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use secrecy::SecretString;
use sluice_aws::secrets::Keyed;
use sluice_domain::gate::{Admission, CallbackUrl, Gated, KeyPlace, Report, ReportStatus, Sealed, State};
use sluice_domain::ports::{
    Advance, Bell, Definitions, GateStore, Guard, Heard, Recorded, StoreError, StoredTask, TaskResults, TerraformError,
    Worklist,
};
use sluice_domain::{Claimed, PolicyName, Queue, TaskName, TaskResultId, Timestamp, WorkKey};
use sluice_run_task_receiver::Keyring;

use crate::gate::Mutation;
use crate::gate::request::{hmac_key, stored};
use crate::gate::world::{Event, Job, Seat, World, number};
use crate::world::{Outcome, Place, no_table, no_terraform};

/// The world as one worker sees it.
#[derive(Debug, Clone)]
pub struct Port {
    world: Arc<Mutex<World>>,
    seat: Arc<Mutex<Seat>>,
}

/// Is pending once.
struct Suspension(bool);

impl Future for Suspension {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Port {
    /// The world for a new worker.
    #[must_use]
    pub fn new(world: Arc<Mutex<World>>, seat: Arc<Mutex<Seat>>) -> Self {
        Self { world, seat }
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().expect("one thread polls, and a panic ends it")
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("one thread polls, and a panic ends it")
    }

    async fn suspend(&self, operation: &'static str, after: bool) {
        {
            let mut world = self.world();
            world.place = Place { operation, after };
            world.suspensions += 1;
        }
        Suspension(false).await;
    }

    /// Lets time pass.
    async fn sleep(&self, operation: &'static str, ms: u64) {
        {
            let mut world = self.world();
            world.sleep_until = Some(world.now + ms);
            world.place = Place { operation, after: false };
        }
        Suspension(false).await;
    }

    /// One operation of the table.
    async fn table<R: Send>(
        &self,
        operation: &'static str,
        writes: bool,
        effect: impl FnOnce(&mut World, &mut Seat) -> Result<R, StoreError> + Send,
    ) -> Result<R, StoreError> {
        self.suspend(operation, false).await;
        let result = {
            let (mut world, mut seat) = (self.world(), self.seat());
            match world.table_outcome(&seat.job, operation, writes) {
                Outcome::Well => effect(&mut world, &mut seat),
                Outcome::Conflict => Err(StoreError::Conflict),
                Outcome::After => effect(&mut world, &mut seat).and(Err(no_table())),
                Outcome::Before | Outcome::Throttled => Err(no_table()),
            }
        };
        self.suspend(operation, true).await;
        result
    }
}

impl Definitions for Port {
    async fn task(&self, name: &TaskName) -> Result<Option<StoredTask>, StoreError> {
        self.table("task", false, |world, _| {
            let number = name.as_str().trim_start_matches("task").parse::<usize>().ok();
            Ok(number.and_then(|number| Some(stored(number, world.scenario.tasks.get(number)?))))
        })
        .await
    }

    async fn policy(&self, _: &PolicyName) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}

impl Keyring for Port {
    async fn keys(&self, _: &[KeyPlace], _: bool, _: Timestamp) -> Keyed {
        Keyed { keys: vec![hmac_key()], missing: None }
    }
}

impl GateStore for Port {
    async fn admit(&self, admission: &Admission, token: &Sealed) -> Result<Recorded, StoreError> {
        self.table("admit", true, |world, _| {
            let result = &admission.request.result;
            if world.breaks(Mutation::AdmitTwice) {
                world.table.spoil(result, None);
            }
            let recorded = world.table.admit_task(admission, token);
            if recorded == Recorded::New {
                world.check_admission(admission, token);
                world.admitted.insert(number(result), admission.request.received_at.0);
                world.spoil_admission(admission);
            }
            world.trace("admit", u64::from(recorded == Recorded::New));
            Ok(recorded)
        })
        .await
    }

    async fn gated(&self, result: &TaskResultId) -> Result<Option<Gated>, StoreError> {
        self.table("gated", false, |world, seat| {
            let gated = world.table.gated(result);
            seat.seen.clone_from(&gated);
            Ok(gated.map(|gated| world.spoilt(seat, gated)))
        })
        .await
    }

    async fn token(&self, result: &TaskResultId) -> Result<Option<Sealed>, StoreError> {
        self.table("token", false, |world, _| Ok(world.table.token(result))).await
    }

    async fn advance(&self, guard: Guard<'_>, step: &Advance<'_>) -> Result<(), StoreError> {
        self.table("advance", true, |world, seat| {
            let (seq, due) =
                (world.table.gated(step.result()).and_then(|gated| gated.seq.get(step.check()).copied()), step.due);
            let guard = match seq {
                Some(seq) if world.breaks(Mutation::GuardIgnored) => Guard::Read { seq },
                _ => guard,
            };
            let ended = step.execution.end.is_some();
            let step = Advance {
                tells: step.tells && !world.breaks(Mutation::TellsDropped),
                wakes: if world.breaks(Mutation::WakesDropped) { Vec::new() } else { step.wakes.clone() },
                due: if ended && world.breaks(Mutation::EndedAgain) { Some(step.now) } else { due },
                ..step.clone()
            };
            let before = world.table.gated(step.result()).map(|gated| gated.execution(step.check()));
            world.table.advance(guard, &step)?;
            world.check_advance(seat, &before.unwrap_or_default(), &step);
            Ok(())
        })
        .await
    }

    async fn told(&self, result: &TaskResultId, state: &State, version: u64) -> Result<(), StoreError> {
        self.table("told", true, |world, seat| {
            let before = world.table.gated(result);
            if state.verdict.is_some() && state.end.is_none() && world.breaks(Mutation::VerdictUnrecorded) {
                world.check_verdict(seat, result, state);
                seat.unwritten = Some(state.clone());
                return Ok(());
            }
            let current = before.as_ref().map_or(0, |gated| gated.version);
            let version = if world.breaks(Mutation::VersionIgnored) { current } else { version };
            let token = world.table.token(result);
            world.table.told(result, state, version)?;
            if before.is_some_and(|gated| gated.state.verdict.is_none()) && state.verdict.is_some() {
                world.check_verdict(seat, result, state);
            }
            if world.breaks(Mutation::TokenLeft) {
                world.table.spoil(result, token.as_ref());
            }
            Ok(())
        })
        .await
    }
}

impl Worklist for Port {
    async fn claim(&self, key: &WorkKey, now: Timestamp, lease_ms: u64) -> Result<Option<Claimed>, StoreError> {
        self.table("claim", true, |world, seat| {
            let claimed = world.table.claim(key, now, lease_ms);
            seat.claimed.clone_from(&claimed);
            Ok(claimed)
        })
        .await
    }

    async fn complete(&self, claimed: &Claimed) -> Result<(), StoreError> {
        self.table("complete", true, |world, _| {
            world.table.complete(claimed);
            Ok(())
        })
        .await
    }

    async fn postpone(&self, claimed: &Claimed, until: Timestamp, why: Option<&str>) -> Result<(), StoreError> {
        self.table("postpone", true, |world, seat| {
            world.check_text(why.unwrap_or_default());
            let relay = matches!(claimed.key, WorkKey::Relay(_));
            let until = if relay && world.breaks(Mutation::ChattyRelay) { Timestamp(seat.clock) } else { until };
            world.table.postpone(claimed, until, why);
            Ok(())
        })
        .await
    }

    async fn defer(&self, claimed: &Claimed, until: Timestamp, fault: &str, tried: bool) -> Result<(), StoreError> {
        self.table("defer", true, |world, _| {
            world.check_text(fault);
            world.table.defer(claimed, until, fault, tried);
            Ok(())
        })
        .await
    }

    async fn bury(&self, claimed: &Claimed, now: Timestamp, fault: &str) -> Result<(), StoreError> {
        self.table("bury", true, |world, _| {
            world.note(|| format!("  a dead letter: {}: {fault}", claimed.key));
            world.check_text(fault);
            world.table.bury(claimed, now, fault);
            Ok(())
        })
        .await
    }
}

impl Bell for Port {
    async fn due(&self, queue: Queue, now: Timestamp, limit: u16) -> Result<Vec<WorkKey>, StoreError> {
        self.table("due", false, |world, _| Ok(world.table.due(queue, now, limit))).await
    }

    async fn ring(&self, key: &WorkKey) -> Result<(), StoreError> {
        self.table("ring", true, |world, _| {
            let heard = world.table.bells.len();
            world.table.ring(key);
            // It is the one bell that is always heard, at last.
            if world.table.bells.len() > heard {
                world.table.bells.truncate(heard);
                let after = world.rng.u64(20..800);
                world.at(world.now + after, Event::Job(Job::Work(key.clone())));
            }
            Ok(())
        })
        .await
    }
}

impl TaskResults for Port {
    async fn report(
        &self,
        callback: &CallbackUrl,
        token: &SecretString,
        report: &Report,
    ) -> Result<Heard, TerraformError> {
        if report.status == ReportStatus::Running && self.world().breaks(Mutation::NoHeartbeat) {
            return Ok(Heard::Accepted);
        }
        self.suspend("report", false).await;
        let on_its_way = self.world().rng.u64(40..900);
        self.sleep("report", on_its_way).await;
        let result = {
            let (mut world, seat) = (self.world(), self.seat());
            match world.api_outcome(&seat.job, "report") {
                Outcome::Well | Outcome::Conflict => Ok(world.hear(callback, token, report)),
                Outcome::After => {
                    world.hear(callback, token, report);
                    Err(no_terraform(Outcome::After))
                }
                outcome => Err(no_terraform(outcome)),
            }
        };
        self.suspend("report", true).await;
        match result {
            Ok(200) => Ok(Heard::Accepted),
            Ok(status) if self.world().breaks(Mutation::RefusalUnheeded) => {
                Err(TerraformError::ServerError { action: "a refusal", status })
            }
            Ok(status) => Ok(Heard::Refused { status }),
            Err(TerraformError::ServerError { status, .. }) if self.world().breaks(Mutation::RelayGivesUp) => {
                Ok(Heard::Refused { status })
            }
            Err(error) => Err(error),
        }
    }
}
