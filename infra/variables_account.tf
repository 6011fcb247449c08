variable "table_name" {
  description = "The table's name. By default that of the installation."
  type        = string
  default     = null

  validation {
    condition     = var.table_name == null || can(regex("^[A-Za-z0-9_.-]{3,255}$", var.table_name))
    error_message = "table_name has to have 3 to 255 letters, digits, underscores, dots and hyphens."
  }
}

variable "table_kms_key_arn" {
  description = "The ARN of your own KMS key for the table. By default it is encrypted with DynamoDB's own."
  type        = string
  default     = null

  validation {
    condition     = var.table_kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.table_kms_key_arn))
    error_message = "table_kms_key_arn has to be the ARN of a key, arn:aws:kms:region:account:key/id."
  }
}

variable "deletion_protection" {
  description = "Whether the table cannot be deleted until this is set to false."
  type        = bool
  default     = true
}

variable "vpc" {
  description = "The network that the functions are in, where HCP Terraform or the cluster is reached only from there. It needs a way to DynamoDB, and to SSM or Secrets Manager for the secrets. By default they are in none."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null

  validation {
    condition     = var.vpc == null || try(length(var.vpc.subnet_ids) > 0 && length(var.vpc.security_group_ids) > 0, false)
    error_message = "vpc has at least one of subnet_ids and one of security_group_ids."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one of the numbers that CloudWatch Logs takes: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "logs_kms_key_arn" {
  description = "The ARN of your own KMS key for the logs; its policy has to let CloudWatch Logs use it. By default they are encrypted with AWS's own."
  type        = string
  default     = null
}

variable "throttling" {
  description = "How many requests a second the API takes of everybody together, and in a burst, by route (\"POST /notifications\"); \"default\" is for those not named. What comes over is answered with 429: a run task is asked again, and the run of a notification is found by the survey."
  type = map(object({
    rate  = number
    burst = number
  }))
  default = {}

  validation {
    condition     = alltrue([for limit in values(var.throttling) : limit.rate > 0 && limit.burst > 0])
    error_message = "throttling has rates and bursts above zero."
  }

  validation {
    condition = alltrue([for route in keys(var.throttling) : contains([
      "default", "POST /notifications", "POST /run-tasks/{task}", "PATCH /task-results/{id}/callback",
      "GET /task-results/{id}/plan", "GET /task-results/{id}/configuration", "GET /context/v1/{runId}",
      "HEAD /context/v1/{runId}", "POST /context/v1/{runId}", "PATCH /context/v1/{runId}",
    ], route)])
    error_message = "throttling names a route that the API does not have."
  }
}

variable "alarms" {
  description = "The alarms, unless null. topic_arns are SNS topics that hear of them, and of their end."
  type = object({
    topic_arns         = optional(list(string), [])
    oldest_due_seconds = optional(number, 900)
    iterator_age_ms    = optional(number, 60000)
  })
  default = {}

  validation {
    condition     = var.alarms == null || try(alltrue([for arn in var.alarms.topic_arns : can(regex("^arn:[a-z-]+:sns:", arn))]), false)
    error_message = "alarms.topic_arns has ARNs of SNS topics."
  }
}

variable "dashboard" {
  description = "Whether there is a CloudWatch dashboard."
  type        = bool
  default     = true
}
