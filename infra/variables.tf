variable "name" {
  description = "What everything is called: functions and roles are \"<name>-<function>\". Roles belong to the account, so two installations in one account need two names, in whatever regions they are."
  type        = string
  default     = "sluice"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name))
    error_message = "name has to have 3 to 30 lower case letters, digits and hyphens, and to begin with a letter."
  }
}

variable "architecture" {
  description = "What the packages were built for: arm64 or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}

variable "packages" {
  description = "Where the functions' zips are, <function>.zip each: in a directory on this machine, or in an S3 bucket of this region, below a prefix. Terraform does not look into the bucket, so give each version a prefix of its own."
  type = object({
    directory = optional(string)
    bucket    = optional(string)
    prefix    = optional(string, "")
  })

  validation {
    condition     = (var.packages.directory == null) != (var.packages.bucket == null)
    error_message = "packages has either a directory or a bucket."
  }

  validation {
    condition     = var.packages.bucket != null || var.packages.prefix == ""
    error_message = "packages.prefix means nothing to a directory."
  }
}

variable "tfe_address" {
  description = "The instance that Sluice stands beside: https://host, without a path."
  type        = string
  default     = "https://app.terraform.io"

  validation {
    condition     = can(regex("^(https://[A-Za-z0-9.-]+|http://(127[.]0[.]0[.]1|localhost))(:[0-9]{1,5})?/?$", var.tfe_address))
    error_message = "tfe_address has to be https://host, without a path or a user; http only for this very machine."
  }
}

variable "public_url" {
  description = "Where other checkers and jobs reach Sluice, https://host, if the API has a domain name of its own. By default the API's own endpoint."
  type        = string
  default     = null

  validation {
    condition     = var.public_url == null || can(regex("^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?$", var.public_url))
    error_message = "public_url has to be https://host, without a path."
  }
}

variable "settings" {
  description = "Further settings by the names of docs/configuration.md, as SLUICE_AUTONOMY = \"plan\"; each reaches the functions that read it. Secrets, the table, and what other variables say have no place here."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([for name in keys(var.settings) : contains([
      "SLUICE_AFTER_FAILURE",
      "SLUICE_ALLOW_UNSIGNED",
      "SLUICE_API_REQUESTS_PER_SECOND",
      "SLUICE_AUTONOMY",
      "SLUICE_AUTONOMY_RULES",
      "SLUICE_CA_BUNDLE",
      "SLUICE_CHECKER_HOSTS",
      "SLUICE_CONCURRENT_RUNS",
      "SLUICE_DEPTH_MAX",
      "SLUICE_LOG",
      "SLUICE_METRICS",
      "SLUICE_PENDING_WAIT_SECONDS",
      "SLUICE_PERSON_WAIT_SECONDS",
      "SLUICE_PLAN_BYTES_MAX",
      "SLUICE_RUNS_PER_HOUR",
      "SLUICE_SETTLE_SECONDS",
      "SLUICE_SURVEY_SECONDS",
      "SLUICE_TASK_SSH_HOST",
      "SLUICE_TASK_SSH_PORT",
      "SLUICE_WAVE_RUNS_MAX",
    ], name)])
    error_message = "settings has a name that no function reads, or that another variable sets. See docs/configuration.md."
  }

  validation {
    condition     = contains(["run", "plan", "observe"], lookup(var.settings, "SLUICE_AUTONOMY", "run"))
    error_message = "settings.SLUICE_AUTONOMY is run, plan or observe."
  }

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], lookup(var.settings, "SLUICE_LOG", "info"))
    error_message = "settings.SLUICE_LOG is error, warn, info, debug or trace."
  }
}

variable "layers" {
  description = "ARNs of layers that every function gets, for a file that a setting names: /opt/ca.pem of SLUICE_CA_BUNDLE."
  type        = list(string)
  default     = []
}

variable "tracing" {
  description = "Whether X-Ray samples the functions' invocations. It sees how long they take, and nothing of what they do."
  type        = bool
  default     = false
}

variable "reserved_concurrency" {
  description = "How many invocations of a function may run at once, by function. That of run-creator is the rate at which runs come about: two, with eight runs each. An account keeps 100 invocations unreserved, so one with the smallest quota cannot reserve any: set run-creator = -1 there, which is no limit. What is not named keeps its default."
  type        = map(number)
  default     = {}

  validation {
    condition = alltrue([for name, most in var.reserved_concurrency : contains([
      "context-api", "job-runner", "notification-receiver", "run-creator", "run-task-receiver", "run-task-relay",
      "state-indexer", "sweeper", "task-runner",
    ], name) && (most >= 1 || most == -1) && floor(most) == most])
    error_message = "reserved_concurrency has whole numbers from 1 on, or -1 for no limit, by the names of functions."
  }
}

variable "permissions_boundary" {
  description = "The ARN of a policy that bounds what the roles may do, where the account asks for one."
  type        = string
  default     = null
}
