//! Policies and plans that take too much, and children that end badly.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::json;
use sluice_task_runner::rego::{EvaluateError, Evaluator, Input, Limits, Namespaces, NoPlan, Policy};
use tokio::sync::oneshot;

use super::{Test, chunks, evaluate, evaluate_by, evaluator, now, plan, policy, run, told};

pub const TESTS: &[Test] = &[
    ("loops_that_run_for_minutes_are_stopped", loops_that_run_for_minutes_are_stopped),
    ("processor_time_is_bounded_by_the_kernel", processor_time_is_bounded_by_the_kernel),
    ("a_list_of_a_thousand_million_numbers_is_stopped", a_list_of_a_thousand_million_numbers_is_stopped),
    ("a_string_that_doubles_is_stopped", a_string_that_doubles_is_stopped),
    ("a_pattern_that_is_huge_when_compiled_is_told", a_pattern_that_is_huge_when_compiled_is_told),
    ("a_deeply_nested_plan_is_told", a_deeply_nested_plan_is_told),
    ("a_plan_that_is_no_plan_is_told", a_plan_that_is_no_plan_is_told),
    ("a_plan_over_the_bound_is_not_read_on", a_plan_over_the_bound_is_not_read_on),
    ("a_plan_that_breaks_off_is_told", a_plan_that_breaks_off_is_told),
    ("a_plan_that_stops_coming_is_told", a_plan_that_stops_coming_is_told),
    ("a_large_plan_goes_through", a_large_plan_goes_through),
    ("a_wrong_policy_is_told_before_the_plan_is_there", a_wrong_policy_is_told_before_the_plan_is_there),
    ("the_child_inherits_no_environment", the_child_inherits_no_environment),
    ("a_program_that_is_not_there_is_told", a_program_that_is_not_there_is_told),
    ("a_child_that_is_killed_is_told", a_child_that_is_killed_is_told),
    ("a_child_whose_stack_overflows_is_told", a_child_whose_stack_overflows_is_told),
    ("an_answer_that_is_none_is_told", an_answer_that_is_none_is_told),
    ("an_answer_without_end_is_stopped", an_answer_without_end_is_stopped),
    ("a_child_that_says_nothing_is_stopped", a_child_that_says_nothing_is_stopped),
    ("nobody_waiting_means_nobody_evaluating", nobody_waiting_means_nobody_evaluating),
];

/// What the child does that is not the real one.
pub fn child(act: &str, path: Option<&String>) -> ExitCode {
    match act {
        "as-killed" => drop(rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)),
        "as-overflow" => println!("{}", overflow(u64::from(std::process::id()))),
        "as-garbage" => println!("not an answer"),
        "as-endless" => while io::stdout().write_all(&[b' '; 4096]).is_ok() {},
        "as-environment" => {
            let names: Vec<_> = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
            let finding = json!({"rule": "deny", "namespace": "main", "msg": names.join(","), "metadata": {}});
            let findings = json!({"denied": [finding], "warned": [], "passed": 0, "excepted": 0, "left_out": 0});
            println!("{}", json!({"findings": findings}));
        }
        "as-silent" => drop(io::copy(&mut io::stdin(), &mut io::sink())),
        "as-stuck" => stuck(),
        "as-connected" => {
            let _connection = UnixStream::connect(path.unwrap()).unwrap();
            stuck();
        }
        other => panic!("no such act: {other}"),
    }
    ExitCode::SUCCESS
}

fn stuck() -> ! {
    loop {
        std::thread::park();
    }
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn overflow(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 128]);
    overflow(depth + 1) + here[5]
}

fn acting(act: &str) -> Evaluator {
    Evaluator { args: vec![act.into()], ..evaluator() }
}

fn limited(limits: Limits) -> Evaluator {
    Evaluator { limits, ..evaluator() }
}

fn passing() -> Policy {
    policy("package main\ndeny[\"x\"] { input.never }\n")
}

const LOOPS: &str = "package main\nimport rego.v1\n\
    deny contains \"x\" if {\n some a in numbers.range(1, 9000)\n some b in numbers.range(1, 9000)\n\
     some c in numbers.range(1, 9000)\n a + b + c == 0\n}\n";

fn loops_that_run_for_minutes_are_stopped() {
    let limits = Limits { wall_ms: 400, ..Limits::default() };
    let in_function = LOOPS.replace("deny contains \"x\" if {", "f(_) if {")
        + "deny contains \"x\" if not f(1)\nwarn contains \"x\" if { every n in [1, 2] { f(n) } }\n";
    for source in [LOOPS, &in_function] {
        let started = Instant::now();
        let error = evaluate_by(&limited(limits), &policy(source), chunks(b"{}")).unwrap_err();
        assert_eq!(error.to_string(), "the policy took longer than 400 ms and was stopped");
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}

fn processor_time_is_bounded_by_the_kernel() {
    let limits = Limits { cpu_seconds: 1, ..Limits::default() };
    let error = evaluate_by(&limited(limits), &policy(LOOPS), chunks(b"{}")).unwrap_err();
    assert!(matches!(error, EvaluateError::CpuExhausted { limit_seconds: 1 }), "{error}");
}

#[track_caller]
fn needs_too_much(source: &str) {
    let limits = Limits { memory_bytes: 256 << 20, ..Limits::default() };
    let error = evaluate_by(&limited(limits), &policy(source), chunks(b"{}")).unwrap_err();
    assert!(matches!(error, EvaluateError::OutOfMemory { .. }), "{error}");
}

fn a_list_of_a_thousand_million_numbers_is_stopped() {
    needs_too_much(
        "package main\nimport rego.v1\ndeny contains \"x\" if {\n count([n | some n in numbers.range(1, 1000000000)]) > 5\n}\n",
    );
}

fn a_string_that_doubles_is_stopped() {
    let double = |n: usize| format!("s{n} := concat(\"\", [s{}, s{}])\n", n - 1, n - 1);
    let doubled: Vec<String> = (1..40).map(double).collect();
    let doubled = doubled.concat();
    needs_too_much(&format!("package main\nimport rego.v1\ns0 := \"doubling\"\n{doubled}deny contains s39 if true\n"));
}

fn a_pattern_that_is_huge_when_compiled_is_told() {
    let source =
        "package main\nimport rego.v1\ndeny contains \"x\" if regex.match(`((a{1000}){1000}){1000}`, \"aaa\")\n";
    let error = evaluate(&policy(source), &plan()).unwrap_err().to_string();
    assert_eq!(error, "the policy is wrong: the policy cannot be evaluated: a regular expression is too large");
}

fn a_deeply_nested_plan_is_told() {
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let error = evaluate_by(&evaluator(), &passing(), chunks(nested.as_bytes())).unwrap_err();
    assert!(error.to_string().contains("recursion limit"), "{error}");
}

fn a_plan_that_is_no_plan_is_told() {
    for plan in [&b""[..], b"[]", b"{\"secret\": tru", b"{} {}", b"{\"secret\": \"\xff\"}"] {
        let error = evaluate_by(&evaluator(), &passing(), chunks(plan)).unwrap_err();
        assert!(matches!(error, EvaluateError::PlanUnreadable { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

/// A plan of about `bytes` bytes whose last resource is a public bucket.
fn large(bytes: usize) -> impl Stream<Item = Result<Bytes, io::Error>> {
    let mut change = plan()["resource_changes"][1].clone();
    change["change"]["after"]["policy"] = json!("x".repeat(300));
    let change = change.to_string();
    let count = bytes / change.len();
    let changes = (0..count).map(move |number| {
        let change = change.replace("backups", &format!("backups_{number}"));
        Ok(Bytes::from(if number == 0 { change } else { format!(",{change}") }))
    });
    let last = format!(",{}]}}", plan()["resource_changes"][0]);
    stream::iter([Ok(Bytes::from_static(b"{\"resource_changes\":["))])
        .chain(stream::iter(changes))
        .chain(stream::iter([Ok(Bytes::from(last))]))
}

fn a_plan_over_the_bound_is_not_read_on() {
    let limits = Limits { input_bytes_max: 1 << 20, ..Limits::default() };
    // It never ends: only the bound stops it.
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 4096])));
    let error = evaluate_by(&limited(limits), &passing(), endless).unwrap_err();
    assert!(matches!(error, EvaluateError::PlanTooLarge { limit: 1_048_576 }), "{error}");
}

fn a_plan_that_breaks_off_is_told() {
    let broken = stream::iter([Ok(Bytes::from_static(b"{\"a\":")), Err(io::Error::from(io::ErrorKind::TimedOut))]);
    let error = evaluate_by(&evaluator(), &passing(), broken).unwrap_err();
    assert!(matches!(error, EvaluateError::PlanLost(_)), "{error}");
}

fn a_plan_that_stops_coming_is_told() {
    let limits = Limits { wall_ms: 100, ..Limits::default() };
    let stopped = chunks(b"{\"a\":").chain(stream::pending());
    let error = evaluate_by(&limited(limits), &passing(), stopped).unwrap_err();
    assert!(matches!(error, EvaluateError::TimedOut { limit_ms: 100 }), "{error}");
}

fn a_large_plan_goes_through() {
    let source = "package main\nimport rego.v1\ndeny contains change.address if {\n\
         some change in input.resource_changes\n startswith(change.change.after.acl, \"public-\")\n}\n";
    let findings = evaluate_by(&evaluator(), &policy(source), large(8 << 20)).unwrap();
    assert_eq!(told(&findings), ["denied main.deny: aws_s3_bucket.logs"]);
}

fn a_wrong_policy_is_told_before_the_plan_is_there() {
    let error = evaluate_by(&evaluator(), &policy("package main\nno"), stream::pending()).unwrap_err();
    assert!(matches!(error, EvaluateError::Policy(_)), "{error}");
}

fn the_child_inherits_no_environment() {
    assert!(std::env::vars_os().count() > 0);
    let findings = evaluate_by(&acting("as-environment"), &passing(), chunks(b"{}")).unwrap();
    assert_eq!(findings.denied[0].msg, "");
}

fn a_program_that_is_not_there_is_told() {
    let missing = Evaluator { program: "/nowhere/sluice".into(), ..evaluator() };
    let error = evaluate_by(&missing, &passing(), chunks(b"{}")).unwrap_err();
    assert_eq!(error.to_string(), "could not start /nowhere/sluice to evaluate the policy");
}

#[track_caller]
fn crashes(act: &str, expected: &str) {
    let error = evaluate_by(&acting(act), &passing(), chunks(b"{}")).unwrap_err();
    let EvaluateError::Crashed { detail } = error else { panic!("{error}") };
    assert_eq!(detail, expected);
}

fn a_child_that_is_killed_is_told() {
    crashes("as-killed", "it was killed, perhaps by the system for want of memory");
}

fn a_child_whose_stack_overflows_is_told() {
    crashes("as-overflow", "its stack overflowed");
}

fn an_answer_that_is_none_is_told() {
    crashes("as-garbage", "what it wrote is no answer (exit status: 0)");
    crashes("as-silent", "what it wrote is no answer (exit status: 0)");
}

fn an_answer_without_end_is_stopped() {
    let error = evaluate_by(&acting("as-endless"), &passing(), chunks(b"{}")).unwrap_err();
    assert!(matches!(error, EvaluateError::OutputTooLarge { .. }), "{error}");
}

fn a_child_that_says_nothing_is_stopped() {
    let limits = Limits { wall_ms: 50, ..Limits::default() };
    let stuck = Evaluator { limits, ..acting("as-stuck") };
    let error = evaluate_by(&stuck, &passing(), chunks(b"{}")).unwrap_err();
    assert!(matches!(error, EvaluateError::TimedOut { limit_ms: 50 }), "{error}");
}

/// The child holds a connection: it breaks when the child is gone.
fn nobody_waiting_means_nobody_evaluating() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("child");
    let listener = UnixListener::bind(&socket).unwrap();
    let evaluator = Evaluator { args: vec!["as-connected".into(), socket.into()], ..evaluator() };
    let (connected, connection) = oneshot::channel();
    std::thread::spawn(move || connected.send(listener.accept().unwrap().0));
    let mut connection = now(async {
        let input = Input { run: run(), context: json!({}), plan: None::<NoPlan> };
        let (policy, namespaces) = (passing(), Namespaces::default());
        tokio::select! {
            evaluated = evaluator.evaluate(&policy, &namespaces, input) => panic!("{evaluated:?}"),
            connection = connection => connection.unwrap(),
        }
    });
    assert_eq!(connection.read(&mut [0]).unwrap(), 0);
}
