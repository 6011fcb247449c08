variable "gate" {
  description = "Whether run tasks are answered: makes run-task-receiver, task-runner, run-task-relay and context-api."
  type        = bool
  default     = true
}

variable "jobs" {
  description = "Where checks of the kind job run: makes job-runner. The cluster's name, API server endpoint and certificate authority (base64) are those of EKS. Without subnets job-runner is where the other functions are. A null is no job-runner."
  type = object({
    eks_cluster        = string
    kubernetes_url     = string
    kubernetes_ca      = string
    subnet_ids         = optional(list(string))
    security_group_ids = optional(list(string))
    namespace          = optional(string, "sluice")
    settings           = optional(map(string), {})
  })
  default = null

  validation {
    condition     = var.jobs == null || can(regex("^https://", var.jobs.kubernetes_url))
    error_message = "jobs.kubernetes_url has to be https://host, the cluster's API server endpoint."
  }

  validation {
    condition     = var.jobs == null || can(base64decode(var.jobs.kubernetes_ca))
    error_message = "jobs.kubernetes_ca has to be in base64, as EKS gives it."
  }

  validation {
    condition     = var.jobs == null || try(can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.jobs.namespace)), false)
    error_message = "jobs.namespace is no name of a namespace."
  }

  validation {
    condition     = var.jobs == null || try((length(coalesce(var.jobs.subnet_ids, [])) == 0) == (length(coalesce(var.jobs.security_group_ids, [])) == 0), false)
    error_message = "jobs has subnet_ids and security_group_ids, or neither."
  }
}

variable "tasks" {
  description = "Run tasks by name, with the fields of docs/run-tasks.md but the name. Each is stored in the table, and deleted from it when it is taken out. Keys only by where they are kept."
  type        = any
  default     = {}

  validation {
    condition     = can(keys(var.tasks)) && try(alltrue([for name in keys(var.tasks) : can(regex("^[A-Za-z0-9._-]{1,200}$", name))]), false)
    error_message = "tasks are by name: letters, digits, hyphens, underscores and dots."
  }

  validation {
    condition = try(alltrue(flatten([for task in values(var.tasks) : [
      for field in keys(task) : contains(["enabled", "description", "hmac_keys", "stages", "organizations", "workspaces", "timeout_seconds", "on_error", "checks"], field)
    ]])), false)
    error_message = "A task has a field that a definition does not have. See docs/run-tasks.md; its name is its key here."
  }

  validation {
    condition = try(alltrue(flatten([for task in values(var.tasks) : concat([length(task.hmac_keys) > 0], [
      for key in concat(task.hmac_keys, [for check in task.checks : check.hmac_key if try(check.hmac_key, null) != null]) :
      can(regex("^(ssm:(arn:[a-z-]+:ssm:[a-z0-9-]+:[0-9]{12}:parameter)?/?[A-Za-z0-9_.-][A-Za-z0-9_./-]*|secretsmanager:(arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}|[A-Za-z0-9/_+=.@-]+))$", key))
    ])])), false)
    error_message = "Each task has hmac_keys, and these and the hmac_key of a check are kept elsewhere: ssm:/path, or secretsmanager:name or whole ARN."
  }

  validation {
    condition = try(alltrue(flatten([for task in values(var.tasks) : concat([length(task.stages) > 0], [
      for stage in task.stages : contains(["pre_plan", "post_plan", "pre_apply", "post_apply"], stage)
    ])])), false)
    error_message = "Each task has stages, out of pre_plan, post_plan, pre_apply and post_apply."
  }

  validation {
    condition = try(alltrue(flatten([for task in values(var.tasks) : concat(
      [length(task.checks) >= 1, length(task.checks) <= 20, length(distinct([for check in task.checks : check.name])) == length(task.checks)],
      [for check in task.checks : contains(["upstream", "preview", "consumers", "rego", "http", "job"], check.kind)],
      [for check in task.checks : try(check.policy, null) != null if check.kind == "rego"],
      [for check in task.checks : try(check.url, null) != null if check.kind == "http"],
      [for check in task.checks : try(check.job, null) != null if check.kind == "job"],
    )])), false)
    error_message = "Each task has 1 to 20 checks with names of their own, of the kinds upstream, preview, consumers, rego (with policy), http (with url) and job (with job)."
  }

  validation {
    condition = try(alltrue([for task in values(var.tasks) :
      try(task.timeout_seconds, null) == null ? true : task.timeout_seconds >= 1 && task.timeout_seconds <= 3180
    ]), false)
    error_message = "A task's timeout_seconds is from 1 to 3180."
  }
}

variable "policies" {
  description = "Rego policies by name: their modules' sources by path, and data as JSON. Each is stored in the table."
  type = map(object({
    modules = map(string)
    data    = optional(string, "{}")
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.policies) : can(regex("^[A-Za-z0-9._-]{1,200}$", name))])
    error_message = "policies are by name: letters, digits, hyphens, underscores and dots."
  }

  validation {
    condition     = alltrue([for policy in values(var.policies) : length(policy.modules) > 0 && alltrue([for path in keys(policy.modules) : endswith(path, ".rego")])])
    error_message = "Each policy has modules, whose paths end in .rego."
  }

  validation {
    condition     = alltrue([for policy in values(var.policies) : can(keys(jsondecode(policy.data)))])
    error_message = "The data of a policy is the text of a JSON object."
  }

  validation {
    condition     = alltrue([for policy in values(var.policies) : length(jsonencode(policy)) <= 380000])
    error_message = "A policy is larger than the table holds, 380,000 bytes."
  }
}

variable "task_keys" {
  description = "Where keys of run tasks are kept that were stored otherwise than through tasks, as by sluice tasks: run-task-receiver and task-runner may read these, too."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for key in var.task_keys : can(regex("^(ssm:(arn:[a-z-]+:ssm:[a-z0-9-]+:[0-9]{12}:parameter)?/?[A-Za-z0-9_.-][A-Za-z0-9_./-]*|secretsmanager:(arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}|[A-Za-z0-9/_+=.@-]+))$", key))])
    error_message = "task_keys says where keys are kept: ssm:/path, or secretsmanager:name or whole ARN."
  }
}
