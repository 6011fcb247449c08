use expect_test::expect;

use super::*;

fn workspace(name: &str) -> Workspace {
    format!("app.terraform.io/acme/{name}").parse().unwrap()
}

fn step(name: &str, verdict: &'static str, causes: &[(&str, &[&str])]) -> Step {
    let causes = causes.iter().map(|(producer, outputs)| Cause {
        producer: workspace(producer),
        outputs: outputs.iter().map(|output| (*output).to_owned()).collect(),
    });
    let reason = "is in a cycle with acme/b, and cycles never trigger".to_owned();
    Step { workspace: workspace(name), verdict, reason, causes: causes.collect() }
}

fn foreseen(outputs: &[&str], steps: Vec<Vec<Step>>, held: Vec<Step>) -> Foreseen {
    let outputs = outputs.iter().map(|output| (*output).to_owned()).collect();
    Foreseen { workspace: workspace("network"), outputs, steps, held, over_limit: None }
}

fn diamond() -> Foreseen {
    let steps = vec![
        vec![step("eks", "run", &[("network", &["vpc_id"])]), step("rds", "plan", &[("network", &["vpc_id", "cidr"])])],
        vec![step("app", "run", &[("eks", &["endpoint"]), ("rds", &["address"])])],
    ];
    foreseen(&["cidr", "vpc_id"], steps, vec![step("loop", "cycle", &[("network", &["cidr"])])])
}

#[test]
fn a_wave_is_told_in_a_sentence() {
    let sentences = |foreseen: &Foreseen| preview(foreseen, false, Timestamp(0)).message;
    expect![
        "2 workspaces will run after this, because of cidr, vpc_id, and up to 1 more below them, step by step; 1 is held"
    ]
    .assert_eq(&sentences(&diamond()));
    expect!["no output changes: nobody runs after this"].assert_eq(&sentences(&foreseen(&[], vec![], vec![])));
    expect!["nobody runs after this: cidr will change, and nobody reads that"].assert_eq(&sentences(&foreseen(
        &["cidr"],
        vec![],
        vec![],
    )));
    let held = foreseen(&["cidr"], vec![], vec![step("loop", "cycle", &[])]);
    expect!["nobody runs after this by itself, though cidr will change; 1 is held"].assert_eq(&sentences(&held));
    let one = foreseen(&["cidr"], vec![vec![step("app", "run", &[("network", &["cidr"])])]], vec![]);
    expect!["1 workspace will run after this, because of cidr"].assert_eq(&sentences(&one));
    let over = Foreseen { over_limit: Some(1), ..diamond() };
    assert!(sentences(&over).ends_with("one change may set off 1 runs, so the rest will wait for a person"));
}

#[test]
fn the_first_outcome_shows_the_wave_as_a_table_and_a_picture() {
    let end = preview(&diamond(), false, Timestamp(0));
    expect![[r#"
        | step | workspace | because of |
        |---|---|---|
        | 1 | acme/eks | acme/network (vpc_id) |
        | 1 | acme/rds | acme/network (vpc_id, cidr) |
        | 2 | acme/app | acme/eks (endpoint), acme/rds (address) |
        | held | acme/loop | is in a cycle with acme/b, and cycles never trigger |

        ```mermaid
        flowchart LR
          w0(["acme/network"])
          w1["acme/eks"]
          w2["acme/rds"]
          w3["acme/app"]
          w0 -- "vpc_id" --> w1
          w0 -- "vpc_id, cidr" --> w2
          w1 -- "endpoint" --> w3
          w2 -- "address" --> w3
        ```
    "#]]
    .assert_eq(end.outcomes[0].body.as_ref().unwrap());
    let rest: Vec<String> =
        end.outcomes[1..].iter().map(|it| format!("{} [{}] {}", it.id, it.tags[0].label, it.description)).collect();
    expect![[r"
        1.eks [Will run] acme/eks in step 1, because of acme/network (vpc_id)
        1.rds [Will be planned] acme/rds in step 1, because of acme/network (vpc_id, cidr)
        2.app [Will run] acme/app in step 2, because of acme/eks (endpoint), acme/rds (address)
        held.loop [Held] acme/loop is in a cycle with acme/b, and cycles never trigger"]]
    .assert_eq(&rest.join("\n"));
}

#[test]
fn how_bad_it_is_grows_with_the_wave() {
    let severity = |runs: usize| {
        let steps = (0..runs).map(|n| step(&format!("w{n}"), "run", &[("network", &["id"])])).collect();
        let end = preview(&foreseen(&["id"], vec![steps], vec![]), false, Timestamp(0));
        format!("{} {}", end.outcomes[0].tags[0].label, end.outcomes[0].tags[0].level.as_str())
    };
    for (runs, expect) in
        [(0, "None none"), (1, "Low info"), (5, "Medium info"), (25, "High warning"), (400, "High warning")]
    {
        assert_eq!(severity(runs), expect);
    }
}

#[test]
fn a_name_that_is_not_plain_becomes_no_markdown() {
    let steps = vec![vec![step("app", "run", &[("network", &["a|b\"<script>`"])])]];
    let end = preview(&foreseen(&["a|b\"<script>`"], steps, vec![]), false, Timestamp(0));
    for outcome in &end.outcomes {
        for text in [Some(&outcome.description), outcome.body.as_ref()].into_iter().flatten() {
            assert!(!text.contains("<script>") && !text.contains("a|b"), "{text}");
        }
    }
}
