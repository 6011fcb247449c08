//! The gate's part of the table in memory answers as the real one does: the same operations on both.

#![expect(clippy::unwrap_used, reason = "what is parsed here is written here")]

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use sluice_domain::gate::{
    Admission, CallbackUrl, Check, CheckKind, CheckVerdict, Ended, Enforcement, Execution, OnError, Original,
    ReportStatus, Said, SaidEnd, Sealed, Stage, State, TaskRequest, Unsettled,
};
use sluice_domain::ports::{Advance, Bell, GateStore, Guard, StoreError, Worklist};
use sluice_domain::{CheckName, Claimed, Queue, TaskResultId, Timestamp, WorkKey};
use sluice_local::store::Embedded;
use sluice_simulator::table::Table;

const START: u64 = 1_900_000_000_000;
const LEASE_MS: u64 = 900;
const CHECKS: [&str; 3] = ["c0", "c1", "c2"];

fn result(rng: &mut Rng) -> TaskResultId {
    format!("taskrs-{}", rng.u8(0..3)).parse().unwrap()
}

fn check(rng: &mut Rng) -> CheckName {
    rng.choice(CHECKS).unwrap().parse().unwrap()
}

fn key(rng: &mut Rng) -> WorkKey {
    if rng.u8(0..3) == 0 { WorkKey::Relay(result(rng)) } else { WorkKey::Check(result(rng), check(rng)) }
}

fn admission(rng: &mut Rng, now: Timestamp) -> Admission {
    let request = TaskRequest {
        result: result(rng),
        task: "policies".parse().unwrap(),
        stage: Stage::PostPlan,
        run: "run-1".parse().unwrap(),
        run_created_at: Timestamp(START),
        workspace: "tfe/acme/network".parse().unwrap(),
        workspace_id: "ws-1".parse().unwrap(),
        speculative: false,
        callback: CallbackUrl("https://tfe/callback".to_owned()),
        plan: None,
        configuration: None,
        outcomes: true,
        received_at: now,
        original: Original("{}".to_owned()),
    };
    let checks = CHECKS[..rng.usize(0..=CHECKS.len())].iter().map(|name| Check {
        name: name.parse().unwrap(),
        kind: CheckKind::Upstream { unsettled: Unsettled::Fail },
        enforcement: Enforcement::Mandatory,
        stages: BTreeSet::from([Stage::PostPlan]),
        needs: BTreeSet::new(),
        timeout_seconds: 600,
        on_error: OnError::Fail,
    });
    Admission { request, checks: checks.collect(), deadline: now.plus_ms(rng.u64(1..600_000)), outright: None }
}

fn execution(rng: &mut Rng, now: Timestamp) -> Execution {
    let ended = || Some(Ended::new(now, CheckVerdict::Passed, "nothing to object to"));
    let note = rng.bool().then(|| "where it is".to_owned());
    let end = rng.bool().then(ended).flatten();
    Execution { started_at: Some(now), handed_on: rng.bool(), note, end, progress: None }
}

fn state(rng: &mut Rng, now: Timestamp) -> State {
    let said = Said { status: ReportStatus::Passed, message: "well".to_owned(), at: now };
    let end = (rng.u8(0..4) == 0).then_some(SaidEnd::Accepted { at: now });
    State { said_at: Some(now), verdict: rng.bool().then_some(said), end }
}

/// How an operation ended, without the words.
fn word<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> String {
    match result {
        Ok(answer) => format!("{answer:?}"),
        Err(StoreError::Conflict) => "conflict".to_owned(),
        Err(_) => "another error".to_owned(),
    }
}

/// Does one operation on both, and tells both answers.
async fn both(
    rng: &mut Rng,
    real: &sluice_aws::Table,
    model: &mut Table,
    claims: &mut Vec<Claimed>,
    now: Timestamp,
) -> (String, String, String) {
    let answers = |what: &str, real: String, model: String| (what.to_owned(), real, model);
    match rng.u8(0..14) {
        0 | 1 => {
            let (admission, token) = (admission(rng, now), Sealed(format!("sealed {}", rng.u32(..))));
            let real = real.admit(&admission, &token).await;
            answers("admit", word(&real), word::<_>(&Ok(model.admit_task(&admission, &token))))
        }
        2..=5 => {
            let key = key(rng);
            let answers_ = (real.claim(&key, now, LEASE_MS).await.unwrap(), model.claim(&key, now, LEASE_MS));
            claims.extend(answers_.1.clone());
            answers(&format!("claim {key}"), format!("{:?}", answers_.0), format!("{:?}", answers_.1))
        }
        6..=8 => {
            let (execution, wakes) = (execution(rng, now), CHECKS.map(|name| name.parse::<CheckName>().unwrap()));
            let held = rng.choice(&*claims).cloned().filter(|_| rng.bool());
            let (result, check) = match held.as_ref().map(|claimed| claimed.key.clone()) {
                Some(WorkKey::Check(result, check)) => (result, check),
                _ => (result(rng), check(rng)),
            };
            let held = held.filter(|claimed| matches!(claimed.key, WorkKey::Check(..)));
            let guard = held.as_ref().map_or(Guard::Read { seq: rng.u64(0..5) }, Guard::Claimed);
            // Only what is there is woken.
            let there = model.gated(&result).map(|gated| gated.seq).unwrap_or_default();
            let wakes = wakes.into_iter().filter(|name| *name != check && there.contains_key(name) && rng.bool());
            let wakes = wakes.map(|name| WorkKey::Check(result.clone(), name)).collect();
            let (due, tells) = (rng.bool().then(|| now.plus_ms(rng.u64(0..500))), rng.bool());
            let key = WorkKey::Check(result, check);
            let step = Advance { key: &key, execution: &execution, due, wakes, tells, now };
            let real = real.advance(guard, &step).await;
            answers("advance", word(&real), word(&model.advance(guard, &step)))
        }
        9 | 10 => {
            let (result, state, version) = (result(rng), state(rng, now), rng.u64(0..4));
            let real = real.told(&result, &state, version).await;
            answers("told", word(&real), word(&model.told(&result, &state, version)))
        }
        11 => {
            let Some(claimed) = rng.choice(&*claims).cloned() else { return Default::default() };
            let why = rng.bool().then_some("it waits");
            real.postpone(&claimed, now.plus_ms(50), why).await.unwrap();
            model.postpone(&claimed, now.plus_ms(50), why);
            Default::default()
        }
        12 => {
            let Some(claimed) = rng.choice(&*claims).cloned() else { return Default::default() };
            if rng.bool() {
                real.complete(&claimed).await.unwrap();
                model.complete(&claimed);
            } else {
                real.defer(&claimed, now.plus_ms(70), "fault", false).await.unwrap();
                model.defer(&claimed, now.plus_ms(70), "fault", false);
            }
            Default::default()
        }
        _ => {
            let key = key(rng);
            real.ring(&key).await.unwrap();
            model.ring(&key);
            Default::default()
        }
    }
}

/// Everything that can be asked, of both.
async fn same(real: &sluice_aws::Table, model: &mut Table, now: Timestamp, after: &str) {
    for result in ["taskrs-0", "taskrs-1", "taskrs-2"].map(|id| id.parse::<TaskResultId>().unwrap()) {
        assert_eq!(real.gated(&result).await.unwrap(), model.gated(&result), "gated after {after}");
        assert_eq!(real.token(&result).await.unwrap(), model.token(&result), "token after {after}");
    }
    for queue in [Queue::Check, Queue::Relay] {
        let at = now.plus_ms(300);
        let due: BTreeSet<_> = real.due(queue, at, 100).await.unwrap().into_iter().collect();
        assert_eq!(due, model.due(queue, at, 100).into_iter().collect(), "due after {after}");
    }
}

#[tokio::test]
async fn the_gate_in_memory_answers_as_the_real_one_does() {
    let mut ended: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..3 {
        let mut rng = Rng::with_seed(seed);
        let store = Embedded::open(None).await.unwrap();
        let (mut model, mut claims, mut now) = (Table::default(), Vec::new(), Timestamp(START));
        for step in 0..120 {
            now = now.plus_ms(rng.u64(0..120));
            let (what, real, modelled) = both(&mut rng, &store.table, &mut model, &mut claims, now).await;
            assert_eq!(real, modelled, "seed {seed}, step {step}: {what}");
            *ended.entry(format!("{what}: {}", &real[..real.len().min(8)])).or_default() += 1;
            same(&store.table, &mut model, now, &format!("seed {seed}, step {step}: {what}")).await;
        }
        store.close().await;
    }
    for answer in ["admit: New", "admit: Known", "advance: ()", "advance: conflict", "told: ()", "told: conflict"] {
        assert!(ended.contains_key(answer), "no {answer} among {ended:?}");
    }
}
