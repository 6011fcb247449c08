locals {
  secrets_given = {
    api_token          = var.api_token
    notification_token = var.notification_token
    digest_key         = var.digest_key
    gate_key           = var.gate_key
    operator_token     = var.operator_token
  }

  # Where a secret is kept is no secret. Of one that is given as it is, no part is shown.
  references_given = {
    for name, value in local.secrets_given : name => nonsensitive(
      value == null ? [] : [for part in split(",", replace(value, "\n", ",")) : can(regex("^\\s*(ssm|secretsmanager):", part)) ? trimspace(part) : "" if trimspace(part) != ""]
    )
  }
  in_state = [for name, references in local.references_given : name if contains(references, "")]
  secret   = { for name, value in local.secrets_given : name => contains(local.in_state, name) ? value : try(nonsensitive(value), null) }

  # The keys that run tasks' definitions name: those that requests are signed with, and those of other checkers.
  keys = {
    requests = concat(var.task_keys, flatten([for task in values(var.tasks) : task.hmac_keys]))
    checkers = concat(var.task_keys, flatten([for task in values(var.tasks) : [
      for check in task.checks : check.hmac_key if try(check.hmac_key, null) != null
    ]]))
  }

  # What each function fetches, as ARNs.
  references = {
    for name, function in local.enabled : name => distinct(concat(
      flatten([for secret in function.secrets : compact(local.references_given[secret])]),
      flatten([for key in function.keys : local.keys[key]]),
    ))
  }
  parameters = {
    for name, references in local.references : name => [
      for place in [for reference in references : trimprefix(reference, "ssm:") if startswith(reference, "ssm:")] :
      startswith(place, "arn:") ? place : "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/${trimprefix(place, "/")}"
    ]
  }
  # Secrets Manager ends each ARN with six characters of its own choice, which a name does not tell.
  secrets = {
    for name, references in local.references : name => [
      for place in [for reference in references : trimprefix(reference, "secretsmanager:") if startswith(reference, "secretsmanager:")] :
      startswith(place, "arn:") ? place : "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${place}-??????"
    ]
  }

  reference = "^(ssm:(arn:[a-z-]+:ssm:[a-z0-9-]+:[0-9]{12}:parameter)?/?[A-Za-z0-9_.-][A-Za-z0-9_./-]*|secretsmanager:(arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}|[A-Za-z0-9/_+=.@-]+))$"
}

# What no variable can tell of itself.
resource "terraform_data" "inputs" {
  lifecycle {
    precondition {
      condition     = var.allow_secrets_in_state || length(local.in_state) == 0
      error_message = "${join(", ", local.in_state)}: say where the secret is kept (ssm:/path, or secretsmanager:name or ARN), or set allow_secrets_in_state to have it in the state for everybody who may read that."
    }

    precondition {
      condition     = alltrue([for reference in compact(flatten(values(local.references_given))) : can(regex(local.reference, reference))])
      error_message = "A secret is kept nowhere that can be read: ssm:/path or the ARN of a parameter, secretsmanager:name or the whole ARN of a secret, with the six characters at its end."
    }

    precondition {
      condition     = !var.gate || length(local.references_given["gate_key"]) > 0
      error_message = "The gate needs gate_key. Without run tasks, set gate to false."
    }

    precondition {
      condition     = var.gate || var.jobs == null
      error_message = "jobs are checks of run tasks, which need the gate."
    }

    precondition {
      condition = alltrue([for name in distinct(flatten([for task in values(var.tasks) : [
        for check in task.checks : check.kind if check.kind == "job"
      ]])) : var.jobs != null])
      error_message = "A task has a check of the kind job, which nobody carries out without jobs."
    }
  }
}
