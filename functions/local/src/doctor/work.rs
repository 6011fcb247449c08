//! The work: whether it is seen to, and what was given up.

use sluice_aws::{DeadLetter, Due, Table};
use sluice_domain::ports::{Pause, Pulse, Tallies};
use sluice_domain::{Queue, Timestamp};
use sluice_lambda::now;

use super::clock::duration;
use super::probe::timely;
use super::report::{Line, Section};

/// From when a pulse is too old, and work has been due for too long: three sweeps.
const LATE_MS: u64 = 180_000;

/// Most dead letters that are counted.
const DEAD_MAX: u16 = 1_000;

/// This command's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the table is, which decides who sees to the work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// In an account: the functions.
    Account,
    /// In a directory: `sluice serve`, if one is running.
    Embedded { directory: &'a str, served: bool },
}

/// Looks at the work in the table.
pub(super) async fn look(table: &Table, place: Place<'_>) -> Section {
    let now = now();
    let (pulse, due, dead, paused) = tokio::join!(
        timely(table.pulse()),
        oldest(table, now),
        timely(table.dead_letters(DEAD_MAX)),
        timely(table.paused()),
    );
    let mut lines = Vec::new();
    let beats = match pulse {
        Ok(pulse) => {
            let beats = pulse.as_ref().is_some_and(|pulse| now.since_ms(pulse.at) < LATE_MS);
            lines.extend(sweeps(pulse.as_ref(), place, now));
            beats
        }
        Err(why) => {
            lines.push(unread("whether due work is seen to", &why));
            false
        }
    };
    lines.push(untaken(due, place, beats, now));
    lines.push(match dead {
        Ok(letters) => given_up(&letters),
        Err(why) => unread("what was given up", &why),
    });
    match paused {
        Ok(None) => {}
        Ok(Some(Pause { since, why })) => {
            lines.push(Line::warning(format!("no run is created since {since}: {why}"), "sluice resume"));
        }
        Err(why) => lines.push(unread("whether runs are created", &why)),
    }
    Section::new("Work", lines)
}

fn unread(what: &str, why: &str) -> Line {
    Line::wrong(format!("{what} cannot be told: {why}"), "mend the table first, as it is said above")
}

/// The work that has been due for longest, of any queue.
async fn oldest(table: &Table, now: Timestamp) -> Result<Option<(Queue, Due)>, String> {
    let mut oldest: Option<(Queue, Due)> = None;
    for queue in [Queue::Index, Queue::Bulk, Queue::Create, Queue::Check, Queue::Job, Queue::Relay] {
        let due = timely(table.oldest_due(queue, now)).await?;
        let older = |due: &Due| oldest.as_ref().is_none_or(|(_, other)| due.since < other.since);
        if let Some(due) = due.filter(older) {
            oldest = Some((queue, due));
        }
    }
    Ok(oldest)
}

/// Who sees to due work, and whether.
fn sweeps(pulse: Option<&Pulse>, place: Place<'_>, now: Timestamp) -> Vec<Line> {
    if let Place::Embedded { directory, served } = place {
        if !served {
            let what = "no sluice serve works on it, so nothing is heard and nothing is done";
            return vec![Line::warning(what, format!("sluice serve --data-dir {directory}"))];
        }
        let mut lines = vec![Line::well("sluice serve works on it")];
        lines.extend(pulse.and_then(version));
        return lines;
    }
    let schedule = "deploy sweeper with its schedule, rate(1 minute), as the module in infra/ does, and look at the log \
                    of that function; or run sluice serve on this table";
    let Some(pulse) = pulse else {
        return vec![Line::wrong("sweeper has never run: retries and lost bells wait for ever", schedule)];
    };
    let (by, age) = (pulse.by, now.since_ms(pulse.at));
    let mut lines = Vec::new();
    if age >= LATE_MS {
        let what = format!("{by} has not run for {}, since {}: retries and lost bells wait", duration(age), pulse.at);
        lines.push(Line::wrong(what, schedule));
    } else if let Some(fault) = &pulse.fault {
        let mend = if is_denied(fault) {
            "give its role Query on the index due and UpdateItem on the table, as the module in infra/ does".to_owned()
        } else {
            format!("look at the log of {by}: it says more, and whether the next run failed as well")
        };
        lines.push(Line::wrong(format!("the last run of {by} failed: {fault}"), mend));
    } else {
        let rung = if pulse.rung == 1 { "1 work".to_owned() } else { format!("{} works", pulse.rung) };
        lines.push(Line::well(format!("{by} ran {} ago, for {rung}", duration(age))));
    }
    lines.extend(version(pulse));
    lines
}

/// Whether a fault is what AWS says to a role without a permission.
fn is_denied(fault: &str) -> bool {
    let fault = fault.to_lowercase();
    ["accessdenied", "access denied", "not authorized"].iter().any(|words| fault.contains(words))
}

/// That functions and command are of different versions, if they are.
fn version(pulse: &Pulse) -> Option<Line> {
    (pulse.version != VERSION).then(|| {
        Line::warning(
            format!("{} is version {}, and this command is {VERSION}", pulse.by, pulse.version),
            format!("deploy version {VERSION} (terraform apply), or use the command of version {}", pulse.version),
        )
    })
}

/// Work that nobody takes up.
fn untaken(due: Result<Option<(Queue, Due)>, String>, place: Place<'_>, beats: bool, now: Timestamp) -> Line {
    let (queue, due) = match due {
        Err(why) => return unread("what is due", &why),
        Ok(None) => return Line::well("nothing is due that nobody has taken up"),
        Ok(Some(found)) => found,
    };
    let age = now.since_ms(due.since);
    if age < LATE_MS {
        return Line::well(format!("no work has been due for longer than {}", duration(age)));
    }
    let key = due.key.map_or_else(|item| format!("item {item}"), |key| key.to_string());
    let what = format!("nobody takes up what has been due for {}: {key}", duration(age));
    match place {
        Place::Embedded { directory, served: false } => {
            Line::warning(what, format!("sluice serve --data-dir {directory}"))
        }
        Place::Embedded { .. } => Line::wrong(what, "look at the log of sluice serve, and start it anew"),
        Place::Account if !beats => Line::wrong(what, "first have sweeper run, as it is said above"),
        Place::Account => {
            let function = function(queue);
            Line::wrong(
                what,
                format!(
                    "see that {function} is deployed and reads the table's stream with the filter \
                     {{\"dynamodb\":{{\"NewImage\":{{\"bell\":{{\"S\":[\"{}\"]}}}}}}}}, and look at its log",
                    queue.as_str()
                ),
            )
        }
    }
}

/// Who serves a queue.
fn function(queue: Queue) -> &'static str {
    match queue {
        Queue::Index | Queue::Bulk => "state-indexer",
        Queue::Create => "run-creator",
        Queue::Check => "task-runner",
        Queue::Job => "job-runner",
        Queue::Relay => "run-task-relay",
        Queue::Dead => "nobody",
    }
}

fn given_up(letters: &[DeadLetter]) -> Line {
    let Some(oldest) = letters.first() else { return Line::well("nothing was given up") };
    let count = match letters.len() {
        1 => "1 work was".to_owned(),
        more if more >= usize::from(DEAD_MAX) => format!("{more} works or more were"),
        more => format!("{more} works were"),
    };
    let what = format!("{count} given up, the oldest at {}: {}: {}", oldest.at, oldest.key, oldest.fault);
    Line::wrong(what, "sluice dead list says why; once that is put right, sluice dead retry --all")
}

#[cfg(test)]
mod tests {
    use sluice_domain::WorkKey;
    use sluice_domain::ports::Sweeps;

    use super::*;
    use crate::doctor::report::Level;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn pulse(age_ms: u64) -> Pulse {
        let at = Timestamp(NOW.0 - age_ms);
        Pulse { by: Sweeps::Sweeper, version: VERSION.to_owned(), at, rung: 1, dead: Some(0), fault: None }
    }

    fn told(lines: &[Line]) -> Vec<(Level, &str)> {
        lines.iter().map(|line| (line.level, line.what.as_str())).collect()
    }

    #[test]
    fn the_schedule_is_told_by_its_pulse() {
        let check = |pulse: Option<Pulse>, expect: &[(Level, &str)]| {
            assert_eq!(told(&sweeps(pulse.as_ref(), Place::Account, NOW)), expect);
        };
        check(Some(pulse(20_000)), &[(Level::Well, "sweeper ran 20 seconds ago, for 1 work")]);
        check(None, &[(Level::Wrong, "sweeper has never run: retries and lost bells wait for ever")]);
        let late = "sweeper has not run for 3 minutes, since 2027-01-15T07:57:00.000Z: retries and lost bells wait";
        check(Some(pulse(180_000)), &[(Level::Wrong, late)]);
        let failed = Pulse { fault: Some("no table".to_owned()), ..pulse(1_000) };
        check(Some(failed), &[(Level::Wrong, "the last run of sweeper failed: no table")]);
        for (fault, mend) in [
            ("no table", "look at the log of sweeper"),
            ("AccessDeniedException: User is not authorized to perform dynamodb:Query", "give its role Query"),
        ] {
            let failed = Pulse { fault: Some(fault.to_owned()), ..pulse(1_000) };
            let lines = sweeps(Some(&failed), Place::Account, NOW);
            assert!(lines[0].mend.as_ref().unwrap().starts_with(mend), "{lines:?}");
        }
        let older = Pulse { version: "0.0.9".to_owned(), ..pulse(1_000) };
        let version = format!("sweeper is version 0.0.9, and this command is {VERSION}");
        check(Some(older), &[(Level::Well, "sweeper ran 1 second ago, for 1 work"), (Level::Warning, &version)]);
    }

    #[test]
    fn work_that_nobody_takes_up_names_its_function() {
        let create = WorkKey::Create("app.terraform.io/acme/app".parse().unwrap());
        let due = |age_ms| Ok(Some((Queue::Create, Due { key: Ok(create.clone()), since: Timestamp(NOW.0 - age_ms) })));
        let line = untaken(due(170_000), Place::Account, true, NOW);
        assert_eq!(told(&[line]), [(Level::Well, "no work has been due for longer than 2 minutes")]);
        let line = untaken(due(240_000), Place::Account, true, NOW);
        let what = "nobody takes up what has been due for 4 minutes: run in acme/app";
        assert_eq!(told(std::slice::from_ref(&line)), [(Level::Wrong, what)]);
        assert!(line.mend.unwrap().contains("see that run-creator is deployed"));
        let mend = untaken(due(240_000), Place::Account, false, NOW).mend.unwrap();
        assert_eq!(mend, "first have sweeper run, as it is said above");
        let stopped = Place::Embedded { directory: "d", served: false };
        assert_eq!(untaken(due(240_000), stopped, false, NOW).level, Level::Warning);
    }
}
