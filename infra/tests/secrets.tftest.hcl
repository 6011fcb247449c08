mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages           = { bucket = "packages" }
  api_token          = "ssm:/sluice/api-token"
  notification_token = "ssm:/sluice/notification-token"
  digest_key         = "ssm:/sluice/digest-key"
  gate_key           = "ssm:/sluice/gate-key"
}

run "a_reference_is_shown_and_handed_on" {
  command = plan

  assert {
    condition     = nonsensitive(aws_lambda_function.this["run-creator"].environment[0].variables["API_TOKEN"]) == "ssm:/sluice/api-token"
    error_message = "the function is told where its secret is kept"
  }
}

run "a_plain_api_token_is_refused" {
  command = plan

  variables {
    api_token = "hunter2"
  }

  expect_failures = [terraform_data.inputs]
}

run "a_plain_token_among_references_is_refused" {
  command = plan

  variables {
    notification_token = "ssm:/sluice/notification-token,hunter2"
  }

  expect_failures = [terraform_data.inputs]
}

run "a_reference_without_a_place_is_refused" {
  command = plan

  variables {
    gate_key = "ssm:"
  }

  expect_failures = [terraform_data.inputs]
}

# Its policy would let nobody read it: the ARN ends with six characters more.
run "half_an_arn_is_refused" {
  command = plan

  variables {
    digest_key = "secretsmanager:arn:aws:secretsmanager:eu-central-1:111122223333:secret:digest"
  }

  expect_failures = [terraform_data.inputs]
}

run "the_gate_needs_its_key" {
  command = plan

  variables {
    gate_key = null
  }

  expect_failures = [terraform_data.inputs]
}

run "whoever_insists_has_them_in_the_state" {
  variables {
    api_token              = "hunter2"
    allow_secrets_in_state = true
  }

  assert {
    condition     = nonsensitive(aws_lambda_function.this["run-creator"].environment[0].variables["API_TOKEN"]) == "hunter2"
    error_message = "the function is told its secret"
  }

  assert {
    condition     = issensitive(aws_lambda_function.this["run-creator"].environment[0].variables["API_TOKEN"])
    error_message = "a plan that shows a secret"
  }

  assert {
    condition     = !strcontains(join("", [for policy in aws_iam_role_policy.function : policy.policy]), "hunter2") && !strcontains(aws_iam_role_policy.function["run-creator"].policy, "ssm:GetParameter")
    error_message = "a role for a secret that is kept nowhere"
  }
}
