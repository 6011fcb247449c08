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

run "tasks_and_policies_are_items" {
  variables {
    tasks = {
      guard = {
        description     = null
        hmac_keys       = ["ssm:/sluice/guard"]
        stages          = ["post_plan", "pre_apply"]
        workspaces      = ["prod-*"]
        timeout_seconds = 900
        checks = [
          { name = "preview", kind = "preview", stages = ["post_plan"] },
          { name = "rules", kind = "rego", policy = "rules", enforcement = null },
        ]
      }
      "cost.v2" = {
        hmac_keys = ["secretsmanager:cost"]
        stages    = ["post_plan"]
        checks    = [{ name = "cost", kind = "http", url = "https://cost.example.com", needs = [] }]
      }
    }
    policies = {
      rules = { modules = { "main.rego" = "package main" }, data = "{\"limit\":100}" }
    }
  }

  assert {
    condition = jsondecode(aws_dynamodb_table_item.task["guard"].item) == {
      pk = { S = "TASKS" }
      sk = { S = "guard" }
      body = { S = jsonencode({
        name            = "guard"
        hmac_keys       = ["ssm:/sluice/guard"]
        stages          = ["post_plan", "pre_apply"]
        workspaces      = ["prod-*"]
        timeout_seconds = 900
        checks          = [{ name = "preview", kind = "preview", stages = ["post_plan"] }, { name = "rules", kind = "rego", policy = "rules" }]
      }) }
    }
    error_message = "a task as the functions read it"
  }

  assert {
    condition = jsondecode(aws_dynamodb_table_item.policy["rules"].item) == {
      pk   = { S = "POLICIES" }
      sk   = { S = "rules" }
      body = { S = jsonencode({ modules = { "main.rego" = "package main" }, data = { limit = 100 } }) }
    }
    error_message = "a policy as the functions read it"
  }

  assert {
    condition     = output.run_task_urls == { guard = "https://abc123.execute-api.eu-central-1.amazonaws.com/run-tasks/guard", "cost.v2" = "https://abc123.execute-api.eu-central-1.amazonaws.com/run-tasks/cost.v2" }
    error_message = "where tasks are asked"
  }
}

run "a_key_as_it_is" {
  command = plan
  variables {
    tasks = { guard = { hmac_keys = ["hunter2"], stages = ["post_plan"], checks = [{ name = "preview", kind = "preview" }] } }
  }
  expect_failures = [var.tasks]
}

run "a_key_in_the_environment" {
  command = plan
  variables {
    tasks = { guard = { hmac_keys = ["env:GUARD_KEY"], stages = ["post_plan"], checks = [{ name = "preview", kind = "preview" }] } }
  }
  expect_failures = [var.tasks]
}

run "no_key" {
  command = plan
  variables {
    tasks = { guard = { hmac_keys = [], stages = ["post_plan"], checks = [{ name = "preview", kind = "preview" }] } }
  }
  expect_failures = [var.tasks]
}

run "a_field_that_is_none" {
  command = plan
  variables {
    tasks = { guard = { hmac_keys = ["ssm:/k"], stages = ["post_plan"], timeout = 9, checks = [{ name = "preview", kind = "preview" }] } }
  }
  expect_failures = [var.tasks]
}

run "a_stage_that_is_none" {
  command = plan
  variables {
    tasks = { guard = { hmac_keys = ["ssm:/k"], stages = ["post-plan"], checks = [{ name = "preview", kind = "preview" }] } }
  }
  expect_failures = [var.tasks]
}

run "checks_of_one_name" {
  command = plan
  variables {
    tasks = { guard = { hmac_keys = ["ssm:/k"], stages = ["post_plan"], checks = [{ name = "a", kind = "preview" }, { name = "a", kind = "upstream" }] } }
  }
  expect_failures = [var.tasks]
}

run "a_kind_that_is_none" {
  command = plan
  variables {
    tasks = { guard = { hmac_keys = ["ssm:/k"], stages = ["post_plan"], checks = [{ name = "a", kind = "previews" }] } }
  }
  expect_failures = [var.tasks]
}

run "too_long_a_time" {
  command = plan
  variables {
    tasks = { guard = { hmac_keys = ["ssm:/k"], stages = ["post_plan"], timeout_seconds = 3600, checks = [{ name = "a", kind = "preview" }] } }
  }
  expect_failures = [var.tasks]
}

run "a_job_without_jobs" {
  command = plan
  variables {
    tasks = { guard = { hmac_keys = ["ssm:/k"], stages = ["post_plan"], checks = [{ name = "scan", kind = "job", job = { image = "scan:1" } }] } }
  }
  expect_failures = [terraform_data.inputs]
}

run "data_that_is_no_object" {
  command = plan
  variables {
    policies = { rules = { modules = { "main.rego" = "package main" }, data = "[]" } }
  }
  expect_failures = [var.policies]
}

run "modules_of_another_language" {
  command = plan
  variables {
    policies = { rules = { modules = { "main.yaml" = "package main" } } }
  }
  expect_failures = [var.policies]
}
