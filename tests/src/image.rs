//! An image as a user may have one, as a function of its environment: it estimates what a plan costs.
//!
//! It takes its argument as Lagoon's images do and leaves what it finds as Terrakube's scripts do: it reads the context,
//! sets one member, and writes it back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What one output costs in a month, in the estimate's own currency.
const PRICE: u64 = 40;

/// Runs the image: what it writes, and its exit code.
pub async fn estimate(env: BTreeMap<String, String>) -> (String, i32) {
    let mut written = String::new();
    match estimated(&env, &mut written).await {
        Ok(code) => (written, code),
        Err(error) => {
            // A program that does not know what to do says so, and ends as shells do.
            written.push_str("\u{1b}[31merror:\u{1b}[0m ");
            written.push_str(&error.to_string());
            (written, 1)
        }
    }
}

async fn estimated(env: &BTreeMap<String, String>, written: &mut String) -> Result<i32, Box<dyn std::error::Error>> {
    let get = |name: &str| env.get(name).map(String::as_str).ok_or_else(|| format!("{name} is not set"));
    let payload: Map<String, Value> = serde_json::from_slice(&STANDARD.decode(get("JSON_PAYLOAD")?)?)?;
    let budget: u64 = payload.get("budget").and_then(Value::as_str).unwrap_or("100").parse()?;
    let client = crate::hcp::notify::client_named("acme-estimate/1").build()?;
    let plan = client.get(get("SLUICE_PLAN_URL")?).bearer_auth(get("SLUICE_TOKEN")?).send().await?;
    let plan: Value = serde_json::from_slice(&plan.error_for_status()?.bytes().await?)?;
    let changes = plan["output_changes"]
        .as_object()
        .map_or(0, |changes| changes.values().filter(|change| change["actions"] != json!(["no-op"])).count());
    let cost = PRICE * u64::try_from(changes)?;
    let change = if changes == 1 { "output changes" } else { "outputs change" };
    writeln!(written, "{changes} {change}, which costs {cost} a month; the budget is {budget}.")?;
    let (url, token) = (format!("{}/context/v1/{}", get("terrakubeApi")?, get("jobId")?), get("terrakubeToken")?);
    let context = client.get(&url).bearer_auth(token).send().await?.error_for_status()?.bytes().await?;
    let mut context: Map<String, Value> = serde_json::from_slice(&context)?;
    context.insert("estimate".to_owned(), json!({ "monthly": cost, "budget": budget }));
    let body = serde_json::to_vec(&context)?;
    client.post(&url).bearer_auth(token).body(body).send().await?.error_for_status()?;
    writeln!(written, "Left the estimate in the context of {}.", get("jobId")?)?;
    Ok(if cost > budget { 3 } else { 0 })
}
