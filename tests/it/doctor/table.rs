//! A table in an account, with each of its faults; and the work in it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use sluice_aws::Table;
use sluice_domain::ports::{Inbox, Pulse, Pulses, Sweeps, Worklist};
use sluice_domain::{RunReport, Standing, Timestamp, WorkKey};
use sluice_lambda::now;
use sluice_local::store::Embedded;

use super::Told;
use crate::lambda::aws;
use crate::serve::program::Vars;

/// How a table is made.
#[derive(Clone)]
struct Made {
    sort_key: &'static str,
    /// The sort key of the index, its type, and what it holds; none without an index.
    due: Option<(&'static str, ScalarAttributeType, ProjectionType)>,
    stream: Option<StreamViewType>,
    expires: Option<&'static str>,
}

impl Made {
    fn well() -> Self {
        Self {
            sort_key: "sk",
            due: Some(("due_at", ScalarAttributeType::N, ProjectionType::KeysOnly)),
            stream: Some(StreamViewType::NewImage),
            expires: Some("expires_at"),
        }
    }

    async fn make(self, client: &Client, name: &str) {
        let attribute = |name: &str, kind| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
        };
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let mut create = client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("pk", ScalarAttributeType::S))
            .attribute_definitions(attribute(self.sort_key, ScalarAttributeType::S))
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key(self.sort_key, KeyType::Range));
        if let Some((sort_key, kind, projection)) = self.due {
            let index = GlobalSecondaryIndex::builder()
                .index_name("due")
                .key_schema(key("queue", KeyType::Hash))
                .key_schema(key(sort_key, KeyType::Range))
                .projection(Projection::builder().projection_type(projection).build());
            create = create
                .attribute_definitions(attribute("queue", ScalarAttributeType::S))
                .attribute_definitions(attribute(sort_key, kind))
                .global_secondary_indexes(index.build().unwrap());
        }
        if let Some(view) = self.stream {
            let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build().unwrap();
            create = create.stream_specification(stream);
        }
        create.send().await.unwrap();
        if let Some(attribute) = self.expires {
            let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build().unwrap();
            client.update_time_to_live().table_name(name).time_to_live_specification(ttl).send().await.unwrap();
        }
    }
}

fn settings(store: &Embedded, table: &str) -> Vars {
    let mut vars = aws(&store.endpoint);
    vars.insert("WORKSPACE_DEPENDENCIES_TABLE".to_owned(), table.to_owned());
    vars.insert("SLUICE_DIGEST_KEY".to_owned(), "a-digest-key-of-enough-characters".to_owned());
    vars
}

fn pulse(at: Timestamp, version: &str) -> Pulse {
    Pulse { by: Sweeps::Sweeper, version: version.to_owned(), at, rung: 0, dead: None, fault: None }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A name, how a table of that name is made, and what doctor says of it: how bad, what, and the remedy.
type Fault = (&'static str, Made, &'static str, &'static str, &'static str);

fn faults() -> Vec<Fault> {
    let number = ScalarAttributeType::N;
    vec![
        (
            "no-ttl",
            Made { expires: None, ..Made::well() },
            "wrong",
            "time to live is off",
            "aws dynamodb update-time-to-live --table-name no-ttl",
        ),
        (
            "other-ttl",
            Made { expires: Some("ttl"), ..Made::well() },
            "wrong",
            "items expire by ttl",
            "AttributeName=expires_at",
        ),
        ("no-stream", Made { stream: None, ..Made::well() }, "wrong", "it has no stream", "StreamViewType=NEW_IMAGE"),
        (
            "keys-stream",
            Made { stream: Some(StreamViewType::KeysOnly), ..Made::well() },
            "wrong",
            "its stream carries KEYS_ONLY",
            "turn it off",
        ),
        (
            "both-stream",
            Made { stream: Some(StreamViewType::NewAndOldImages), ..Made::well() },
            "warning",
            "its stream carries old images",
            "turn it off",
        ),
        (
            "no-index",
            Made { due: None, ..Made::well() },
            "wrong",
            "it has no index due",
            "terraform apply; or aws dynamodb update-table --table-name no-index",
        ),
        (
            "text-index",
            Made { due: Some(("due_at", ScalarAttributeType::S, ProjectionType::KeysOnly)), ..Made::well() },
            "wrong",
            "the keys of its index due are queue S, due_at S, and have to be queue S, due_at N",
            "Delete",
        ),
        (
            "other-index",
            Made { due: Some(("at", number.clone(), ProjectionType::KeysOnly)), ..Made::well() },
            "wrong",
            "the keys of its index due are queue S, at N",
            "Delete",
        ),
        (
            "wide-index",
            Made { due: Some(("due_at", number, ProjectionType::All)), ..Made::well() },
            "warning",
            "its index due holds ALL",
            "Delete",
        ),
        (
            "other-keys",
            Made { sort_key: "sort", ..Made::well() },
            "wrong",
            "its keys are pk S, sort S, and have to be pk S, sk S",
            "WORKSPACE_DEPENDENCIES_TABLE",
        ),
    ]
}

#[tokio::test]
async fn each_fault_of_a_table_is_told_with_what_mends_it() {
    let store = Embedded::open(None).await.unwrap();
    let client = sluice_aws::client(&aws(&store.endpoint)).unwrap();
    for (name, made, level, what, mend) in faults() {
        made.make(&client, name).await;
        let told = Told::by(&[], &settings(&store, name)).await;
        told.says(level, what, mend);
        assert_eq!(told.code, Some(1), "nobody sweeps it: {name}");
    }
    Made::well().make(&client, "well").await;
    Table::new(client, "well").beat(&pulse(now(), VERSION)).await.unwrap();
    let told = Told::by(&[], &settings(&store, "well")).await;
    assert_eq!((told.code, told.at("wrong")), (Some(0), Vec::new()), "{:#}", told.report);
    for what in [
        "its keys are pk S, sk S",
        "its index due has the keys queue S, due_at N",
        "its stream carries new images",
        "items expire by expires_at",
        "the clock of the table agrees with ours",
        "nothing is due that nobody has taken up",
        "nothing was given up",
    ] {
        told.says("well", what, "");
    }
    let none = Told::by(&[], &settings(&store, "none")).await;
    none.says("wrong", "it cannot be looked at: ", "WORKSPACE_DEPENDENCIES_TABLE");
    store.close().await;
}

#[tokio::test]
async fn a_schedule_that_does_not_run_and_functions_that_do_not_are_told() {
    let store = Embedded::open(None).await.unwrap();
    let vars = settings(&store, "sluice");
    let told = Told::by(&[], &vars).await;
    told.says("wrong", "sweeper has never run", "rate(1 minute)");
    store.table.beat(&pulse(Timestamp(now().0 - 600_000), "0.0.1")).await.unwrap();
    let told = Told::by(&[], &vars).await;
    told.says("wrong", "sweeper has not run for 10 minutes", "rate(1 minute)");
    told.says("warning", "sweeper is version 0.0.1", "terraform apply");
    for (fault, mend) in
        [("AccessDeniedException: not authorized", "role"), ("the table is out of order", "the log of")]
    {
        let failed = Pulse { fault: Some(fault.to_owned()), ..pulse(now(), VERSION) };
        store.table.beat(&failed).await.unwrap();
        Told::by(&[], &vars).await.says("wrong", &format!("the last run of sweeper failed: {fault}"), mend);
    }
    store.table.beat(&pulse(now(), VERSION)).await.unwrap();
    assert_eq!(Told::by(&[], &vars).await.code, Some(0));

    // Due for long, and nobody takes it up, though it is rung for.
    let report = RunReport {
        workspace: "app.terraform.io/acme/network".parse().unwrap(),
        workspace_id: "ws-1".parse().unwrap(),
        run: "run-1".parse().unwrap(),
        created_at: Timestamp(1_000),
        standing: Standing::Applied,
        at: Timestamp(1_000),
        marker: None,
    };
    store.table.record(&report, Timestamp(now().0 - 60_000)).await.unwrap();
    let told = Told::by(&[], &vars).await;
    told.says("well", "no work has been due for longer than 6", "");
    let late = RunReport { run: "run-2".parse().unwrap(), ..report.clone() };
    store.table.record(&late, Timestamp(now().0 - 600_000)).await.unwrap();
    let told = Told::by(&[], &vars).await;
    assert_eq!(told.code, Some(1));
    let what = "nobody takes up what has been due for 10 minutes: news of run-2 in acme/network";
    told.says("wrong", what, "see that state-indexer is deployed");
    // Once it is taken up it is nobody's fault any more, until it is given up.
    let key = WorkKey::Run(late.workspace, late.run);
    let claimed = store.table.claim(&key, now(), 60_000).await.unwrap().unwrap();
    assert_eq!(Told::by(&[], &vars).await.code, Some(0));
    store.table.bury(&claimed, now(), "no such workspace").await.unwrap();
    let told = Told::by(&[], &vars).await;
    let line = told.says("wrong", "1 work was given up", "sluice dead retry --all");
    assert!(line["what"].as_str().unwrap().ends_with("news of run-2 in acme/network: no such workspace"), "{line}");
    store.close().await;
}
