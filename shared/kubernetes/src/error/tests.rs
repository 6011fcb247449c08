use std::fmt::Write as _;

use expect_test::expect;
use sluice_domain::{Classify as _, Fault};

use super::{ClusterError, Said, Tried};

#[test]
fn every_answer_says_who_must_act() {
    let mut lines = String::new();
    for (status, reason, message) in [
        (401, "Unauthorized", "Unauthorized"),
        (403, "Forbidden", "jobs.batch is forbidden: User \"x\" cannot create resource \"jobs\" in API group"),
        (403, "Forbidden", "pods \"a\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5"),
        (403, "Forbidden", "jobs.batch \"a\" is forbidden: status unknown for quota: q, resources: count/jobs.batch"),
        (403, "Forbidden", "pods \"a\" is forbidden: maximum memory usage per Container is 1Gi"),
        (404, "NotFound", "namespaces \"jobs\" not found"),
        (409, "AlreadyExists", "jobs.batch \"a\" already exists"),
        (409, "Conflict", "the object has been modified"),
        (410, "Expired", "too old resource version"),
        (422, "Invalid", "Job.batch \"a\" is invalid: spec.template.spec.containers[0].image: Required value"),
        (429, "TooManyRequests", "slow down"),
        (500, "InternalError", "etcdserver: leader changed"),
        (503, "", ""),
    ] {
        let said = Said { message: message.to_owned(), reason: reason.to_owned(), after_seconds: Some(2) };
        let error = ClusterError::answered(Tried::new("create", "jobs.batch", "jobs", "a"), status, said);
        writeln!(lines, "{:?} {error}", error.fault()).unwrap();
    }
    expect![[r#"
        Transient { after_ms: None } cannot create jobs.batch a in the namespace jobs: the cluster does not know who asks; the credentials are wrong or out of date
        Permanent cannot create jobs.batch a in the namespace jobs: a role has to allow create on jobs.batch there to whoever Sluice is for the cluster: jobs.batch is forbidden: User "x" cannot create resource "jobs" in API group
        Transient { after_ms: None } cannot create jobs.batch a in the namespace jobs before there is room in its quota: pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5
        Transient { after_ms: None } cannot create jobs.batch a in the namespace jobs before there is room in its quota: jobs.batch "a" is forbidden: status unknown for quota: q, resources: count/jobs.batch
        Permanent the cluster does not create jobs.batch a in the namespace jobs, it says 403: pods "a" is forbidden: maximum memory usage per Container is 1Gi
        Permanent cannot create jobs.batch a in the namespace jobs: namespaces "jobs" not found
        Transient { after_ms: None } cannot create jobs.batch a in the namespace jobs: it is there already
        Transient { after_ms: None } cannot create jobs.batch a in the namespace jobs: it was changed at the same time
        Transient { after_ms: None } cannot create jobs.batch a in the namespace jobs from where it was: it has to be listed again
        Permanent the cluster does not create jobs.batch a in the namespace jobs, it says 422: Job.batch "a" is invalid: spec.template.spec.containers[0].image: Required value
        Throttled { after_ms: 2000 } the cluster has too much to do to create jobs.batch a in the namespace jobs
        Transient { after_ms: Some(2000) } the cluster cannot create jobs.batch a in the namespace jobs, it says 500: etcdserver: leader changed
        Transient { after_ms: Some(2000) } the cluster cannot create jobs.batch a in the namespace jobs, it says 503: 
    "#]].assert_eq(&lines);
}

#[test]
fn what_is_said_of_a_secret_stays_out_of_the_error() {
    let said = Said { message: "data: hush".to_owned(), reason: "Invalid".to_owned(), after_seconds: None };
    let error = ClusterError::answered(Tried::new("create", "secrets", "jobs", "a"), 422, said);
    assert!(!format!("{error} {error:?}").contains("hush"));
    assert_eq!(error.fault(), Fault::Permanent);
}

#[test]
fn a_cluster_is_left_alone_for_a_minute_at_most() {
    for (seconds, ms) in [(0, 0), (7, 7_000), (60, 60_000), (61, 60_000), (u64::MAX, 60_000)] {
        let said = || Said { after_seconds: Some(seconds), ..Said::default() };
        let tried = || Tried::new("create", "jobs.batch", "jobs", "a");
        assert_eq!(ClusterError::answered(tried(), 429, said()).fault(), Fault::Throttled { after_ms: ms });
        assert_eq!(ClusterError::answered(tried(), 503, said()).fault(), Fault::Transient { after_ms: Some(ms) });
    }
}
