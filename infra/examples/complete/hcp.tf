# Notifications of the workspaces with a tag, and the run task of those in a project. `sluice connect` does the same for
# those who would rather not have the token and the key in a state, where this provider keeps them.
terraform {
  required_providers {
    tfe = {
      source  = "hashicorp/tfe"
      version = ">= 0.60, < 1"
    }
  }
}

provider "tfe" {
  organization = var.organization
}

data "aws_ssm_parameter" "notification_token" {
  name = "/sluice/notification-token"
}

data "aws_ssm_parameter" "guard" {
  name = "/sluice/tasks/guard"
}

data "tfe_workspace_ids" "tagged" {
  organization = var.organization
  tag_names    = [var.tag]
}

data "tfe_project" "guarded" {
  organization = var.organization
  name         = var.project
}

resource "tfe_notification_configuration" "sluice" {
  for_each = data.tfe_workspace_ids.tagged.ids

  name             = "sluice"
  enabled          = true
  destination_type = "generic"
  url              = module.sluice.notifications_url
  # The first of several is the one in use, while another is replaced.
  token        = trimspace(split(",", data.aws_ssm_parameter.notification_token.value)[0])
  triggers     = ["run:applying", "run:completed", "run:errored", "run:needs_attention", "run:planning"]
  workspace_id = each.value
}

resource "tfe_organization_run_task" "guard" {
  organization = var.organization
  name         = "sluice-guard"
  description  = "What this plan sets off, and whether it may"
  url          = module.sluice.run_task_urls["guard"]
  hmac_key     = trimspace(split(",", data.aws_ssm_parameter.guard.value)[0])
  enabled      = true
}

resource "tfe_workspace_run_task" "guard" {
  for_each = toset(data.tfe_project.guarded.workspace_ids)

  workspace_id      = each.value
  task_id           = tfe_organization_run_task.guard.id
  enforcement_level = "mandatory"
  stages            = ["post_plan"]
}
