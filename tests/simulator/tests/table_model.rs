//! The table in memory answers as the real one does: the same operations on both, every answer compared.

#![expect(clippy::unwrap_used, reason = "what is parsed here is written here")]

use std::collections::BTreeSet;

use fastrand::Rng;
use sluice_domain::ports::{Bell, FactStore, Inbox, Pause, StoreError, Tallies, Tally, Worklist, Write};
use sluice_domain::{
    Autonomy, Claimed, Decision, Facts, InputsKey, Marker, Order, Queue, Reading, RunKind, RunReport, Standing, Survey,
    SurveyScope, Timestamp, Verdict, WorkKey, Workspace,
};
use sluice_local::store::Embedded;
use sluice_simulator::hcp::digest;
use sluice_simulator::table::{Table, survey_key};

const START: u64 = 1_000_000_000_000;
const LEASE_MS: u64 = 500;

fn workspace(rng: &mut Rng) -> Workspace {
    format!("tfe/acme/{}", rng.choice(["a", "b", "c"]).unwrap()).parse().unwrap()
}

fn report(rng: &mut Rng) -> RunReport {
    let standings = [Standing::Pending, Standing::Planning, Standing::Applying, Standing::Canceled, Standing::Applied];
    RunReport {
        workspace: workspace(rng),
        workspace_id: "ws-1".parse().unwrap(),
        run: format!("run-{}", rng.u8(0..2)).parse().unwrap(),
        created_at: Timestamp(START),
        standing: rng.choice(standings).unwrap(),
        at: Timestamp(START),
        marker: None,
    }
}

fn key(rng: &mut Rng) -> WorkKey {
    match rng.u8(0..8) {
        6 => WorkKey::Read(workspace(rng)),
        7 => survey_key(),
        0 | 1 => {
            let report = report(rng);
            WorkKey::Run(report.workspace, report.run)
        }
        2 => WorkKey::Look(workspace(rng)),
        3 => WorkKey::Waiter { holder: workspace(rng), waiter: workspace(rng) },
        4 => WorkKey::Verify(workspace(rng)),
        _ => WorkKey::Create(workspace(rng)),
    }
}

fn write(rng: &mut Rng, now: Timestamp) -> Write {
    let (at, workspace, other) = (now.plus_ms(rng.u64(0..400)), workspace(rng), workspace(rng));
    let version = rng.u64(0..4);
    match rng.u8(0..16) {
        0..=2 => {
            let id = Some(format!("ws-{}", rng.u8(0..9)).parse().unwrap());
            Write::Facts { workspace, facts: Box::new(Facts { id, ..Facts::default() }), version }
        }
        3 => Write::Unchanged { workspace, version },
        4 => Write::Consumer { producer: workspace, consumer: other },
        5 => Write::NoConsumer { producer: workspace, consumer: other },
        6 => Write::Look { workspace, at },
        7 => Write::Verify { workspace, at },
        8 => {
            let verdict = rng.choice([Verdict::Settled, Verdict::Run, Verdict::Observed]).unwrap();
            Write::Decision { workspace, decision: Decision { verdict, causes: Vec::new(), inputs: None }, at }
        }
        9 => Write::Waiter { holder: workspace, waiter: other, until: at },
        10 => Write::NoWaiter { holder: workspace, waiter: other },
        11 => {
            let marker = Marker(format!("sluice-{}", rng.u8(..)));
            let inputs = InputsKey(digest(rng.u64(..)));
            let kind = if rng.bool() { RunKind::Apply } else { RunKind::PlanOnly };
            let order = Order { inputs, marker, causes: Vec::new(), kind, wave: None, newest: at, decided_at: at };
            Write::Order { workspace, order }
        }
        12 | 13 => survey_write(rng, workspace, at),
        _ if rng.bool() => Write::Watch { report: report(rng), until: at },
        _ => Write::Forget { workspace, version: version.max(1) },
    }
}

fn survey_write(rng: &mut Rng, workspace: Workspace, at: Timestamp) -> Write {
    let (host, organization) = (workspace.host.clone(), workspace.organization.clone());
    match rng.u8(0..3) {
        0 => {
            let tagged = rng.bool().then_some(Autonomy::Plan);
            let reading = Reading { id: "ws-1".parse().unwrap(), baseline: rng.bool(), tagged };
            Write::Read { workspace, reading, at }
        }
        1 => {
            let survey = Survey { scope: SurveyScope::All, page: rng.u32(1..9), ..Survey::default() };
            let seq = rng.bool().then(|| rng.u64(0..4));
            Write::Survey { host, organization, survey, at, seq }
        }
        _ => Write::FirstSurvey { host, organization, at },
    }
}

/// A tally, and a run that may be in it.
fn tally(rng: &mut Rng) -> (Tally, &'static str) {
    let tallies = [Tally::UnderWay, Tally::Hour(rng.u64(1..3)), Tally::Wave("sv-1".parse().unwrap())];
    (rng.choice(tallies).unwrap(), rng.choice(["sluice-1 tfe/acme/a", "sluice-2 tfe/acme/b", "sluice-3"]).unwrap())
}

/// How a commit ended, without the words.
fn word<T>(result: &Result<T, StoreError>) -> &'static str {
    match result {
        Ok(_) => "made",
        Err(StoreError::Conflict) => "conflict",
        Err(StoreError::Refused { .. }) => "refused",
        Err(_) => "another error",
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
    let held = |rng: &mut Rng, claims: &Vec<Claimed>| rng.choice(claims).cloned();
    match rng.u8(0..18) {
        14..=17 => counts(rng, real, model, now).await,
        0 | 1 => {
            let report = report(rng);
            let answers = (real.record(&report, now).await.unwrap(), model.record(&report, now));
            (format!("record {report:?}"), format!("{:?}", answers.0), format!("{:?}", answers.1))
        }
        2..=4 => {
            let key = key(rng);
            let answers = (real.claim(&key, now, LEASE_MS).await.unwrap(), model.claim(&key, now, LEASE_MS));
            claims.extend(answers.1.clone());
            (format!("claim {key}"), format!("{:?}", answers.0), format!("{:?}", answers.1))
        }
        5 => {
            let Some(claimed) = held(rng, claims) else { return Default::default() };
            real.complete(&claimed).await.unwrap();
            model.complete(&claimed);
            Default::default()
        }
        6 => {
            let Some(claimed) = held(rng, claims) else { return Default::default() };
            let why = rng.bool().then_some("it is full");
            real.postpone(&claimed, now.plus_ms(50), why).await.unwrap();
            model.postpone(&claimed, now.plus_ms(50), why);
            Default::default()
        }
        7 => {
            let (Some(claimed), tried) = (held(rng, claims), rng.bool()) else { return Default::default() };
            real.defer(&claimed, now.plus_ms(70), "fault", tried).await.unwrap();
            model.defer(&claimed, now.plus_ms(70), "fault", tried);
            Default::default()
        }
        8 if rng.bool() => {
            let Some(claimed) = held(rng, claims) else { return Default::default() };
            real.bury(&claimed, now, "fault").await.unwrap();
            model.bury(&claimed, now, "fault");
            // What a worker has buried it does not conclude otherwise.
            claims.retain(|other| (&other.key, other.seq) != (&claimed.key, claimed.seq));
            Default::default()
        }
        9 => {
            let key = key(rng);
            real.ring(&key).await.unwrap();
            model.ring(&key);
            Default::default()
        }
        _ => {
            let writes: Vec<Write> = (0..rng.usize(1..4)).map(|_| write(rng, now)).collect();
            let answers = (real.commit(&writes).await, model.commit(&writes));
            (format!("commit {writes:?}"), word(&answers.0).to_owned(), word(&answers.1).to_owned())
        }
    }
}

/// As [`both`], of tallies and the stop.
async fn counts(
    rng: &mut Rng,
    real: &sluice_aws::Table,
    model: &mut Table,
    now: Timestamp,
) -> (String, String, String) {
    let (tally, run) = tally(rng);
    match rng.u8(0..6) {
        0..=2 => {
            let most = rng.u32(0..3);
            let answers = (real.join(&tally, run, most, now).await.unwrap(), model.join(&tally, run, most));
            (format!("join {tally:?} {run} {most}"), format!("{:?}", answers.0), format!("{:?}", answers.1))
        }
        3 => {
            real.leave(&tally, run).await.unwrap();
            model.leave(&tally, run);
            Default::default()
        }
        4 => {
            let answers = (real.counted(&tally).await.unwrap(), model.counted(&tally));
            (format!("counted {tally:?}"), format!("{:?}", answers.0), format!("{:?}", answers.1))
        }
        _ => {
            let pause = rng.bool().then(|| Pause { since: now, why: "a freeze".to_owned() });
            real.set_paused(pause.as_ref()).await.unwrap();
            model.set_paused(pause.as_ref());
            let answers = (real.paused().await.unwrap(), model.ask_paused());
            ("paused".to_owned(), format!("{:?}", answers.0), format!("{:?}", answers.1))
        }
    }
}

/// Everything that can be asked, of both.
async fn same(real: &sluice_aws::Table, model: &mut Table, now: Timestamp, after: &str) {
    let all: BTreeSet<Workspace> = ["a", "b", "c"].map(|name| format!("tfe/acme/{name}").parse().unwrap()).into();
    assert_eq!(real.known(&all).await.unwrap(), model.known(&all, true), "known after {after}");
    assert_eq!(real.facts(&all).await.unwrap(), model.known(&all, false), "facts after {after}");
    for workspace in &all {
        assert_eq!(real.around(workspace).await.unwrap(), model.around(workspace), "around after {after}");
    }
    let WorkKey::Survey(host, organization) = survey_key() else { unreachable!("it is one") };
    let survey = real.survey(&host, &organization).await.unwrap();
    assert_eq!(survey.as_ref().map(|(survey, _)| survey), model.survey_body(), "survey after {after}");
    for queue in [Queue::Index, Queue::Create, Queue::Bulk] {
        let at = now.plus_ms(300);
        let due: BTreeSet<_> = real.due(queue, at, 100).await.unwrap().into_iter().collect();
        assert_eq!(due, model.due(queue, at, 100).into_iter().collect(), "due after {after}");
    }
    let dead: BTreeSet<_> = real.dead_letters(100).await.unwrap().into_iter().map(|letter| letter.key).collect();
    assert_eq!(dead, model.dead().into_iter().map(|letter| letter.key).collect(), "dead after {after}");
}

#[tokio::test]
async fn the_table_in_memory_answers_as_the_real_one_does() {
    for seed in 0..6 {
        let mut rng = Rng::with_seed(seed);
        let store = Embedded::open(None).await.unwrap();
        let (mut model, mut claims, mut now) = (Table::default(), Vec::new(), Timestamp(START));
        for step in 0..120 {
            now = now.plus_ms(rng.u64(0..120));
            let (what, real, modelled) = both(&mut rng, &store.table, &mut model, &mut claims, now).await;
            assert_eq!(real, modelled, "seed {seed}, step {step}: {what}");
            same(&store.table, &mut model, now, &format!("seed {seed}, step {step}: {what}")).await;
        }
        store.close().await;
    }
}
