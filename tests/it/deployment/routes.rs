//! What reaches whom: requests by their routes, works by their bells; and the table as it is made in an account.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use sluice_aws::work_key;
use sluice_domain::Queue;
use sluice_lambda::batch::StreamEvent;
use sluice_lambda::now;
use sluice_local::host::Functions;
use sluice_local::store::Embedded;
use sluice_tests::hcp::{Hcp, Options};

use super::{MODULE, module, set, template};
use crate::gate::scene::{after_plan, settings};
use crate::lambda::aws;
use crate::world::build;
use crate::world::record::{self, watched};

/// What a request gets from `function`, however it came there.
async fn answer(functions: &Functions, function: &str, method: &Method, path: &str) -> u16 {
    let path = path.replace("{task}", "guard").replace("{id}", "taskrs-1@guard~cost").replace("{runId}", "run-1");
    let request = Request::builder().method(method).uri(path).body(Bytes::new()).unwrap();
    let answer = match function {
        "notification-receiver" => sluice_notification_receiver::handle(&functions.receiver, request, now()).await,
        "run-task-receiver" => sluice_run_task_receiver::handle(&functions.gate.receiver, request, now()).await,
        "context-api" => sluice_context_api::handle(&functions.context, request, now()).await,
        other => panic!("{other} has routes: say here how it answers"),
    };
    answer.status().as_u16()
}

#[tokio::test]
async fn the_routes_are_what_the_functions_answer() {
    let store = Embedded::open(None).await.unwrap();
    let definition = after_plan(&json!([{ "name": "cost", "kind": "preview" }]));
    store.table.put_task(&"guard".parse().unwrap(), &definition.to_string()).await.unwrap();
    let functions = build(&Hcp::start(Options::default()).await, &store.table, settings());
    let paths: BTreeSet<&str> =
        MODULE.values().flat_map(|it| &it.routes).map(|it| it.split_once(' ').unwrap().1).collect();
    assert!(paths.len() >= 6, "{paths:?}");
    let near = ["/", "/run-tasks", "/task-results/{id}", "/task-results/{id}/result", "/context/{runId}", "/healthz"];
    for (name, function) in MODULE.iter().filter(|(_, function)| !function.routes.is_empty()) {
        for path in paths.iter().copied().chain(near) {
            // Nothing else than its one path leads to it, so it does not look.
            if name == "notification-receiver" && path != "/notifications" {
                continue;
            }
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let status = answer(&functions, name, &method, path).await;
                let routed = function.routes.contains(&format!("{method} {path}"));
                assert_eq!(![404, 405].contains(&status), routed, "{name} answers {status} to {method} {path}");
            }
        }
    }
}

/// One work of each kind, as the table has its key.
const WORKS: [(&str, &str); 10] = [
    ("RUN#app.terraform.io/acme/app/run-1", "RUN"),
    ("WS#app.terraform.io/acme/app", "LOOK"),
    ("WS#app.terraform.io/acme/app", "WAITER#app.terraform.io/acme/web"),
    ("WS#app.terraform.io/acme/app", "VERIFY"),
    ("WS#app.terraform.io/acme/app", "READ"),
    ("ORG#app.terraform.io/acme", "SURVEY"),
    ("WS#app.terraform.io/acme/app", "CREATE"),
    ("GATE#taskrs-1@guard", "CHECK#cost"),
    ("GATE#taskrs-1@guard", "JOB#scan"),
    ("GATE#taskrs-1@guard", "RELAY"),
];

/// What every function that listens to the stream needs to start.
fn vars(store: &Embedded) -> BTreeMap<String, String> {
    let mut vars = aws(&store.endpoint);
    for (name, value) in [
        ("WORKSPACE_DEPENDENCIES_TABLE", "sluice"),
        ("API_TOKEN", "token"),
        ("SLUICE_DIGEST_KEY", "a key of the tests"),
        ("SLUICE_GATE_KEY", "a gate key of the tests"),
        ("SLUICE_KUBECONFIG", concat!(env!("CARGO_MANIFEST_DIR"), "/benches/kubeconfig.json")),
    ] {
        vars.insert(name.to_owned(), value.to_owned());
    }
    vars
}

/// The functions that want to claim the work of a record, of all that listen to the stream.
async fn takers(store: &Embedded, pk: &str, sk: &str) -> BTreeSet<String> {
    let record = record::begin();
    let vars = vars(store);
    let keys = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
    let batch = json!({ "Records": [{ "dynamodb": { "Keys": keys, "SequenceNumber": "1" } }] });
    let batch: StreamEvent = serde_json::from_value(batch).unwrap();
    macro_rules! hand_to {
        ($($function:ident: $name:literal),*) => {
            $(
                let mut function = $function::connect(&vars).await.unwrap();
                function.store = watched(&store.table, $name);
                assert!($function::handle_batch(Arc::new(function), batch.clone()).await.is_complete(), $name);
            )*
        };
    }
    hand_to!(sluice_state_indexer: "state-indexer", sluice_run_creator: "run-creator");
    hand_to!(sluice_task_runner: "task-runner", sluice_job_runner: "job-runner");
    hand_to!(sluice_run_task_relay: "run-task-relay");
    let asked = record.lock().unwrap();
    set(asked.asked.keys())
}

#[tokio::test]
async fn every_bell_rings_for_the_one_function_that_takes_such_work() {
    let store = Embedded::open(None).await.unwrap();
    let mut rung = BTreeSet::new();
    for (pk, sk) in WORKS {
        let queue = work_key(pk, sk).unwrap_or_else(|| panic!("{pk} {sk} is no work")).queue();
        let listening: BTreeSet<String> =
            MODULE.iter().filter(|(_, it)| it.bells.contains(queue.as_str())).map(|(name, _)| name.clone()).collect();
        assert_eq!(takers(&store, pk, sk).await, listening, "{pk} {sk} is in the queue {}", queue.as_str());
        assert_eq!(listening.len(), 1, "{}", queue.as_str());
        rung.insert(queue);
    }
    let all = [Queue::Index, Queue::Bulk, Queue::Create, Queue::Check, Queue::Job, Queue::Relay, Queue::Dead];
    for queue in all {
        // Every queue is here, or this does not compile. Dead letters ring for nobody.
        let served = match queue {
            Queue::Index | Queue::Bulk | Queue::Create | Queue::Check | Queue::Job | Queue::Relay => true,
            Queue::Dead => false,
        };
        assert_eq!(rung.contains(&queue), served, "{}", queue.as_str());
        assert_eq!(MODULE.values().any(|it| it.bells.contains(queue.as_str())), served, "{}", queue.as_str());
    }
}

/// What there is to say of a table: its keys, their types, its index, its stream and what makes items expire.
#[derive(Debug, PartialEq, Eq)]
struct Schema {
    keys: [String; 2],
    attributes: BTreeMap<String, String>,
    indexes: BTreeMap<String, [String; 3]>,
    stream: String,
    expires: String,
    on_demand: bool,
}

/// The table as the code makes it.
async fn made() -> Schema {
    let store = Embedded::open(None).await.unwrap();
    let client = sluice_aws::client(&aws(&store.endpoint)).unwrap();
    let table = client.describe_table().table_name("sluice").send().await.unwrap().table.unwrap();
    let live = client.describe_time_to_live().table_name("sluice").send().await.unwrap();
    let keys = |schema: &[aws_sdk_dynamodb::types::KeySchemaElement]| -> [String; 2] {
        let of = |kind: &str| schema.iter().find(|key| key.key_type.as_str() == kind).unwrap().attribute_name.clone();
        [of("HASH"), of("RANGE")]
    };
    let index = |index: &aws_sdk_dynamodb::types::GlobalSecondaryIndexDescription| {
        let [hash, range] = keys(index.key_schema());
        let projection = index.projection().unwrap().projection_type().unwrap().as_str().to_owned();
        (index.index_name().unwrap().to_owned(), [hash, range, projection])
    };
    let attributes = table.attribute_definitions().iter();
    Schema {
        keys: keys(table.key_schema()),
        attributes: attributes.map(|it| (it.attribute_name.clone(), it.attribute_type.as_str().to_owned())).collect(),
        indexes: table.global_secondary_indexes().iter().map(index).collect(),
        stream: table.stream_specification().unwrap().stream_view_type().unwrap().as_str().to_owned(),
        expires: live.time_to_live_description.unwrap().attribute_name.unwrap(),
        on_demand: table.billing_mode_summary().unwrap().billing_mode().unwrap().as_str() == "PAY_PER_REQUEST",
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn of_the_module() -> Schema {
    let body: Value = hcl::from_str(&super::read("infra/table.tf")).unwrap();
    let table = &body["resource"]["aws_dynamodb_table"]["this"];
    let attributes = module::each(&table["attribute"]).into_iter();
    let indexes = module::each(&table["global_secondary_index"]).into_iter();
    assert_eq!((&table["stream_enabled"], &table["ttl"]["enabled"]), (&json!(true), &json!(true)));
    Schema {
        keys: [text(&table["hash_key"]), text(&table["range_key"])],
        attributes: attributes.map(|it| (text(&it["name"]), text(&it["type"]))).collect(),
        indexes: indexes
            .map(|it| {
                (text(&it["name"]), [text(&it["hash_key"]), text(&it["range_key"]), text(&it["projection_type"])])
            })
            .collect(),
        stream: text(&table["stream_view_type"]),
        expires: text(&table["ttl"]["attribute_name"]),
        on_demand: table["billing_mode"] == "PAY_PER_REQUEST",
    }
}

fn of_the_template() -> Schema {
    let template = template::template();
    let table = template::resources(&template, "AWS::DynamoDB::Table").remove("Table").unwrap();
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let keys = |schema: &Value| -> [String; 2] {
        let of =
            |kind: &str| all(schema).iter().find(|key| key["KeyType"] == kind).map(|it| text(&it["AttributeName"]));
        [of("HASH").unwrap(), of("RANGE").unwrap()]
    };
    let index = |index: &Value| {
        let [hash, range] = keys(&index["KeySchema"]);
        (text(&index["IndexName"]), [hash, range, text(&index["Projection"]["ProjectionType"])])
    };
    assert_eq!(table["TimeToLiveSpecification"]["Enabled"], json!(true));
    let attributes = all(&table["AttributeDefinitions"]);
    Schema {
        keys: keys(&table["KeySchema"]),
        attributes: attributes.iter().map(|it| (text(&it["AttributeName"]), text(&it["AttributeType"]))).collect(),
        indexes: all(&table["GlobalSecondaryIndexes"]).iter().map(index).collect(),
        stream: text(&table["StreamSpecification"]["StreamViewType"]),
        expires: text(&table["TimeToLiveSpecification"]["AttributeName"]),
        on_demand: table["BillingMode"] == "PAY_PER_REQUEST",
    }
}

#[tokio::test]
async fn the_table_is_deployed_as_the_code_makes_it() {
    let made = made().await;
    assert_eq!(of_the_module(), made, "infra/table.tf");
    assert_eq!(of_the_template(), made, "infra/template.yaml");
}
