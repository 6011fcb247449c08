//! Another checker, which was written for HCP Terraform and takes us for that.

use sluice_domain::gate::KeyPlace;
use sluice_domain::ports::{Definitions, FactStore};
use sluice_domain::{CheckName, TaskResultId};
use sluice_hcp::wire::{Forwarding, forwarded};

use super::{CheckError, Checks};
use sluice_runner::{Asked, Step};

impl<S: FactStore + Definitions> Checks<S> {
    /// Sends the request on, with addresses and a token of ours. What the other finds comes back to those.
    pub(super) async fn hand_on(
        &self,
        asked: Asked<'_>,
        url: &str,
        hmac_key: Option<&str>,
    ) -> Result<Step, CheckError> {
        let (request, check) = (asked.request(), &asked.check.name);
        let base = self.public_url.as_ref().ok_or(CheckError::NoPublicUrl)?;
        let place = hmac_key.and_then(KeyPlace::parse);
        let key = match &place {
            Some(place) => {
                let mut keyed = self.keyring.get(std::slice::from_ref(place), false, asked.now).await;
                match (keyed.keys.pop(), keyed.missing) {
                    (None, Some(error)) => return Err(CheckError::Key(error)),
                    (key, _) => key,
                }
            }
            None => None,
        };
        let at = |what: &str| format!("{base}/task-results/{}~{check}/{what}", request.result);
        let (callback, plan, configuration) = (at("callback"), at("plan"), at("configuration"));
        let token = self.keys.checker_token(&request.result, check);
        let ours = Forwarding {
            result_id: &self.result_id(&request.result, check),
            callback_url: &callback,
            plan_url: Some(&plan),
            configuration_url: Some(&configuration),
            token: &token,
        };
        self.checkers.send(url, forwarded(request, &ours), key.as_ref()).await?;
        Ok(Step::HandedOn)
    }

    /// The id under which the other knows the task result: the same however often it is asked, and another for each
    /// check, so that one checker can serve two of them.
    fn result_id(&self, result: &TaskResultId, check: &CheckName) -> String {
        format!("taskrs-{}", self.keys.alias(result, check))
    }
}
