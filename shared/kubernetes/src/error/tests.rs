use std::fmt::Write as _;

use expect_test::expect;
use sluice_domain::{Classify as _, Fault, Told as _};

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

#[test]
fn what_everybody_is_told_names_no_user_no_address_and_no_file() {
    const USER: &str = "arn:aws:sts::123456789012:assumed-role/sluice-jobs/x";
    let tried = || Tried::new("create", "jobs.batch", "jobs", "a");
    let cause = || Box::<dyn std::error::Error + Send + Sync>::from(format!("dial tcp 10.0.0.7:443 as {USER}"));
    let mut lines = String::new();
    let statuses = [401, 404, 409, 410, 429, 400, 413, 500, 503].map(|status| (status, "cannot"));
    // Of both, only the first is what authorization says.
    let answers = [(403, "cannot"), (403, "may not")].into_iter().chain(statuses).map(|(status, verb)| {
        let message = format!("User \"{USER}\" {verb} dial 10.0.0.7:10250");
        ClusterError::answered(tried(), status, Said { message, ..Said::default() })
    });
    let answers: Vec<ClusterError> = answers.collect();
    let others = [
        ClusterError::Credentials { from: "/root/.kube/config".to_owned(), source: cause() },
        ClusterError::Setup(cause()),
        ClusterError::Proxy("10.0.0.7".to_owned()),
        ClusterError::AwsKeys(cause()),
        ClusterError::Sign(cause()),
        ClusterError::Unreachable { tried: tried(), source: cause() },
        ClusterError::TimedOut(tried()),
    ];
    for error in answers.iter().chain(&others) {
        writeln!(lines, "{}", error.told()).unwrap();
    }
    for hidden in ["arn:aws", "10.0.0.7", "/root"] {
        assert!(!lines.contains(hidden), "{lines}");
    }
    expect![[r"
        cannot create jobs.batch a in the namespace jobs: a role has to allow create on jobs.batch there to whoever Sluice is for the cluster
        the cluster does not create jobs.batch a in the namespace jobs, it says 403; whoever runs Sluice finds why in its log
        cannot create jobs.batch a in the namespace jobs: the cluster does not know who asks; the credentials are wrong or out of date
        cannot create jobs.batch a in the namespace jobs: it, or the namespace, is not there
        cannot create jobs.batch a in the namespace jobs: it was changed at the same time
        cannot create jobs.batch a in the namespace jobs from where it was: it has to be listed again
        the cluster has too much to do to create jobs.batch a in the namespace jobs
        the cluster does not create jobs.batch a in the namespace jobs, it says 400; whoever runs Sluice finds why in its log
        the cluster does not create jobs.batch a in the namespace jobs, it says 413; whoever runs Sluice finds why in its log
        the cluster cannot create jobs.batch a in the namespace jobs, it says 500; whoever runs Sluice finds why in its log
        the cluster cannot create jobs.batch a in the namespace jobs, it says 503; whoever runs Sluice finds why in its log
        cannot use what is set to reach the cluster; whoever runs Sluice finds why in its log
        cannot get ready to reach the cluster; whoever runs Sluice finds why in its log
        cannot reach the cluster over the proxy that is set; whoever runs Sluice finds why in its log
        cannot get the keys of AWS to sign a token for the cluster with; whoever runs Sluice finds why in its log
        cannot sign a token for the cluster; whoever runs Sluice finds why in its log
        cannot reach the cluster to create jobs.batch a in the namespace jobs; whoever runs Sluice finds why in its log
        the cluster did not answer in time, asked to create jobs.batch a in the namespace jobs
    "]].assert_eq(&lines);
    // What only the log has, the log has.
    assert!(answers[0].to_string().contains(USER));
}

#[test]
fn what_a_quota_and_a_manifest_lack_is_told_to_everybody() {
    for (status, message) in [
        (403, "jobs.batch \"a\" is forbidden: exceeded quota: q, used: count/jobs.batch=10"),
        (422, "Job.batch \"a\" is invalid: spec.template.spec.containers[0].image: Required value"),
    ] {
        let said = Said { message: message.to_owned(), ..Said::default() };
        let told = ClusterError::answered(Tried::new("create", "jobs.batch", "jobs", "a"), status, said).told();
        assert!(told.ends_with(message), "{told}");
    }
}
