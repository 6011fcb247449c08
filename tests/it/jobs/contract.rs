//! What a program is promised: images that were written for Lagoon and scripts that were written for Terrakube run as
//! they are, and nothing that they leave or print changes more than it should.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PostParams;
use reqwest::Method;
use serde_json::{Value, json};
use sluice_domain::gate::CheckVerdict;
use sluice_tests::hcp::TaskResultView;

use super::scene::{IMAGE, JobScene, check, image, of, script, sh, variables};
use crate::bins::scripts_can_run;
use crate::gate::checker::body;
use crate::gate::scene::{assert_failed, assert_passed, outcome};
use crate::serve::client;

const LAGOON: &str = "registry.example/lagoon/scan:1";
const TERRAKUBE: &str = "registry.example/terrakube/cost:1";

/// A pod may have a token where its settings name an account.
pub(super) fn account() -> Value {
    json!({ "EPHEMERAL_CONFIG_SERVICE_ACCOUNT": "default" })
}

/// The task of Lagoon's, with so many findings.
pub(super) fn scan(found: &str) -> Value {
    check("scan", json!({ "image": LAGOON, "arguments": { "FOUND": found, "LIMIT": "5" }, "settings": account() }))
}

/// What a program wrote, as it is shown.
#[track_caller]
pub(super) fn shown<'a>(result: &'a TaskResultView, check: &str) -> &'a str {
    outcome(result, &format!("{check}.output"))["body"].as_str().unwrap()
}

/// A task image of Lagoon's that passes and one that fails: both hand back what they found.
pub(super) async fn lagoon(scene: &JobScene) {
    let kubelet = scene.kubelet([(LAGOON, script("lagoon-task.sh"))]).await;
    for (count, (found, expect)) in [("3", None), ("7", Some("exit code 3: "))].into_iter().enumerate() {
        let result = scene.ask(&json!([scan(found)])).await;
        match expect {
            None => assert_passed(&result),
            Some(_) => assert_failed(&result),
        }
        let said = format!("task {} of a: {found} findings, 5 are allowed", result.id);
        let complains = if expect.is_some() { "too many findings" } else { "" };
        let lines: Vec<&str> = [said.as_str(), complains].into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(result.message, format!("scan: {}{}", expect.unwrap_or_default(), lines.join(" / ")));
        assert_eq!(shown(&result, "scan"), format!("```\n{}\n```", lines.join("\n")));
        let context = scene.context(&result.id).await;
        let pod = context["scan"]["pod"].as_str().unwrap();
        let data = json!({ "scan": { "found": found.parse::<u64>().unwrap(), "pod": pod } });
        assert_eq!(context, json!({ "scan": data["scan"], "taskData": { "scan": data } }));
        if !scene.cluster.is_real() {
            let name = format!("\"name\":\"{pod}\"");
            let everything = scene.cluster.everything();
            let mut lines = everything.lines().filter(|line| line.contains("\"kind\":\"Pod\""));
            assert!(lines.any(|line| line.contains(&name)), "there was no pod {pod}");
        }
        assert_eq!(kubelet.starts(LAGOON), count + 1);
    }
}

#[tokio::test]
async fn a_task_image_of_lagoons_runs_as_it_is() {
    if !scripts_can_run() {
        return;
    }
    let scene = JobScene::new().await;
    lagoon(&scene).await;
    scene.end().await;
}

/// A script of Terrakube's, and who reads what it left: a policy, and another program.
pub(super) async fn terrakube(scene: &JobScene) {
    let reads = "curl -sSf -H \"Authorization: Bearer $SLUICE_CONTEXT_TOKEN\" \"$SLUICE_CONTEXT_URL\" | \
                 jq -e '.infracost.totalMonthlyCost == \"12.40\" and .slackId == \"1699999999.000100\"'";
    let images = [(TERRAKUBE, script("terrakube-context.sh")), (IMAGE, sh(reads))];
    let _kubelet = scene.kubelet(images).await;
    let policy = "package main\nimport rego.v1\n\
        deny contains msg if {\n\tto_number(input.context.infracost.totalMonthlyCost) > 12\n\
        \tmsg := sprintf(\"%v a month\", [input.context.infracost.totalMonthlyCost])\n}\n";
    scene.scene.policy("dear", policy).await;
    let cost = check("cost", json!({ "image": TERRAKUBE }));
    let mut after = image("after");
    after["needs"] = json!(["cost"]);
    let dear = json!({ "name": "dear", "kind": "rego", "policy": "dear", "needs": ["cost"] });
    let result = scene.ask(&json!([cost, after, dear])).await;
    assert_failed(&result);
    let saved = format!("cost: saved [\"infracost\",\"slackId\"] for {}", result.run);
    assert_eq!(result.message, format!("dear: 1 denial (12.40 a month); {saved}; after: true"));
    let context = scene.context(&result.id).await;
    assert_eq!(context, json!({ "infracost": { "totalMonthlyCost": "12.40" }, "slackId": "1699999999.000100" }));
}

#[tokio::test]
async fn a_script_of_terrakubes_runs_as_it_is_and_others_read_what_it_left() {
    if !scripts_can_run() {
        return;
    }
    let scene = JobScene::new().await;
    terrakube(&scene).await;
    scene.end().await;
}

/// What a program finds around it, and what it can fetch.
const LOOKS: &str = "env -0 > $DUMP.env; cat $SLUICE_TEST_ROOT$SLUICE_REQUEST_FILE > $DUMP.request; \
    curl -sSfL -H \"Authorization: Bearer $SLUICE_TOKEN\" -o $DUMP.plan $SLUICE_PLAN_URL && \
    curl -sS -o /dev/null -w '%{http_code}' -X PATCH -H \"Authorization: Bearer $SLUICE_TOKEN\" --data @$DUMP.verdict \
      ${SLUICE_PLAN_URL%plan}callback";

#[tokio::test]
async fn a_program_finds_what_it_is_promised() {
    if !scripts_can_run() {
        return;
    }
    let scene = JobScene::new().await;
    let dump = scene.file("dump");
    std::fs::write(scene.file("dump.verdict"), body("passed", "mine").to_string()).unwrap();
    let image = sh(LOOKS).env("DUMP", dump.to_str().unwrap());
    let _kubelet = scene.kubelet([(IMAGE, image)]).await;
    let arguments = json!({ "threshold": "100", "note": "it's \"$(HOME)\"\nand ü" });
    let checks = json!([check("cost", json!({ "image": IMAGE, "arguments": arguments }))]);
    let result = scene.ask(&checks).await;
    assert_passed(&result);
    // A program's word on itself is its exit code.
    assert_eq!(result.message, "cost: 404");

    let told = variables(&scene.read("dump.env"));
    let payload: Value = serde_json::from_slice(&STANDARD.decode(&told["JSON_PAYLOAD"]).unwrap()).unwrap();
    assert_eq!(payload, arguments);
    let url = scene.scene.world.url.as_str();
    let of_result = format!("{url}/task-results/{}~cost", scene.scene.known_as(&result.id));
    let (context, plan) = (format!("{url}/context/v1/{}", result.run), format!("{of_result}/plan"));
    let (organization, workspace) = (scene.scene.hcp().organization(), scene.scene.hcp().workspace_id("a"));
    for (name, expect) in [
        ("NAMESPACE", scene.namespace.as_str()),
        ("PODNAME", &told["HOSTNAME"]),
        ("TASK_API_HOST", url),
        ("TASK_SSH_HOST", ""),
        ("TASK_SSH_PORT", ""),
        ("TASK_DATA_ID", &result.id),
        ("LAGOON_CONFIG_API_HOST", url),
        ("LAGOON_CONFIG_SSH_HOST", ""),
        ("LAGOON_CONFIG_SSH_PORT", ""),
        ("LAGOON_CONFIG_TOKEN_HOST", ""),
        ("LAGOON_CONFIG_TOKEN_PORT", ""),
        ("LAGOON_PROJECT", "a"),
        ("terrakubeApi", url),
        ("jobId", &result.run),
        ("stepId", &result.id),
        ("organizationId", &organization),
        ("workspaceId", &workspace),
        ("workingDirectory", "/workspace"),
        ("SLUICE_CHECK", "cost"),
        ("SLUICE_STAGE", "post_plan"),
        ("SLUICE_WORKSPACE", "a"),
        ("SLUICE_CONTEXT_URL", &context),
        ("SLUICE_CONTEXT_TOKEN", &told["terrakubeToken"]),
        ("SLUICE_PLAN_URL", &plan),
        ("SLUICE_REQUEST_FILE", "/var/run/secrets/sluice/request.json"),
    ] {
        assert_eq!(told.get(name).map(String::as_str), Some(expect), "{name}");
    }
    assert!(told.contains_key("LAGOON_GIT_BRANCH") && told.contains_key("SLUICE_RUN_CREATED_BY"), "{told:?}");

    let request: Value = serde_json::from_str(&scene.read("dump.request")).unwrap();
    assert_eq!((&request["run_id"], &request["stage"]), (&json!(result.run), &json!("post_plan")));
    assert_eq!(request["plan_json_api_url"], json!(plan));
    assert_eq!(request.get("access_token").or(request.get("task_result_callback_url")), None);
    let plan: Value = serde_json::from_str(&scene.read("dump.plan")).unwrap();
    assert!(plan["output_changes"]["id"].is_object(), "{plan}");

    // With the check its tokens end.
    let (context_token, token) = (&told["SLUICE_CONTEXT_TOKEN"], &told["SLUICE_TOKEN"]);
    let asked = async |method: Method, url: &str, token: &str| {
        let request = client().request(method, url).bearer_auth(token).body("{}");
        request.send().await.unwrap().status().as_u16()
    };
    for method in [Method::GET, Method::POST, Method::PATCH] {
        assert_eq!(asked(method, &context, context_token).await, 401);
    }
    assert_eq!(asked(Method::GET, &context, token).await, 401);
    assert_eq!(asked(Method::GET, &told["SLUICE_PLAN_URL"], token).await, 409);
    assert_eq!(asked(Method::PATCH, &format!("{of_result}/callback"), token).await, 409);
    let after = scene.scene.hcp().task_result(&result.id).unwrap();
    assert_eq!((after.callbacks.len(), after.message), (result.callbacks.len(), result.message));
    scene.end().await;
}

#[tokio::test]
async fn a_program_without_arguments_has_an_empty_payload() {
    let scene = JobScene::new().await;
    let _kubelet = scene.runs("test $JSON_PAYLOAD = e30=").await;
    assert_passed(&scene.ask(&json!([image("empty")])).await);
    scene.end().await;
}

#[tokio::test]
async fn what_a_program_writes_is_shown_without_colours_and_secrets() {
    let scene = JobScene::new().await;
    let writes = "printf '\\033[31mred\\033[0m\\n'; echo \"one $SLUICE_TOKEN, another $terrakubeToken.\"; \
                  echo AKIAIOSFODNN7EXAMPLE >&2; exit 4";
    let _kubelet = scene.runs(writes).await;
    let result = scene.ask(&json!([image("writes")])).await;
    assert_failed(&result);
    assert_eq!(result.message, "writes: exit code 4: red / one ***, another ***. / ***");
    assert_eq!(shown(&result, "writes"), "```\nred\none ***, another ***.\n***\n```");
    scene.end().await;
}

/// A program that leaves this in its annotation, and passes.
fn leaves(annotation: &str) -> String {
    let patch = json!({ "metadata": { "annotations": { "lagoon.sh/taskData": annotation } } });
    format!(
        "account=$SLUICE_TEST_ROOT/var/run/secrets/kubernetes.io/serviceaccount; echo fine; cat > patch <<'END'\n{patch}\n\
         END\ncurl -sSf -o /dev/null -X PATCH -H \"Authorization: Bearer $(cat $account/token)\" \
         -H 'Content-Type: application/merge-patch+json' --data @patch \
         $KUBERNETES_API/api/v1/namespaces/$NAMESPACE/pods/$PODNAME"
    )
}

#[tokio::test]
async fn what_a_program_leaves_is_kept_or_not_and_its_verdict_stands() {
    if !scripts_can_run() {
        return;
    }
    let scene = JobScene::new().await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(120), "]".repeat(120));
    let said = json!({
        "message": "9 of 10 are well", "kept": [1, null],
        "outcomes": [{ "id": "one", "description": "the tenth is not", "body": "# why" }],
    });
    let cases = [
        ("none", "!! no base64".to_owned(), Some("it is not base64")),
        ("array", STANDARD.encode("[1]"), Some("object")),
        ("deep", STANDARD.encode(deep), Some("deep")),
        ("text", STANDARD.encode("no json"), Some("JSON")),
        ("said", STANDARD.encode(said.to_string()), None),
    ];
    let images: Vec<_> = cases.iter().map(|(name, data, _)| (format!("leaves-{name}:1"), sh(&leaves(data)))).collect();
    let _kubelet = scene.kubelet(images.iter().map(|(name, image)| (name.as_str(), image.clone()))).await;
    let job = |name: &str| check(name, json!({ "image": format!("leaves-{name}:1"), "settings": account() }));
    let result = scene.ask(&cases.iter().map(|(name, ..)| job(name)).collect::<Value>()).await;
    assert_passed(&result);
    assert_eq!(result.message, "none: fine; array: fine; deep: fine; text: fine; said: 9 of 10 are well");
    for (name, _, fault) in &cases {
        let Some(fault) = fault else { continue };
        let warning = outcome(&result, &format!("{name}.task-data"));
        let description = warning["description"].as_str().unwrap();
        assert!(description.starts_with("What it left in lagoon.sh/taskData is not kept: "), "{description}");
        assert!(description.contains(fault), "{description}");
        assert_eq!(warning["tags"]["Status"][0], json!({ "label": "Not kept", "level": "warning" }), "{warning}");
    }
    assert_eq!(outcome(&result, "said.one")["description"], "the tenth is not");
    let mut expect = said.clone();
    expect["taskData"] = json!({ "said": said });
    assert_eq!(scene.context(&result.id).await, expect);
    scene.end().await;
}

#[tokio::test]
async fn what_has_no_room_in_the_context_is_told_and_changes_nothing() {
    if !scripts_can_run() {
        return;
    }
    let scene = JobScene::new().await;
    // A context that is full but for a little, and more than that.
    let fills = format!(
        "printf '{{\"full\":\"' > all; head -c 4194200 /dev/zero | tr '\\0' x >> all; printf '\"}}' >> all; \
         curl -sSf -o /dev/null -X POST -H \"Authorization: Bearer $terrakubeToken\" --data-binary @all \
         $SLUICE_CONTEXT_URL; {}",
        leaves(&STANDARD.encode(json!({ "much": "y".repeat(400) }).to_string()))
    );
    let _kubelet = scene.kubelet([(IMAGE, sh(&fills))]).await;
    let result = scene.ask(&json!([check("fills", json!({ "image": IMAGE, "settings": account() }))])).await;
    assert_passed(&result);
    let warning = outcome(&result, "fills.task-data")["description"].as_str().unwrap();
    let expect = "What it left in lagoon.sh/taskData is not in the run's context: it is longer than 4194304 bytes";
    assert_eq!(warning, expect);
    let context = scene.context(&result.id).await;
    assert_eq!(context.as_object().unwrap().keys().collect::<Vec<_>>(), ["full"]);
    scene.end().await;
}

/// A service that is scaled to zero, and has more to it than a command needs.
fn deployment(name: &str, dump: &str) -> Deployment {
    of(json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [
                    { "name": "proxy", "image": "registry.example/proxy:1" },
                    {
                        "name": name, "image": IMAGE, "command": ["serve"],
                        "env": [{ "name": "DUMP", "value": dump }, { "name": "CRONJOBS", "value": "all of them" }],
                    },
                ] },
            },
        },
    }))
}

#[tokio::test]
async fn a_command_runs_in_a_copy_of_a_service_and_has_its_arguments_word_for_word() {
    let scene = JobScene::new().await;
    let kubelet = scene.kubelet([(IMAGE, sh("exit 1"))]).await;
    let dump = scene.file("dump");
    let service = deployment("cli", dump.to_str().unwrap());
    scene.api::<Deployment>().create(&PostParams::default(), &service).await.unwrap();
    let arguments = json!({
        "QUOTED": "it's \"so\" \\ \\\\", "REFERS": "$(NAMESPACE) $$(NAMESPACE) ${HOME} `id`", "LINES": "one\n two\n\n",
        "EMPTY": "", "OPTION": "--help; exit 9",
    });
    let command = "env -0 > $DUMP; printf '%s|' \"$(NAMESPACE=inner; echo $NAMESPACE)\" \"$OPTION\" $$; exit 0";
    let job = json!({ "service": "cli", "command": command, "arguments": arguments });
    let result = scene.ask(&json!([check("status", job)])).await;
    assert_passed(&result);
    assert!(result.message.starts_with("status: inner|--help; exit 9|"), "{}", result.message);
    let told = variables(&scene.read("dump"));
    for (name, value) in arguments.as_object().unwrap() {
        assert_eq!(told.get(name).map(String::as_str), value.as_str(), "{name}");
    }
    for name in ["CRONJOBS", "JSON_PAYLOAD"] {
        assert_eq!(told.get(name), None, "{name}");
    }
    assert_eq!(told["LAGOON_PROJECT"], "a");
    assert_eq!((kubelet.starts(IMAGE), kubelet.starts("registry.example/proxy:1")), (1, 0));
    scene.end().await;
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_clearly() {
    let scene = JobScene::new().await;
    scene.api::<Deployment>().create(&PostParams::default(), &deployment("cli", "/dev/null")).await.unwrap();
    let none = check("none", json!({ "service": "other", "command": "true" }));
    let part = check("part", json!({ "service": "cli", "container": "other", "command": "true" }));
    let result = scene.ask(&json!([none, part])).await;
    assert_failed(&result);
    let expect = "none: could not be carried out: there is no Deployment other in the namespace checks: the service of a \
                  job has to be deployed where the job runs; part: could not be carried out: the Deployment cli has no \
                  container other";
    assert_eq!(result.message, expect);
    for check in ["none", "part"] {
        let end = scene.execution(&result.id, check).await.unwrap().end.unwrap();
        assert_eq!(end.verdict, CheckVerdict::Errored);
    }
    assert_eq!(scene.cluster.count("create", "jobs"), 0);
    scene.end().await;
}
