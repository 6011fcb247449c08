# Waves of runs and no run tasks. The secrets are put into Systems Manager by hand: docs/deploying.md.
terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "The region that Sluice is in."
  type        = string
}

variable "packages" {
  description = "The directory with the functions' zips."
  type        = string
  default     = "../../../target/packages/arm64"
}

module "sluice" {
  source = "../.."

  packages           = { directory = var.packages }
  api_token          = "ssm:/sluice/api-token"
  notification_token = "ssm:/sluice/notification-token"
  digest_key         = "ssm:/sluice/digest-key"
  gate               = false
}

output "notifications_url" {
  description = "The URL of notification configurations."
  value       = module.sluice.notifications_url
}

output "table_name" {
  description = "WORKSPACE_DEPENDENCIES_TABLE of the sluice command."
  value       = module.sluice.table_name
}

output "url" {
  description = "Where Sluice is reached."
  value       = module.sluice.url
}
