//! What runs cost: how much of the table they use, how often they wake functions, and how much they ask of HCP
//! Terraform. The store counts units as DynamoDB does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use reqwest::Client;
use serde_json::{Value, json};
use sluice_domain::ports::Tallies;
use sluice_lambda::now;
use sluice_tests::hcp::{Route, RunOptions};

use crate::gate::scene::{Scene, after_plan, assert_passed};
use crate::serve::client;
use crate::world::World;
use crate::world::record::{self, Record, Units};

/// What a number of completed runs has taken.
#[derive(Debug, Default)]
struct Taken {
    runs: usize,
    units: BTreeMap<&'static str, Units>,
    /// Bells in the table's stream: each is an invocation, if none comes together with others in a batch.
    bells: BTreeMap<String, usize>,
    notifications: usize,
    task_requests: usize,
    api: usize,
}

impl Taken {
    /// For a thousand runs.
    fn of_a_thousand(&self, number: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "there are a few")]
        let runs = self.runs as f64;
        number * 1_000.0 / runs
    }

    fn total(&self) -> Units {
        self.units.values().fold(Units::default(), |sum, units| Units {
            read: sum.read + units.read,
            write: sum.write + units.write,
            in_vain: sum.in_vain + units.in_vain,
        })
    }

    /// Written units, with one for each write that was not made.
    fn written(&self) -> f64 {
        let total = self.total();
        self.of_a_thousand(total.write + f64::from(total.in_vain))
    }

    fn read(&self) -> f64 {
        self.of_a_thousand(self.total().read)
    }

    fn invocations(&self) -> usize {
        self.bells.values().sum::<usize>() + self.notifications + self.task_requests
    }

    fn report(&self, what: &str) -> String {
        let mut text = format!("{what}: a thousand completed runs, from {}\n", self.runs);
        let thousand = |count: usize| self.of_a_thousand(f64::from(u32::try_from(count).unwrap()));
        writeln!(text, "  table: {:.0} read units, {:.0} written units", self.read(), self.written()).unwrap();
        for (function, units) in &self.units {
            let [read, write] = [units.read, units.write].map(|units| self.of_a_thousand(units));
            let in_vain = self.of_a_thousand(f64::from(units.in_vain));
            writeln!(text, "    {function}: {read:.0} read, {write:.0} written, {in_vain:.0} in vain").unwrap();
        }
        writeln!(text, "  invocations: {:.0}", thousand(self.invocations())).unwrap();
        writeln!(text, "    notification-receiver: {:.0}", thousand(self.notifications)).unwrap();
        writeln!(text, "    run-task-receiver: {:.0}", thousand(self.task_requests)).unwrap();
        for (bell, count) in &self.bells {
            writeln!(text, "    bell {bell}: {:.0}", thousand(*count)).unwrap();
        }
        writeln!(text, "  requests to HCP Terraform: {:.0}", thousand(self.api)).unwrap();
        text
    }
}

/// A reading of everything that is counted.
struct Meter<'a> {
    world: &'a World,
    record: Arc<Mutex<Record>>,
    before: Taken,
}

impl<'a> Meter<'a> {
    /// Begins to count. `record` is that of the thread when the world was made.
    async fn start(world: &'a World, record: Arc<Mutex<Record>>) -> Self {
        record::meter(&record);
        let before = seen(world).await;
        Self { world, record, before }
    }

    async fn stop(self) -> Taken {
        let after = seen(self.world).await;
        let before = self.before;
        let bells = after.bells.into_iter().map(|(bell, count)| {
            let earlier = before.bells.get(&bell).copied().unwrap_or_default();
            (bell, count - earlier)
        });
        let bells = bells.filter(|(_, count)| *count > 0);
        Taken {
            runs: after.runs - before.runs,
            units: self.record.lock().unwrap().units.clone(),
            bells: bells.collect(),
            notifications: after.notifications - before.notifications,
            task_requests: after.task_requests - before.task_requests,
            api: after.api - before.api,
        }
    }
}

/// What has happened in a world so far.
async fn seen(world: &World) -> Taken {
    let names = world.names();
    let runs = names.iter().map(|name| world.hcp.runs(name).iter().filter(|run| run.status.is_final()).count());
    Taken {
        runs: runs.sum(),
        units: BTreeMap::new(),
        bells: bells(world.endpoint()).await,
        notifications: world.hcp.deliveries().len(),
        task_requests: world.hcp.all_task_results().len(),
        api: world.hcp.count(Route::Any),
    }
}

async fn ask(client: &Client, endpoint: &str, operation: &str, body: Value) -> Value {
    let request = client
        .post(endpoint)
        .header("x-amz-target", format!("DynamoDBStreams_20120810.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
        .header("x-amz-date", "20260101T000000Z")
        .body(body.to_string());
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{operation}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// How often each bell has rung: the records of the stream that pass the filter of somebody.
async fn bells(endpoint: &str) -> BTreeMap<String, usize> {
    let client = client();
    let streams = ask(&client, endpoint, "ListStreams", json!({})).await;
    let arn = &streams["Streams"][0]["StreamArn"];
    let described = ask(&client, endpoint, "DescribeStream", json!({ "StreamArn": arn })).await;
    let mut bells = BTreeMap::new();
    for shard in described["StreamDescription"]["Shards"].as_array().unwrap() {
        let from = json!({ "StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON" });
        let mut iterator = ask(&client, endpoint, "GetShardIterator", from).await["ShardIterator"].clone();
        while iterator.is_string() {
            let page = ask(&client, endpoint, "GetRecords", json!({ "ShardIterator": iterator })).await;
            let records = page["Records"].as_array().unwrap();
            for bell in records.iter().filter_map(|record| record["dynamodb"]["NewImage"]["bell"]["S"].as_str()) {
                *bells.entry(bell.to_owned()).or_default() += 1;
            }
            if records.is_empty() {
                break;
            }
            iterator = page["NextShardIterator"].clone();
        }
    }
    bells
}

/// Runs of a workspace that has readers, in which nothing changes.
async fn settled() -> Taken {
    let record = record::begin();
    let world = World::of("a\n b: a\n c: a\n d: a").await;
    let meter = Meter::start(&world, record).await;
    for _ in 0..5 {
        world.hcp.start_run("a", RunOptions::new("nothing to change"));
        world.rest().await;
    }
    let taken = meter.stop().await;
    assert_eq!(taken.runs, 5);
    world.stop().await;
    taken
}

/// Changes that each of three readers runs for.
async fn waves() -> Taken {
    let record = record::begin();
    let world = World::of("a\n b: a\n c: a\n d: a").await;
    let meter = Meter::start(&world, record).await;
    for _ in 0..3 {
        world.change("a");
        world.rest().await;
    }
    let taken = meter.stop().await;
    assert_eq!(taken.runs, 12);
    world.stop().await;
    taken
}

/// Runs that a run task with two checks is asked about.
async fn gated() -> Taken {
    let record = record::begin();
    let scene = Scene::of("a").await;
    let checks = json!([{ "name": "upstream", "kind": "upstream" }, { "name": "preview", "kind": "preview" }]);
    scene.gate("a", &after_plan(&checks)).await;
    let meter = Meter::start(&scene.world, record).await;
    for _ in 0..5 {
        let result = scene.change("a").await;
        assert_passed(&result);
        scene.ended(&result.id).await;
        scene.world.rest().await;
    }
    let taken = meter.stop().await;
    assert_eq!(taken.runs, 5);
    scene.end().await;
    taken
}

#[tokio::test]
async fn the_store_counts_units_as_dynamodb_does() {
    let record = record::begin();
    let store = sluice_local::store::Embedded::open(None).await.unwrap();
    let table = record::watched(&store.table, "context-api");
    record::meter(&record);
    let units = || record.lock().unwrap().units.remove("context-api").unwrap();
    table.ready().await.unwrap();
    assert_eq!(units(), Units { read: 0.5, ..Units::default() }, "it may be a little out of date");
    table.paused().await.unwrap();
    assert_eq!(units(), Units { read: 1.0, ..Units::default() }, "it may not");
    table.set_paused(None).await.unwrap();
    assert_eq!(units(), Units { write: 1.0, ..Units::default() });
}

#[tokio::test]
async fn a_thousand_runs_cost_no_more_than_is_told() {
    let scenes = [
        ("nothing changes", settled().await, [22_000.0, 30_000.0], 1_100),
        ("each change has three readers run", waves().await, [24_000.0, 60_000.0], 4_000),
        ("a run task with two checks is asked about each", gated().await, [40_000.0, 100_000.0], 5_500),
    ];
    for (what, taken, [read, written], api) in scenes {
        let report = taken.report(what);
        println!("{report}");
        assert!(taken.read() <= read && taken.written() <= written, "{report}");
        assert!(taken.api * 1_000 <= api * taken.runs, "{report}");
    }
}

#[tokio::test]
async fn a_sweep_that_finds_nothing_costs_a_few_units() {
    let record = record::begin();
    let store = sluice_local::store::Embedded::open(None).await.unwrap();
    let table = record::watched(&store.table, "sweeper");
    record::meter(&record);
    sluice_sweeper::sweep(&table, now()).await.unwrap();
    let units = record.lock().unwrap().units["sweeper"];
    println!("{units:?}");
    assert!(units.read <= 4.0 && units.write <= 2.0, "{units:?}");
}
