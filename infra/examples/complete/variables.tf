variable "region" {
  description = "The region that Sluice is in."
  type        = string
}

variable "packages_bucket" {
  description = "The bucket with the functions' zips, below sluice/<release>/."
  type        = string
}

variable "release" {
  description = "Which packages are deployed."
  type        = string
}

variable "kms_key_arn" {
  description = "The key of the table, the secrets and the alarms' topic. Its policy has to let CloudWatch use it for the topic."
  type        = string
}

variable "cluster" {
  description = "The EKS cluster where jobs run."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets from which the cluster, DynamoDB and Systems Manager are reached."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of job-runner."
  type        = list(string)
}

variable "organization" {
  description = "The organization of HCP Terraform."
  type        = string
}

variable "tag" {
  description = "Workspaces with this tag are connected."
  type        = string
  default     = "sluice"
}

variable "project" {
  description = "Workspaces of this project ask the run task guard."
  type        = string
  default     = "Production"
}
