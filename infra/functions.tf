# What each function is, needs and may: everything else is made from this.
#
# part             when it is made: always, with the gate, or with jobs
# timeout_seconds  of those that claim work no longer than their lease, or two would do it at once
# environment      every variable that it reads; those that are null are not set
# table, due_index what it does with the table's items, and with the index of due work
# bells            the bells it listens to in the table's stream, a batch of so many at once, so many batches of a shard at once
# secrets          which variables say where its secrets are kept
# keys             which keys of run tasks' definitions it fetches: those of requests, or those of other checkers
locals {
  functions = {
    "notification-receiver" = {
      part            = "always"
      description     = "Verifies and records notifications"
      memory_mb       = 256
      timeout_seconds = 15
      environment = {
        WORKSPACE_DEPENDENCIES_TABLE = local.table_name
        TFE_ADDRESS                  = var.tfe_address
        NOTIFICATION_TOKEN           = local.secret.notification_token
        SLUICE_ALLOW_UNSIGNED        = lookup(var.settings, "SLUICE_ALLOW_UNSIGNED", null)
        SLUICE_LOG                   = lookup(var.settings, "SLUICE_LOG", null)
        SLUICE_METRICS               = lookup(var.settings, "SLUICE_METRICS", null)
      }
      table     = ["dynamodb:UpdateItem"]
      due_index = []
      bells     = []
      batch     = {}
      routes    = ["POST /notifications"]
      secrets   = ["notification_token"]
      keys      = []
    }

    "state-indexer" = {
      part            = "always"
      description     = "Reads states, finds out who is stale"
      memory_mb       = 512
      timeout_seconds = 120
      environment = {
        WORKSPACE_DEPENDENCIES_TABLE   = local.table_name
        TFE_ADDRESS                    = var.tfe_address
        API_TOKEN                      = local.secret.api_token
        SLUICE_DIGEST_KEY              = local.secret.digest_key
        SLUICE_AUTONOMY                = lookup(var.settings, "SLUICE_AUTONOMY", null)
        SLUICE_AUTONOMY_RULES          = lookup(var.settings, "SLUICE_AUTONOMY_RULES", null)
        SLUICE_AFTER_FAILURE           = lookup(var.settings, "SLUICE_AFTER_FAILURE", null)
        SLUICE_PERSON_WAIT_SECONDS     = lookup(var.settings, "SLUICE_PERSON_WAIT_SECONDS", null)
        SLUICE_PENDING_WAIT_SECONDS    = lookup(var.settings, "SLUICE_PENDING_WAIT_SECONDS", null)
        SLUICE_SETTLE_SECONDS          = lookup(var.settings, "SLUICE_SETTLE_SECONDS", null)
        SLUICE_DEPTH_MAX               = lookup(var.settings, "SLUICE_DEPTH_MAX", null)
        SLUICE_WAVE_RUNS_MAX           = lookup(var.settings, "SLUICE_WAVE_RUNS_MAX", null)
        SLUICE_RUNS_PER_HOUR           = lookup(var.settings, "SLUICE_RUNS_PER_HOUR", null)
        SLUICE_CONCURRENT_RUNS         = lookup(var.settings, "SLUICE_CONCURRENT_RUNS", null)
        SLUICE_API_REQUESTS_PER_SECOND = lookup(var.settings, "SLUICE_API_REQUESTS_PER_SECOND", null)
        SLUICE_SURVEY_SECONDS          = lookup(var.settings, "SLUICE_SURVEY_SECONDS", null)
        SLUICE_CA_BUNDLE               = lookup(var.settings, "SLUICE_CA_BUNDLE", null)
        SLUICE_LOG                     = lookup(var.settings, "SLUICE_LOG", null)
        SLUICE_METRICS                 = lookup(var.settings, "SLUICE_METRICS", null)
      }
      table = [
        "dynamodb:Query", "dynamodb:BatchGetItem", "dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:DeleteItem",
        "dynamodb:ConditionCheckItem",
      ]
      due_index = []
      bells     = ["index", "bulk"]
      batch     = { size = 16, parallel = 2 }
      routes    = []
      secrets   = ["api_token", "digest_key"]
      keys      = []
    }

    "run-creator" = {
      part            = "always"
      description     = "Creates the runs that were decided on"
      memory_mb       = 256
      timeout_seconds = 60
      environment = {
        WORKSPACE_DEPENDENCIES_TABLE   = local.table_name
        TFE_ADDRESS                    = var.tfe_address
        API_TOKEN                      = local.secret.api_token
        SLUICE_AUTONOMY                = lookup(var.settings, "SLUICE_AUTONOMY", null)
        SLUICE_AUTONOMY_RULES          = lookup(var.settings, "SLUICE_AUTONOMY_RULES", null)
        SLUICE_AFTER_FAILURE           = lookup(var.settings, "SLUICE_AFTER_FAILURE", null)
        SLUICE_PERSON_WAIT_SECONDS     = lookup(var.settings, "SLUICE_PERSON_WAIT_SECONDS", null)
        SLUICE_PENDING_WAIT_SECONDS    = lookup(var.settings, "SLUICE_PENDING_WAIT_SECONDS", null)
        SLUICE_SETTLE_SECONDS          = lookup(var.settings, "SLUICE_SETTLE_SECONDS", null)
        SLUICE_DEPTH_MAX               = lookup(var.settings, "SLUICE_DEPTH_MAX", null)
        SLUICE_WAVE_RUNS_MAX           = lookup(var.settings, "SLUICE_WAVE_RUNS_MAX", null)
        SLUICE_RUNS_PER_HOUR           = lookup(var.settings, "SLUICE_RUNS_PER_HOUR", null)
        SLUICE_CONCURRENT_RUNS         = lookup(var.settings, "SLUICE_CONCURRENT_RUNS", null)
        SLUICE_API_REQUESTS_PER_SECOND = lookup(var.settings, "SLUICE_API_REQUESTS_PER_SECOND", null)
        SLUICE_CA_BUNDLE               = lookup(var.settings, "SLUICE_CA_BUNDLE", null)
        SLUICE_LOG                     = lookup(var.settings, "SLUICE_LOG", null)
        SLUICE_METRICS                 = lookup(var.settings, "SLUICE_METRICS", null)
      }
      table     = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem", "dynamodb:PutItem"]
      due_index = []
      bells     = ["create"]
      batch     = { size = 16, parallel = 1 }
      routes    = []
      secrets   = ["api_token"]
      keys      = []
    }

    "sweeper" = {
      part            = "always"
      description     = "Rings again for work that is due, every minute"
      memory_mb       = 256
      timeout_seconds = 60
      environment = {
        WORKSPACE_DEPENDENCIES_TABLE = local.table_name
        SLUICE_LOG                   = lookup(var.settings, "SLUICE_LOG", null)
        SLUICE_METRICS               = lookup(var.settings, "SLUICE_METRICS", null)
      }
      table     = ["dynamodb:UpdateItem"]
      due_index = ["dynamodb:Query"]
      bells     = []
      batch     = {}
      routes    = []
      secrets   = []
      keys      = []
    }

    "run-task-receiver" = {
      part            = "gate"
      description     = "Verifies and records run tasks, hears other checkers"
      memory_mb       = 256
      timeout_seconds = 29
      environment = {
        WORKSPACE_DEPENDENCIES_TABLE = local.table_name
        TFE_ADDRESS                  = var.tfe_address
        SLUICE_GATE_KEY              = local.secret.gate_key
        SLUICE_CA_BUNDLE             = lookup(var.settings, "SLUICE_CA_BUNDLE", null)
        SLUICE_LOG                   = lookup(var.settings, "SLUICE_LOG", null)
        SLUICE_METRICS               = lookup(var.settings, "SLUICE_METRICS", null)
      }
      table = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      routes = [
        "POST /run-tasks/{task}", "PATCH /task-results/{id}/callback", "GET /task-results/{id}/plan",
        "GET /task-results/{id}/configuration",
      ]
      due_index = []
      bells     = []
      batch     = {}
      secrets   = ["gate_key"]
      keys      = ["requests"]
    }

    "task-runner" = {
      part            = "gate"
      description     = "Carries out the checks of run tasks"
      memory_mb       = 2048
      timeout_seconds = 120
      environment = {
        WORKSPACE_DEPENDENCIES_TABLE = local.table_name
        TFE_ADDRESS                  = var.tfe_address
        SLUICE_GATE_KEY              = local.secret.gate_key
        SLUICE_PUBLIC_URL            = local.public_url
        SLUICE_CHECKER_HOSTS         = lookup(var.settings, "SLUICE_CHECKER_HOSTS", null)
        SLUICE_PLAN_BYTES_MAX        = lookup(var.settings, "SLUICE_PLAN_BYTES_MAX", null)
        SLUICE_AUTONOMY              = lookup(var.settings, "SLUICE_AUTONOMY", null)
        SLUICE_AUTONOMY_RULES        = lookup(var.settings, "SLUICE_AUTONOMY_RULES", null)
        SLUICE_AFTER_FAILURE         = lookup(var.settings, "SLUICE_AFTER_FAILURE", null)
        SLUICE_PERSON_WAIT_SECONDS   = lookup(var.settings, "SLUICE_PERSON_WAIT_SECONDS", null)
        SLUICE_PENDING_WAIT_SECONDS  = lookup(var.settings, "SLUICE_PENDING_WAIT_SECONDS", null)
        SLUICE_SETTLE_SECONDS        = lookup(var.settings, "SLUICE_SETTLE_SECONDS", null)
        SLUICE_DEPTH_MAX             = lookup(var.settings, "SLUICE_DEPTH_MAX", null)
        SLUICE_WAVE_RUNS_MAX         = lookup(var.settings, "SLUICE_WAVE_RUNS_MAX", null)
        SLUICE_RUNS_PER_HOUR         = lookup(var.settings, "SLUICE_RUNS_PER_HOUR", null)
        SLUICE_CONCURRENT_RUNS       = lookup(var.settings, "SLUICE_CONCURRENT_RUNS", null)
        SLUICE_CA_BUNDLE             = lookup(var.settings, "SLUICE_CA_BUNDLE", null)
        SLUICE_LOG                   = lookup(var.settings, "SLUICE_LOG", null)
        SLUICE_METRICS               = lookup(var.settings, "SLUICE_METRICS", null)
      }
      table     = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"]
      due_index = []
      bells     = ["check"]
      batch     = { size = 8, parallel = 10 }
      routes    = []
      secrets   = ["gate_key"]
      keys      = ["checkers"]
    }

    "run-task-relay" = {
      part            = "gate"
      description     = "Tells HCP Terraform how run tasks stand and end"
      memory_mb       = 256
      timeout_seconds = 60
      environment = {
        WORKSPACE_DEPENDENCIES_TABLE = local.table_name
        TFE_ADDRESS                  = var.tfe_address
        SLUICE_GATE_KEY              = local.secret.gate_key
        SLUICE_CA_BUNDLE             = lookup(var.settings, "SLUICE_CA_BUNDLE", null)
        SLUICE_LOG                   = lookup(var.settings, "SLUICE_LOG", null)
        SLUICE_METRICS               = lookup(var.settings, "SLUICE_METRICS", null)
      }
      table     = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
      due_index = []
      bells     = ["relay"]
      batch     = { size = 16, parallel = 4 }
      routes    = []
      secrets   = ["gate_key"]
      keys      = []
    }

    "context-api" = {
      part            = "gate"
      description     = "The JSON context of runs"
      memory_mb       = 512
      timeout_seconds = 29
      environment = {
        WORKSPACE_DEPENDENCIES_TABLE = local.table_name
        SLUICE_GATE_KEY              = local.secret.gate_key
        SLUICE_OPERATOR_TOKEN        = local.secret.operator_token
        SLUICE_LOG                   = lookup(var.settings, "SLUICE_LOG", null)
        SLUICE_METRICS               = lookup(var.settings, "SLUICE_METRICS", null)
      }
      table     = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"]
      due_index = []
      bells     = []
      batch     = {}
      routes = [
        "GET /context/v1/{runId}", "HEAD /context/v1/{runId}", "POST /context/v1/{runId}", "PATCH /context/v1/{runId}",
      ]
      secrets = ["gate_key", "operator_token"]
      keys    = []
    }

    "job-runner" = {
      part            = "jobs"
      description     = "Carries out programs as jobs in a Kubernetes cluster"
      memory_mb       = 512
      timeout_seconds = 120
      environment = {
        WORKSPACE_DEPENDENCIES_TABLE = local.table_name
        SLUICE_GATE_KEY              = local.secret.gate_key
        SLUICE_PUBLIC_URL            = local.public_url
        SLUICE_JOB_NAMESPACE         = try(var.jobs.namespace, null)
        SLUICE_JOB_SETTINGS          = try(length(var.jobs.settings) > 0 ? jsonencode(var.jobs.settings) : null, null)
        SLUICE_EKS_CLUSTER           = try(var.jobs.eks_cluster, null)
        SLUICE_KUBERNETES_URL        = try(var.jobs.kubernetes_url, null)
        SLUICE_KUBERNETES_CA         = try(var.jobs.kubernetes_ca, null)
        SLUICE_TASK_SSH_HOST         = lookup(var.settings, "SLUICE_TASK_SSH_HOST", null)
        SLUICE_TASK_SSH_PORT         = lookup(var.settings, "SLUICE_TASK_SSH_PORT", null)
        SLUICE_LOG                   = lookup(var.settings, "SLUICE_LOG", null)
        SLUICE_METRICS               = lookup(var.settings, "SLUICE_METRICS", null)
      }
      table = [
        "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem",
      ]
      due_index = []
      bells     = ["job"]
      batch     = { size = 64, parallel = 10 }
      routes    = []
      secrets   = ["gate_key"]
      keys      = []
    }
  }

  # Those that this installation has.
  parts   = { always = true, gate = var.gate, jobs = var.jobs != null }
  enabled = { for name, function in local.functions : name => function if local.parts[function.part] }
}
