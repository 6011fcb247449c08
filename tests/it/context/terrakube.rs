//! What Terrakube's users bring: the requests that its Groovy class makes, and what stands for them in shell.

use std::path::Path;
use std::process::Command;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::scene::Held;
use crate::bins::scripts_can_run;
use crate::serve::client;

/// The class `Context` as it asks (contract terrakube-lagoon, section 1.3), and no better: it looks at no status but one
/// that keeps it from reading, and replaces the whole context by what it read and one more key.
struct Groovy {
    client: Client,
    terrakube_api: String,
    terrakube_token: String,
    job_id: String,
    working_directory: std::path::PathBuf,
}

impl Groovy {
    fn of(held: &Held, directory: &Path) -> Self {
        Self {
            client: client(),
            terrakube_api: held.scene.world.url.clone(),
            terrakube_token: held.check.token.clone().unwrap(),
            job_id: held.run.to_string(),
            working_directory: directory.to_owned(),
        }
    }

    fn ask(&self, method: http::Method) -> reqwest::RequestBuilder {
        let url = format!("{}/context/v1/{}", self.terrakube_api, self.job_id);
        let request = self.client.request(method, url).header(CONTENT_TYPE, "application/json");
        request.header(AUTHORIZATION, format!("Bearer {}", self.terrakube_token))
    }

    async fn get_context(&self) -> Value {
        let answer = self.ask(http::Method::GET).send().await.unwrap();
        assert!(answer.status().as_u16() < 400, "it throws");
        let text = answer.text().await.unwrap();
        let context: Value = serde_json::from_str(&text).unwrap();
        assert!(context.is_object(), "it throws");
        context
    }

    async fn save(&self, name: &str, value: Value) -> StatusCode {
        let mut context = self.get_context().await;
        context[name] = value;
        self.ask(http::Method::POST).body(context.to_string()).send().await.unwrap().status()
    }

    async fn save_file(&self, name: &str, file: &str) -> StatusCode {
        let text = std::fs::read_to_string(self.working_directory.join(file)).unwrap();
        self.save(name, serde_json::from_str(&text).unwrap()).await
    }

    async fn save_property(&self, name: &str, value: &str) -> StatusCode {
        self.save(name, json!(value)).await
    }
}

const INFRACOST: &str = r#"{"totalMonthlyCost":"12.00","projects":[{"name":"a","diff":null}]}"#;

#[tokio::test]
async fn the_requests_of_its_groovy_class_do_what_they_did() {
    let held = Held::new().await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("infracost.json"), INFRACOST).unwrap();
    let groovy = Groovy::of(&held, directory.path());
    assert_eq!(groovy.save_property("slackThreadId", "1700000000.000100").await, StatusCode::OK);
    assert_eq!(groovy.save_file("infracost", "infracost.json").await, StatusCode::OK);
    assert_eq!(groovy.save_property("terrakubeUI", r#"{"100":"<b>"}"#).await, StatusCode::OK);
    std::fs::write(directory.path().join("infracost.json"), r#"{"projects":[]}"#).unwrap();
    assert_eq!(groovy.save_file("infracost", "infracost.json").await, StatusCode::OK);
    let expect = json!({
        "slackThreadId": "1700000000.000100",
        "infracost": { "projects": [] },
        "terrakubeUI": r#"{"100":"<b>"}"#,
    });
    assert_eq!(groovy.get_context().await, expect);

    // Its step is over: what it saves then is refused, and it does not notice.
    held.pass().await;
    assert_eq!(groovy.ask(http::Method::POST).body("{}").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(held.operator().get().await.json(), expect);
    held.scene.end().await;
}

/// The commands below a heading of the documentation.
fn documented(heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/context.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, below) = text.split_once(&format!("### {heading}\n")).unwrap_or_else(|| panic!("{heading} is not there"));
    let (_, code) = below.split_once("```sh\n").unwrap();
    let code = code.split_once("```").unwrap().0.to_owned();
    assert_eq!(code.lines().count(), 2, "{heading} is two lines:\n{code}");
    code
}

/// Runs commands as a step of a job would, and returns whether they came through.
async fn shell(held: &Held, directory: &Path, commands: String) -> bool {
    let mut command = Command::new("sh");
    command.args(["-e", "-u", "-c", &commands]).current_dir(directory);
    command.env("terrakubeApi", &held.scene.world.url).env("jobId", held.run.as_str());
    command.env("terrakubeToken", held.check.token.as_ref().unwrap());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

#[tokio::test]
async fn the_documented_commands_do_the_same() {
    if !scripts_can_run() {
        return;
    }
    let held = Held::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (property, file) = (documented("saveProperty"), documented("saveFile"));
    let of_property = |name: &str, value: &str| format!("name='{name}' value='{value}'\n{property}");
    assert!(shell(&held, path, of_property("slackThreadId", "1700000000.000100")).await);
    for document in [INFRACOST, r#"{"projects":[{"diff":null}]}"#] {
        std::fs::write(path.join("infracost.json"), document).unwrap();
        assert!(shell(&held, path, format!("name=infracost file=infracost.json\n{file}")).await);
    }
    assert!(shell(&held, path, of_property("a \"b\" \\ ü", "{\"x\": 1}")).await);
    assert!(shell(&held, path, of_property("slackThreadId", "1700000000.000200")).await);
    let expect = json!({
        "slackThreadId": "1700000000.000200",
        "infracost": { "projects": [{ "diff": null }] },
        "a \"b\" \\ ü": "{\"x\": 1}",
    });
    assert_eq!(held.check.get().await.json(), expect);

    // Somebody wrote between the two lines: the second says so.
    let (read, write) = file.split_once('\n').unwrap();
    let between = "curl -fsS -X PATCH -H \"Authorization: Bearer $terrakubeToken\" -d '{\"meanwhile\":1}' \"$terrakubeApi/context/v1/$jobId\"";
    assert!(!shell(&held, path, format!("name=infracost file=infracost.json\n{read}\n{between}\n{write}")).await);
    assert_eq!(held.check.get().await.json()["meanwhile"], json!(1));
    assert_eq!(held.kept().await.version, 6);

    held.pass().await;
    assert!(!shell(&held, path, of_property("late", "x")).await, "a refusal fails the step");
    assert!(!shell(&held, path, format!("name=infracost file=infracost.json\n{file}")).await);
    held.scene.end().await;
}
