mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages             = { bucket = "packages" }
  api_token            = "ssm:/sluice/api-token"
  notification_token   = "ssm:/sluice/token-new,ssm:token-old"
  digest_key           = "secretsmanager:sluice/digest-key"
  gate_key             = "secretsmanager:arn:aws:secretsmanager:eu-west-1:111122223333:secret:gate-AbCd12"
  table_kms_key_arn    = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  secrets_kms_key_arns = ["arn:aws:kms:eu-west-1:111122223333:key/66666666-7777-8888-9999-000000000000"]
  tracing              = true
  jobs = {
    eks_cluster        = "jobs"
    kubernetes_url     = "https://k8s.example.com"
    kubernetes_ca      = "Y2VydGlmaWNhdGU="
    subnet_ids         = ["subnet-2"]
    security_group_ids = ["sg-2"]
  }
  task_keys = ["ssm:/sluice/by-hand"]
  tasks = {
    guard = {
      hmac_keys = ["ssm:/sluice/guard"]
      stages    = ["post_plan"]
      checks = [
        { name = "preview", kind = "preview" },
        { name = "cost", kind = "http", url = "https://cost.example.com", hmac_key = "secretsmanager:cost" },
      ]
    }
  }
}

run "each_role_may_what_its_function_does" {
  assert {
    condition = toset(flatten([for policy in aws_iam_role_policy.function : [
      for statement in jsondecode(policy.policy).Statement : statement.Sid if contains(statement.Resource, "*")
    ]])) == toset(["ListStreams", "Network", "NetworkForLambdaOnly", "Traces"])
    error_message = "a wildcard where AWS has names"
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_role_policy.function : [
      for statement in jsondecode(policy.policy).Statement : [for action in statement.Action : !strcontains(action, "*")]
    ]]))
    error_message = "an action by pattern"
  }

  assert {
    condition = { for name, policy in aws_iam_role_policy.function : name => flatten([
      for statement in jsondecode(policy.policy).Statement : [for action in statement.Action : trimprefix(action, "dynamodb:")] if statement.Sid == "Table"
      ]) } == {
      notification-receiver = ["UpdateItem"]
      state-indexer         = ["Query", "BatchGetItem", "UpdateItem", "PutItem", "DeleteItem", "ConditionCheckItem"]
      run-creator           = ["GetItem", "BatchGetItem", "UpdateItem", "PutItem"]
      sweeper               = ["UpdateItem"]
      run-task-receiver     = ["GetItem", "Query", "PutItem", "UpdateItem"]
      task-runner           = ["GetItem", "Query", "BatchGetItem", "UpdateItem"]
      run-task-relay        = ["GetItem", "Query", "UpdateItem", "DeleteItem"]
      context-api           = ["GetItem", "Query", "PutItem", "DeleteItem"]
      job-runner            = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]
    }
    error_message = "what each may do with items"
  }

  assert {
    condition     = toset(flatten([for policy in aws_iam_role_policy.function : [for statement in jsondecode(policy.policy).Statement : statement.Resource if startswith(statement.Sid, "Table") && statement.Sid != "TableKey"]])) == toset(["arn:aws:dynamodb:eu-central-1:111122223333:table/sluice"])
    error_message = "another table"
  }

  assert {
    condition     = [for name, policy in aws_iam_role_policy.function : name if contains([for statement in jsondecode(policy.policy).Statement : statement.Sid], "DueIndex")] == ["sweeper"]
    error_message = "only the sweeper reads the index of due work"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.function["sweeper"].policy).Statement : statement.Resource if statement.Sid == "DueIndex"] == [["arn:aws:dynamodb:eu-central-1:111122223333:table/sluice/index/due"]]
    error_message = "the index by its name"
  }

  assert {
    condition = (
      [for name, policy in aws_iam_role_policy.function : name if contains([for statement in jsondecode(policy.policy).Statement : statement.Sid], "Stream")] ==
      ["job-runner", "run-creator", "run-task-relay", "state-indexer", "task-runner"]
    )
    error_message = "those that hear bells read the stream"
  }

  assert {
    condition = { for name, policy in aws_iam_role_policy.function : name => flatten([
      for statement in jsondecode(policy.policy).Statement : [for arn in statement.Resource : trimprefix(arn, "arn:aws:ssm:eu-central-1:111122223333:parameter/")] if statement.Sid == "Parameters"
      ]) } == {
      notification-receiver = ["sluice/token-new", "token-old"]
      state-indexer         = ["sluice/api-token"]
      run-creator           = ["sluice/api-token"]
      sweeper               = []
      run-task-receiver     = ["sluice/by-hand", "sluice/guard"]
      task-runner           = ["sluice/by-hand"]
      run-task-relay        = []
      context-api           = []
      job-runner            = []
    }
    error_message = "which parameters each may read"
  }

  assert {
    condition = { for name, policy in aws_iam_role_policy.function : name => flatten([
      for statement in jsondecode(policy.policy).Statement : [for arn in statement.Resource : split(":", arn)[6]] if statement.Sid == "Secrets"
      ]) } == {
      notification-receiver = []
      state-indexer         = ["sluice/digest-key-??????"]
      run-creator           = []
      sweeper               = []
      run-task-receiver     = ["gate-AbCd12"]
      task-runner           = ["gate-AbCd12", "cost-??????"]
      run-task-relay        = ["gate-AbCd12"]
      context-api           = ["gate-AbCd12"]
      job-runner            = ["gate-AbCd12"]
    }
    error_message = "which secrets each may read"
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_role_policy.function : [
      for statement in jsondecode(policy.policy).Statement : length(statement.Condition.StringEquals["kms:ViaService"]) > 0 if statement.Action == ["kms:Decrypt"]
    ]]))
    error_message = "a key that is used by the function itself"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["notification-receiver"].policy).Statement == [
      {
        Sid      = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:aws:logs:eu-central-1:111122223333:log-group:mocked:*"]
      },
      {
        Sid      = "Table", Effect = "Allow", Action = ["dynamodb:UpdateItem"]
        Resource = ["arn:aws:dynamodb:eu-central-1:111122223333:table/sluice"]
      },
      {
        Sid       = "TableKey", Effect = "Allow", Action = ["kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"]
        Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.eu-central-1.amazonaws.com"] } }
      },
      {
        Sid = "Parameters", Effect = "Allow", Action = ["ssm:GetParameter"]
        Resource = [
          "arn:aws:ssm:eu-central-1:111122223333:parameter/sluice/token-new",
          "arn:aws:ssm:eu-central-1:111122223333:parameter/token-old",
        ]
      },
      {
        Sid       = "SecretsKeys", Effect = "Allow", Action = ["kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-west-1:111122223333:key/66666666-7777-8888-9999-000000000000"]
        Condition = { StringEquals = { "kms:ViaService" = ["ssm.eu-west-1.amazonaws.com", "secretsmanager.eu-west-1.amazonaws.com"] } }
      },
      { Sid = "Traces", Effect = "Allow", Action = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], Resource = ["*"] },
    ]
    error_message = "a whole policy, to the letter"
  }

  assert {
    condition = [for name, policy in aws_iam_role_policy.function : name if contains([for statement in jsondecode(policy.policy).Statement : statement.Sid], "Network")] == ["job-runner"] && [
      for statement in jsondecode(aws_iam_role_policy.function["job-runner"].policy).Statement : statement.Condition.ArnEquals["lambda:SourceFunctionArn"] if statement.Effect == "Deny"
    ] == [["arn:aws:lambda:eu-central-1:111122223333:function:sluice-job-runner"]]
    error_message = "interfaces are Lambda's business, for a function in a network"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.function : jsondecode(role.assume_role_policy).Statement[0].Principal == { Service = "lambda.amazonaws.com" }])
    error_message = "a role for somebody else"
  }
}
