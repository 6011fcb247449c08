mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages           = { bucket = "packages", prefix = "1.0.0/" }
  api_token          = "ssm:/sluice/api-token"
  notification_token = "ssm:/sluice/notification-token"
  digest_key         = "ssm:/sluice/digest-key"
  gate_key           = "ssm:/sluice/gate-key"
}

run "an_installation" {
  assert {
    condition = toset(keys(aws_lambda_function.this)) == toset([
      "notification-receiver", "state-indexer", "run-creator", "sweeper", "run-task-receiver", "task-runner",
      "run-task-relay", "context-api",
    ])
    error_message = "every function but that of jobs"
  }

  assert {
    condition = alltrue([for name, function in aws_lambda_function.this :
      function.function_name == "sluice-${name}" && function.runtime == "provided.al2023" && function.handler == "bootstrap" &&
      function.architectures == tolist(["arm64"]) && function.s3_key == "1.0.0/${name}.zip" && length(function.vpc_config) == 0 &&
      function.tracing_config[0].mode == "PassThrough"
    ])
    error_message = "a function that is not made as all are"
  }

  assert {
    condition     = { for name, function in aws_lambda_function.this : name => function.reserved_concurrent_executions if function.reserved_concurrent_executions != -1 } == { run-creator = 2 }
    error_message = "only the rate at which runs come about is reserved"
  }

  assert {
    condition = toset(keys(aws_apigatewayv2_route.this)) == toset([
      "POST /notifications", "POST /run-tasks/{task}", "PATCH /task-results/{id}/callback", "GET /task-results/{id}/plan",
      "GET /task-results/{id}/configuration", "GET /context/v1/{runId}", "HEAD /context/v1/{runId}",
      "POST /context/v1/{runId}", "PATCH /context/v1/{runId}",
    ])
    error_message = "the routes are those that functions answer"
  }

  assert {
    condition     = aws_lambda_permission.route["GET /task-results/{id}/plan"].source_arn == "arn:aws:execute-api:eu-central-1:111122223333:abc123/*/GET/task-results/{id}/plan"
    error_message = "the API may invoke a function for its routes, and for no others"
  }

  assert {
    condition     = !can(regex("(?i)header|authorization|authorizer|query|\\$context[.]requestOverride", aws_apigatewayv2_stage.this.access_log_settings[0].format))
    error_message = "an access log with what may be secret"
  }

  assert {
    condition     = aws_apigatewayv2_stage.this.default_route_settings[0].throttling_rate_limit == 50 && contains([for limit in aws_apigatewayv2_stage.this.route_settings : limit.route_key], "POST /notifications")
    error_message = "requests are throttled"
  }

  assert {
    condition = (
      aws_dynamodb_table.this.name == "sluice" && aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST" &&
      aws_dynamodb_table.this.deletion_protection_enabled && aws_dynamodb_table.this.point_in_time_recovery[0].enabled &&
      aws_dynamodb_table.this.stream_view_type == "NEW_IMAGE" && one(aws_dynamodb_table.this.ttl).attribute_name == "expires_at" &&
      one(aws_dynamodb_table.this.global_secondary_index).name == "due"
    )
    error_message = "the table is as the functions expect it, and kept safe"
  }

  assert {
    condition     = toset(keys(aws_lambda_event_source_mapping.bell)) == toset(["state-indexer", "run-creator", "task-runner", "run-task-relay"])
    error_message = "those that listen to bells"
  }

  assert {
    condition     = jsondecode(one(one(aws_lambda_event_source_mapping.bell["state-indexer"].filter_criteria).filter).pattern) == { dynamodb = { NewImage = { bell = { S = ["index", "bulk"] } } } }
    error_message = "a function that hears what is not for it"
  }

  assert {
    condition = alltrue([for bell in aws_lambda_event_source_mapping.bell :
      bell.starting_position == "LATEST" && bell.bisect_batch_on_function_error && bell.maximum_record_age_in_seconds == 120 &&
      contains(bell.function_response_types, "ReportBatchItemFailures")
    ])
    error_message = "a bell that is rung for too long"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.sweep.schedule_expression == "rate(1 minute)"
    error_message = "the sweeper runs every minute"
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.function : group.retention_in_days == 90]) && aws_cloudwatch_log_group.api.retention_in_days == 90
    error_message = "logs that are kept for ever"
  }

  assert {
    condition = alltrue([for alarm in concat(
      values(aws_cloudwatch_metric_alarm.installation), values(aws_cloudwatch_metric_alarm.errors),
      values(aws_cloudwatch_metric_alarm.throttles), values(aws_cloudwatch_metric_alarm.iterator_age),
    ) : can(regex(" docs/operating[.]md#[a-z-]+$", alarm.alarm_description))])
    error_message = "an alarm that does not say where to read on"
  }

  assert {
    condition = alltrue([
      for name, alarm in aws_cloudwatch_metric_alarm.installation : alarm.dimensions == tomap({ Installation = "sluice" }) if alarm.namespace == "Sluice"
    ]) && length(aws_cloudwatch_dashboard.this) == 1
    error_message = "metrics are those of this installation"
  }

  assert {
    condition = (
      aws_lambda_function.this["task-runner"].environment[0].variables["SLUICE_PUBLIC_URL"] == "https://abc123.execute-api.eu-central-1.amazonaws.com" &&
      aws_lambda_function.this["sweeper"].environment[0].variables == tomap({ WORKSPACE_DEPENDENCIES_TABLE = "sluice" })
    )
    error_message = "a function is told what it reads, and nothing else"
  }

  assert {
    condition     = output.notifications_url == "https://abc123.execute-api.eu-central-1.amazonaws.com/notifications" && output.run_tasks_url == "https://abc123.execute-api.eu-central-1.amazonaws.com/run-tasks"
    error_message = "where HCP Terraform sends things"
  }
}

run "another_name_table_and_network" {
  variables {
    name                = "waves"
    table_name          = "Waves.Table"
    deletion_protection = false
    architecture        = "x86_64"
    tracing             = true
    public_url          = "https://sluice.example.com"
    tfe_address         = "https://tfe.example.com"
    vpc                 = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
    throttling          = { default = { rate = 5, burst = 6 } }
    settings            = { SLUICE_AUTONOMY = "plan", SLUICE_LOG = "debug" }
    alarms              = null
    dashboard           = false
  }

  assert {
    condition     = aws_dynamodb_table.this.name == "Waves.Table" && !aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "the table's own name"
  }

  assert {
    condition = alltrue([for function in aws_lambda_function.this :
      startswith(function.function_name, "waves-") && function.architectures == tolist(["x86_64"]) && function.tracing_config[0].mode == "Active" &&
      one(function.vpc_config).subnet_ids == toset(["subnet-1"]) && function.logging_config[0].application_log_level == "DEBUG" &&
      function.environment[0].variables["SLUICE_LOG"] == "debug"
    ])
    error_message = "what is said of all functions"
  }

  assert {
    condition = (
      [for name, function in aws_lambda_function.this : name if lookup(function.environment[0].variables, "SLUICE_AUTONOMY", "") == "plan"] ==
      ["run-creator", "state-indexer", "task-runner"]
    )
    error_message = "a setting reaches those that read it"
  }

  assert {
    condition     = aws_apigatewayv2_stage.this.default_route_settings[0].throttling_rate_limit == 5 && output.url == "https://sluice.example.com"
    error_message = "the API's settings"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.errors) + length(aws_cloudwatch_metric_alarm.installation) + length(aws_cloudwatch_dashboard.this) == 0
    error_message = "no alarms and no dashboard"
  }
}

# Lambda leaves out lines below its level, and takes those with metrics for INFO.
run "a_quiet_function_still_counts" {
  command = plan

  variables {
    settings = { SLUICE_LOG = "error" }
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.logging_config[0].application_log_level == "INFO"])
    error_message = "metrics are left out"
  }
}
