//! Checks that follow a script, and other checkers.

use secrecy::{ExposeSecret, SecretString};
use sluice_aws::GateKeys;
use sluice_domain::gate::{CallbackUrl, CheckVerdict, Ended, Outcome as Finding, Report, ReportStatus};
use sluice_domain::{Classify, Fault, WorkKey};
use sluice_task_runner::{Asked, Executor, Step, Told};

use super::Port;
use crate::faults::FaultKind;
use crate::gate::Mutation;
use crate::gate::scenario::{Act, Turn};
use crate::gate::world::{Answer, Event, Job, World, check_number, number};
use crate::world::Outcome;

/// What carries out checks as the scenario has it.
#[derive(Debug, Clone)]
pub struct Script {
    /// The world.
    pub port: Port,
    /// What makes the tokens of other checkers.
    pub keys: GateKeys,
}

/// Why a check comes to no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("it does not work for now{0}")]
    Transient(String),
    #[error("it cannot work")]
    Permanent,
    #[error("there are too many")]
    Throttled(u64),
}

impl Classify for ScriptError {
    fn fault(&self) -> Fault {
        match self {
            Self::Transient(_) => Fault::TRANSIENT,
            Self::Permanent => Fault::Permanent,
            Self::Throttled(after_ms) => Fault::Throttled { after_ms: *after_ms },
        }
    }
}

impl Told for ScriptError {
    fn told(&self) -> String {
        self.to_string()
    }
}

/// A turn that is over when this is dropped, whether the worker came to its end or died.
struct Under<'a> {
    port: &'a Port,
    key: (usize, usize),
    number: usize,
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        // Where a simulation is broken off, nobody minds.
        let Ok(mut world) = self.port.world.lock() else { return };
        let now = world.now;
        if let Some(spell) = world.course(self.key.0, self.key.1).spells.get_mut(self.number) {
            spell.until = Some(now);
        }
    }
}

impl Executor for Script {
    type Error = ScriptError;

    async fn execute(&self, asked: Asked<'_>) -> Result<Step, ScriptError> {
        let port = &self.port;
        let key = (number(&asked.request().result), check_number(&asked.check.name));
        port.suspend("execute", false).await;
        let (turn, under) = {
            let (mut world, mut seat) = (port.world(), port.seat());
            let number = world.begin(&seat, key, asked.token.expect("checks read plans"));
            let turns = &world.spec(key.0, key.1).turns;
            let turn = turns[number.min(turns.len() - 1)].clone();
            world.note(|| format!("   turn {number} at c{} of taskrs-{}: {:?}", key.1, key.0, turn.act));
            seat.given = None;
            (turn, Under { port, key, number })
        };
        port.sleep("execute", turn.takes).await;
        let step = self.comes_to(&asked, key, &turn).await;
        if !matches!(turn.act, Act::HandOn(_)) || step.is_ok() {
            port.seat().given = Some(turn.act);
        }
        port.suspend("execute", true).await;
        drop(under);
        step
    }
}

impl Script {
    async fn comes_to(&self, asked: &Asked<'_>, key: (usize, usize), turn: &Turn) -> Result<Step, ScriptError> {
        let ended = |verdict, message: &str| {
            let finding = Finding { id: "one".to_owned(), description: message.to_owned(), ..Finding::default() };
            Ok(Step::Ended(Ended::new(asked.now, verdict, message).with(vec![finding])))
        };
        match &turn.act {
            Act::Pass => ended(CheckVerdict::Passed, "nothing to object to"),
            Act::Fail => ended(CheckVerdict::Failed, "objects"),
            Act::Transient if self.port.world().breaks(Mutation::TokenLeaks) => {
                let token = asked.token.expect("checks read plans");
                Err(ScriptError::Transient(format!(": {}", token.expose_secret())))
            }
            Act::Transient => Err(ScriptError::Transient(String::new())),
            Act::Permanent => Err(ScriptError::Permanent),
            Act::Throttled(after) => Err(ScriptError::Throttled(*after)),
            Act::Again(after) => Ok(Step::Again { at: asked.now.plus_ms(*after), message: "waits".to_owned() }),
            Act::Panic => {
                self.port.world().panicked = true;
                self.port.suspend("execute", true).await;
                Err(ScriptError::Permanent)
            }
            Act::HandOn(_) => {
                let token = self.keys.checker_token(&asked.request().result, &asked.check.name);
                let mut world = self.port.world();
                if asked.request().original.0.contains("SECRET") {
                    world.violated("G6", "another checker is sent the access token".to_owned());
                }
                let job = self.port.seat().job.clone();
                let outcome = world.api_outcome(&job, "hand on");
                if matches!(outcome, Outcome::Well | Outcome::Conflict | Outcome::After) {
                    world.hand_on(key, &turn.act, token);
                }
                match outcome {
                    Outcome::Well | Outcome::Conflict => Ok(Step::HandedOn),
                    Outcome::Throttled => Err(ScriptError::Throttled(700)),
                    Outcome::Before | Outcome::After => Err(ScriptError::Transient(String::new())),
                }
            }
        }
    }
}

impl World {
    /// Another checker is asked. Asked once more for the same, it knows that.
    fn hand_on(&mut self, (result, check): (usize, usize), act: &Act, token: SecretString) {
        let Act::HandOn(says) = act else { return };
        let now = self.now;
        let course = self.course(result, check);
        if course.handed.is_some() {
            return;
        }
        let began = course.spells.last().map_or(now, |spell| spell.started);
        course.handed = Some((began, token));
        for (say, what) in says.iter().enumerate() {
            for copy in 0..what.copies.max(1) {
                let answer = Answer { result, check, say, before: 0 };
                self.at(now + what.after + u64::from(copy) * 7, Event::Job(Job::Answer(answer)));
            }
        }
    }

    /// What was answered to another checker.
    pub(crate) fn answered(&mut self, answer: Answer, status: u16) {
        let Answer { result, check, say, before } = answer;
        let turns = &self.spec(result, check).turns;
        let Some(what) = turns.iter().find_map(|turn| match &turn.act {
            Act::HandOn(says) => says.get(say).copied(),
            _ => None,
        }) else {
            return;
        };
        self.note(|| format!("   c{check} of taskrs-{result} said {:?}, and is answered {status}", what.last));
        if what.forged && !matches!(status, 401 | 502 | 503) {
            self.violated("G2", format!("an answer to c{check} of taskrs-{result} with a wrong token got {status}"));
        }
        if status >= 500 && before < 8 {
            let after = self.rng.u64(4_000..30_000);
            self.at(self.now + after, Event::Job(Job::Answer(Answer { before: before + 1, ..answer })));
        }
    }

    /// HCP Terraform hears a word.
    pub(super) fn hear(&mut self, callback: &CallbackUrl, token: &SecretString, report: &Report) -> u16 {
        let number = callback.0.rsplit_once("url_code=").and_then(|(_, code)| code.parse::<usize>().ok());
        let Some(number) = number.filter(|number| *number < self.results.len()) else { return 404 };
        self.check_word(number, report);
        let answer = self.results[number].hear(token, report, self.now);
        self.note(|| format!("   taskrs-{number} {}: {}: {answer}", report.status, report.message));
        self.trace(report.status.as_str(), answer.into());
        let picky = self.scenario.asks[number].fussy && !report.outcomes.is_empty();
        if answer == 200 {
            self.spent.remove(&number);
        } else if answer == 422 && !picky {
            self.violated("G1", format!("HCP Terraform does not understand what it is told of taskrs-{number}"));
        }
        if report.status != ReportStatus::Running {
            self.check_last_word(number, report);
        }
        answer
    }

    /// Somebody else does something to a task result.
    pub(crate) fn befall(&mut self, result: usize, fate: crate::gate::scenario::Fate) {
        let now = self.now;
        self.results[result].meets(fate, now);
        self.note(|| format!("taskrs-{result} is {fate:?}"));
    }

    /// A function has come to its end, or not.
    pub(crate) fn came_to_no_end(&mut self, job: &Job) {
        if let Job::Work(WorkKey::Check(result, check)) = job {
            self.course(number(result), check_number(check)).deaths += 1;
        }
    }

    /// The request for a task result was answered.
    pub(crate) fn ask_answered(&mut self, result: usize, status: u16) {
        let now = self.now;
        let task = &mut self.results[result];
        task.sent += 1;
        let lost = self.scenario.faults.lose.min(2_000) / 2;
        if self.chance(lost) {
            self.inject(FaultKind::Lost, "answer to a request");
        } else if status == 200 {
            self.note(|| format!("taskrs-{result} was asked"));
            return self.results[result].accept(now);
        }
        // How often and after how long HCP Terraform asks again is nowhere said.
        let task = &mut self.results[result];
        if task.answered.is_none() && task.end.is_none() {
            if task.sent < 7 {
                let after = self.rng.u64(1_000..40_000);
                self.at(now + after, Event::Job(Job::Ask(result)));
            } else {
                task.end = Some((crate::gate::hcp::End::Unreachable, now));
            }
        }
    }
}

/// Shared by all workers: nothing is sent by it here.
pub(crate) fn client() -> sluice_hcp_client::TaskClient {
    static CLIENT: std::sync::LazyLock<sluice_hcp_client::TaskClient> = std::sync::LazyLock::new(|| {
        let address = crate::gate::request::ADDRESS.parse().expect("it is an address");
        let limits = sluice_hcp_client::TaskLimits::default();
        sluice_hcp_client::TaskClient::new(&address, None, limits).expect("it has certificates")
    });
    CLIENT.clone()
}
