//! The table: whether it answers, and whether it is as it has to be.

use sluice_aws::{DUE_KEYS, DUE_PROJECTION, Description, DueIndex, TABLE_KEYS, TTL_ATTRIBUTE, Table};
use sluice_domain::Timestamp;
use sluice_lambda::now;

use super::clock;
use super::probe::timely;
use super::report::{Line, Section};

/// Looks at a table in an account.
pub(super) async fn look(table: &Table) -> Section {
    let name = table.name();
    let title = format!("The table {name}");
    let description = match timely(table.describe()).await {
        Ok(description) => description,
        Err(why) => return Section::new(title, vec![unreachable(name, &why)]),
    };
    let (expires, recovery, clock) = tokio::join!(
        timely(table.time_to_live()),
        timely(table.point_in_time_recovery()),
        timely(async { table.clock().await.map(|at| (at, now())) }),
    );
    let mut lines = described(name, &description);
    lines.push(expiry(name, expires));
    lines.push(backups(name, recovery));
    lines.extend(clock_line(&clock));
    Section::new(title, lines)
}

/// What the embedded table has of all this.
pub(super) async fn look_at_embedded(table: &Table, directory: &str) -> Section {
    let line = match timely(table.ready()).await {
        Ok(()) => Line::well("it can be read"),
        Err(why) => unreachable(directory, &why),
    };
    let aside =
        "it is embedded in sluice serve, which needs no stream, schedule, time to live or backups: not looked at";
    Section::new(format!("The embedded table in {directory}"), vec![line, Line::aside(aside)])
}

fn unreachable(name: &str, why: &str) -> Line {
    Line::wrong(
        format!("it cannot be looked at: {why}"),
        format!(
            "set WORKSPACE_DEPENDENCIES_TABLE ({name} now), AWS_REGION and credentials to those of the deployment; they \
             need dynamodb:DescribeTable, DescribeTimeToLive, DescribeContinuousBackups, Query and GetItem"
        ),
    )
}

/// Whether keys, index and stream are as the functions use them.
fn described(name: &str, found: &Description) -> Vec<Line> {
    let mut lines = Vec::new();
    if found.status != "ACTIVE" {
        let what = format!("it is {}, not ACTIVE", found.status);
        lines.push(Line::warning(what, "wait until what is being done to it is over"));
    }
    lines.push(if found.keys == TABLE_KEYS {
        Line::well(format!("its keys are {TABLE_KEYS}"))
    } else {
        Line::wrong(
            format!("its keys are {}, and have to be {TABLE_KEYS}", found.keys),
            "keys cannot be changed: make another table with the module in infra/, and name that in \
             WORKSPACE_DEPENDENCIES_TABLE",
        )
    });
    lines.push(index(name, found.due.as_ref()));
    lines.push(stream(name, found.stream.as_deref()));
    lines
}

fn index(name: &str, found: Option<&DueIndex>) -> Line {
    let delete = format!(
        "aws dynamodb update-table --table-name {name} --global-secondary-index-updates \
         '[{{\"Delete\":{{\"IndexName\":\"due\"}}}}]', then terraform apply"
    );
    match found {
        None => Line::wrong(
            "it has no index due, so no work is found that has to be done later",
            format!("terraform apply; or {}", create_index(name)),
        ),
        Some(due) if due.keys != DUE_KEYS => {
            Line::wrong(format!("the keys of its index due are {}, and have to be {DUE_KEYS}", due.keys), delete)
        }
        Some(due) if due.status != "ACTIVE" => {
            let what = format!("its index due is {}, not ACTIVE: work that is due is not found yet", due.status);
            Line::warning(what, "wait until it is filled")
        }
        Some(due) if due.projection != DUE_PROJECTION => {
            let what = format!("its index due holds {}, where {DUE_PROJECTION} is enough and cheaper", due.projection);
            Line::warning(what, delete)
        }
        Some(_) => Line::well(format!("its index due has the keys {DUE_KEYS}")),
    }
}

fn create_index(name: &str) -> String {
    format!(
        "aws dynamodb update-table --table-name {name} --attribute-definitions AttributeName=queue,AttributeType=S \
         AttributeName=due_at,AttributeType=N --global-secondary-index-updates \
         '[{{\"Create\":{{\"IndexName\":\"due\",\"KeySchema\":[{{\"AttributeName\":\"queue\",\"KeyType\":\"HASH\"}},\
         {{\"AttributeName\":\"due_at\",\"KeyType\":\"RANGE\"}}],\"Projection\":{{\"ProjectionType\":\"KEYS_ONLY\"}}}}}}]'"
    )
}

fn stream(name: &str, view: Option<&str>) -> Line {
    let enable = format!(
        "aws dynamodb update-table --table-name {name} --stream-specification \
         StreamEnabled=true,StreamViewType=NEW_IMAGE, then terraform apply for the mappings to it"
    );
    match view {
        Some("NEW_IMAGE") => Line::well("its stream carries new images"),
        Some("NEW_AND_OLD_IMAGES") => {
            let what = "its stream carries old images, too, which nobody needs and which make batches larger";
            Line::warning(what, format!("turn it off, and then {enable}"))
        }
        Some(other) => Line::wrong(
            format!("its stream carries {other}: no function hears a bell in it, and work waits for the next sweep"),
            format!("turn it off, and then {enable}"),
        ),
        None => Line::wrong("it has no stream: no function hears of work that is due", enable),
    }
}

fn expiry(name: &str, attribute: Result<Option<String>, String>) -> Line {
    let enable = format!(
        "aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification \
         Enabled=true,AttributeName={TTL_ATTRIBUTE}"
    );
    match attribute {
        Ok(Some(attribute)) if attribute == TTL_ATTRIBUTE => Line::well(format!("items expire by {TTL_ATTRIBUTE}")),
        Ok(Some(other)) => {
            Line::wrong(format!("items expire by {other}, which none has, and not by {TTL_ATTRIBUTE}"), enable)
        }
        Ok(None) => Line::wrong("time to live is off: what is over is never deleted, and costs for good", enable),
        Err(why) => Line::warning(
            format!("whether items expire cannot be told: {why}"),
            "allow yourself dynamodb:DescribeTimeToLive on it",
        ),
    }
}

fn backups(name: &str, recovery: Result<bool, String>) -> Line {
    match recovery {
        Ok(true) => Line::well("it can be brought back to how it was at a point in time"),
        Ok(false) => Line::warning(
            "point-in-time recovery is off: a table that is lost has to be learned again with sluice backfill, and what \
             was acknowledged is gone",
            format!(
                "aws dynamodb update-continuous-backups --table-name {name} --point-in-time-recovery-specification \
                 PointInTimeRecoveryEnabled=true"
            ),
        ),
        Err(why) => Line::warning(
            format!("whether it is backed up cannot be told: {why}"),
            "allow yourself dynamodb:DescribeContinuousBackups on it",
        ),
    }
}

fn clock_line(clock: &Result<(Option<Timestamp>, Timestamp), String>) -> Option<Line> {
    match clock {
        Ok((Some(theirs), ours)) => Some(clock::compare("the table", *theirs, *ours)),
        // That it does not answer was said.
        Ok((None, _)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Level;

    fn good() -> Description {
        Description {
            status: "ACTIVE".to_owned(),
            keys: TABLE_KEYS.to_owned(),
            due: Some(DueIndex {
                status: "ACTIVE".to_owned(),
                keys: DUE_KEYS.to_owned(),
                projection: DUE_PROJECTION.to_owned(),
            }),
            stream: Some("NEW_IMAGE".to_owned()),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Description), expect: &[(Level, &str)]) {
        let mut description = good();
        change(&mut description);
        let lines = described("sluice", &description);
        let told: Vec<_> = lines.iter().filter(|line| line.level != Level::Well).collect();
        assert_eq!(told.len(), expect.len(), "{told:#?}");
        for (line, (level, starts)) in told.iter().zip(expect) {
            assert!(line.level == *level && line.what.starts_with(starts), "{line:#?}");
            assert!(line.mend.as_ref().is_some_and(|mend| !mend.contains("{{") && !mend.contains("  ")), "{line:#?}");
        }
    }

    #[test]
    fn every_way_in_which_a_table_differs_is_told_with_what_mends_it() {
        use Level::{Warning, Wrong};
        check(|_| (), &[]);
        check(|it| it.status = "UPDATING".to_owned(), &[(Warning, "it is UPDATING")]);
        check(|it| it.keys = "id S".to_owned(), &[(Wrong, "its keys are id S, and have to be pk S, sk S")]);
        check(|it| it.due = None, &[(Wrong, "it has no index due")]);
        let due = |change: fn(&mut DueIndex)| move |it: &mut Description| change(it.due.as_mut().unwrap());
        check(due(|it| it.keys = "queue S, due_at S".to_owned()), &[(Wrong, "the keys of its index due are")]);
        check(due(|it| it.status = "CREATING".to_owned()), &[(Warning, "its index due is CREATING")]);
        check(due(|it| it.projection = "ALL".to_owned()), &[(Warning, "its index due holds ALL")]);
        check(|it| it.stream = None, &[(Wrong, "it has no stream")]);
        check(|it| it.stream = Some("KEYS_ONLY".to_owned()), &[(Wrong, "its stream carries KEYS_ONLY")]);
        check(|it| it.stream = Some("NEW_AND_OLD_IMAGES".to_owned()), &[(Warning, "its stream carries old images")]);
    }

    #[test]
    fn what_expires_and_what_is_kept_is_told() {
        assert_eq!(expiry("t", Ok(Some("expires_at".to_owned()))).level, Level::Well);
        assert_eq!(expiry("t", Ok(Some("ttl".to_owned()))).level, Level::Wrong);
        assert_eq!(expiry("t", Ok(None)).level, Level::Wrong);
        assert_eq!(expiry("t", Err("no".to_owned())).level, Level::Warning);
        let levels = [Ok(true), Ok(false), Err("no".to_owned())].map(|recovery| backups("t", recovery).level);
        assert_eq!(levels, [Level::Well, Level::Warning, Level::Warning]);
    }
}
