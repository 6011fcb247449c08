variable "api_token" {
  description = "A team or user token of HCP Terraform, by where it is kept: ssm:/path, or secretsmanager:name or ARN."
  type        = string
  sensitive   = true
}

variable "notification_token" {
  description = "The token of the notification configurations, by where it is kept; several, separated by commas, while one replaces another."
  type        = string
  sensitive   = true
}

variable "digest_key" {
  description = "The key of output digests, by where it is kept. Another key makes every reader look stale once."
  type        = string
  sensitive   = true
}

variable "gate_key" {
  description = "What access tokens of run tasks are sealed with, by where it is kept; several, separated by commas, while the first replaces the others. Needed with the gate."
  type        = string
  default     = null
  sensitive   = true
}

variable "operator_token" {
  description = "Tokens of people who may read and write the context of any run, by where they are kept, separated by commas. None by default."
  type        = string
  default     = null
  sensitive   = true
}

variable "allow_secrets_in_state" {
  description = "Takes secrets as they are instead of by where they are kept. They are then in Terraform's state, in its plans and in the functions' environment, for whoever may read one of these."
  type        = bool
  default     = false
}

variable "secrets_kms_key_arns" {
  description = "ARNs of your own KMS keys that the secrets are encrypted with. AWS's own keys need no mention."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.secrets_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "secrets_kms_key_arns has ARNs of keys, arn:aws:kms:region:account:key/id. Aliases do not do: a policy needs the key."
  }
}

variable "secrets_version" {
  description = "Any text; another one starts all functions anew, so that they read secrets that were changed where they are kept. It is shown in the functions' descriptions."
  type        = string
  default     = null

  validation {
    condition     = var.secrets_version == null || can(regex("^[A-Za-z0-9._-]{1,40}$", var.secrets_version))
    error_message = "secrets_version has up to 40 letters, digits, dots, hyphens and underscores."
  }
}
