//! What the checks of a run leave for each other, as policies see it.

use serde_json::json;
use sluice_domain::RunId;

use super::scene::{Asker, url};
use crate::gate::checker::body;
use crate::gate::scene::{Scene, assert_failed, assert_passed, task};
use crate::serve::client;
use crate::world::OPERATORS;

const POLICY: &str = "package main\nimport rego.v1\n\
    deny contains msg if {\n\tinput.context.infracost.total > 10\n\
    \tmsg := sprintf(\"it would cost %v a month\", [input.context.infracost.total])\n}\n";

#[tokio::test]
async fn a_policy_sees_what_an_earlier_stage_has_left() {
    let mut scene = Scene::of("a").await;
    let checker = scene.checker().await;
    let mut cost = checker.check();
    cost["stages"] = json!(["pre_plan"]);
    let rule = json!({ "name": "dear", "kind": "rego", "policy": "dear", "stages": ["post_plan"] });
    scene.policy("dear", POLICY).await;
    scene.gate("a", &task(&["pre_plan", "post_plan"], &json!([cost, rule]))).await;
    for (asked, (left, expect)) in [
        (None, Ok("dear: nothing to object to in 1 rule")),
        (Some(r#"{"infracost":{"total":8}}"#), Ok("dear: nothing to object to in 1 rule")),
        (Some(r#"{"infracost":{"total":12}}"#), Err("dear: 1 denial (it would cost 12 a month)")),
    ]
    .into_iter()
    .enumerate()
    {
        scene.world.change("a");
        let payload = checker.asked(asked + 1).await;
        let run: RunId = payload["run_id"].as_str().unwrap().parse().unwrap();
        let url = url(&scene.world.url, run.as_str());
        let operator = Asker { client: client(), url, token: Some(OPERATORS[0].to_owned()) };
        // What no policy could read would make all of them fail from then on.
        let why = operator.patch(r#"{"infracost":{"total":1e999}}"#).await.refused(400);
        assert!(why.ends_with("a number that is too large to be read: see line 1, column 23"), "{why}");
        if let Some(left) = left {
            assert_eq!(operator.post(left).await.document(), left);
        }
        assert_eq!(checker.call_back(&payload, &body("passed", "fine")).await, 200);
        let result = scene.answer("a", 2 * asked + 1).await;
        match expect {
            Ok(message) => {
                assert_passed(&result);
                assert_eq!(result.message, message);
            }
            Err(message) => {
                assert_failed(&result);
                assert_eq!(result.message, message);
            }
        }
    }
    scene.end().await;
}
