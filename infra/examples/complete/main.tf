# The gate, jobs in an EKS cluster, keys of one's own, alarms. hcp.tf connects workspaces.
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

  default_tags {
    tags = { Application = "sluice" }
  }
}

data "aws_eks_cluster" "jobs" {
  name = var.cluster
}

module "sluice" {
  source = "../.."

  packages = { bucket = var.packages_bucket, prefix = "sluice/${var.release}/" }
  settings = { SLUICE_AUTONOMY_RULES = "*/prod-*=plan", SLUICE_RUNS_PER_HOUR = "200" }

  api_token          = "ssm:/sluice/api-token"
  notification_token = "ssm:/sluice/notification-token"
  digest_key         = "ssm:/sluice/digest-key"
  gate_key           = "ssm:/sluice/gate-key"
  operator_token     = "ssm:/sluice/operator-token"

  table_kms_key_arn    = var.kms_key_arn
  secrets_kms_key_arns = [var.kms_key_arn]
  log_retention_days   = 365
  alarms               = { topic_arns = [aws_sns_topic.alarms.arn] }

  jobs = {
    eks_cluster        = data.aws_eks_cluster.jobs.name
    kubernetes_url     = data.aws_eks_cluster.jobs.endpoint
    kubernetes_ca      = data.aws_eks_cluster.jobs.certificate_authority[0].data
    subnet_ids         = var.subnet_ids
    security_group_ids = var.security_group_ids
    settings           = { EPHEMERAL_MEMORY_LIMIT = "1Gi" }
  }

  tasks = {
    guard = {
      hmac_keys     = ["ssm:/sluice/tasks/guard"]
      stages        = ["post_plan"]
      organizations = [var.organization]
      checks = [
        { name = "preview", kind = "preview" },
        { name = "upstream", kind = "upstream", unsettled = "wait", timeout_seconds = 300 },
        { name = "rules", kind = "rego", policy = "rules" },
        { name = "scan", kind = "job", enforcement = "advisory", job = { image = "registry.example.com/scan:3" } },
      ]
    }
  }

  policies = {
    rules = {
      modules = { for module in fileset("${path.module}/policies/rules", "**/*.rego") : module => file("${path.module}/policies/rules/${module}") }
    }
  }
}

# Who job-runner is in the cluster: a group, which the Role of docs/jobs.md is bound to.
resource "aws_eks_access_entry" "job_runner" {
  cluster_name      = data.aws_eks_cluster.jobs.name
  principal_arn     = module.sluice.roles["job-runner"]
  kubernetes_groups = ["sluice"]
}

resource "aws_sns_topic" "alarms" {
  name              = "sluice-alarms"
  kms_master_key_id = var.kms_key_arn
}
