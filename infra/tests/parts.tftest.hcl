mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages           = { bucket = "packages" }
  api_token          = "ssm:/sluice/api-token"
  notification_token = "ssm:/sluice/notification-token"
  digest_key         = "ssm:/sluice/digest-key"
}

run "without_the_gate" {
  variables {
    gate = false
  }

  assert {
    condition     = toset(keys(aws_lambda_function.this)) == toset(["notification-receiver", "state-indexer", "run-creator", "sweeper"])
    error_message = "a function of the gate"
  }

  assert {
    condition     = keys(aws_lambda_event_source_mapping.bell) == ["run-creator", "state-indexer"]
    error_message = "a reader of the stream that nobody needs"
  }

  assert {
    condition     = keys(aws_apigatewayv2_route.this) == ["POST /notifications"] && output.run_tasks_url == null
    error_message = "a route that nobody answers"
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.installation), "callbacks-refused")
    error_message = "an alarm about what cannot be"
  }
}

run "with_jobs" {
  variables {
    gate_key = "secretsmanager:sluice/gate-key"
    jobs = {
      eks_cluster        = "jobs"
      kubernetes_url     = "https://k8s.example.com"
      kubernetes_ca      = "Y2VydGlmaWNhdGU="
      subnet_ids         = ["subnet-2"]
      security_group_ids = ["sg-2"]
      settings           = { EPHEMERAL_MEMORY_LIMIT = "1Gi" }
    }
  }

  assert {
    condition = aws_lambda_function.this["job-runner"].environment[0].variables == tomap({
      WORKSPACE_DEPENDENCIES_TABLE = "sluice"
      SLUICE_GATE_KEY              = "secretsmanager:sluice/gate-key"
      SLUICE_PUBLIC_URL            = "https://abc123.execute-api.eu-central-1.amazonaws.com"
      SLUICE_JOB_NAMESPACE         = "sluice"
      SLUICE_JOB_SETTINGS          = "{\"EPHEMERAL_MEMORY_LIMIT\":\"1Gi\"}"
      SLUICE_EKS_CLUSTER           = "jobs"
      SLUICE_KUBERNETES_URL        = "https://k8s.example.com"
      SLUICE_KUBERNETES_CA         = "Y2VydGlmaWNhdGU="
    })
    error_message = "what job-runner is told"
  }

  assert {
    condition     = { for name, function in aws_lambda_function.this : name => one(one(function.vpc_config).subnet_ids) if length(function.vpc_config) > 0 } == { job-runner = "subnet-2" }
    error_message = "only job-runner is in the cluster's network"
  }

  assert {
    condition     = aws_lambda_function.this["job-runner"].timeout >= 120 && contains(keys(aws_lambda_event_source_mapping.bell), "job-runner")
    error_message = "jobs are watched"
  }
}

run "jobs_need_the_gate" {
  command = plan

  variables {
    gate = false
    jobs = { eks_cluster = "jobs", kubernetes_url = "https://k8s.example.com", kubernetes_ca = "Y2VydGlmaWNhdGU=" }
  }

  expect_failures = [terraform_data.inputs]
}
