mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages           = { bucket = "packages" }
  api_token          = "ssm:/sluice/api-token"
  notification_token = "ssm:/sluice/notification-token"
  digest_key         = "ssm:/sluice/digest-key"
  gate_key           = "ssm:/sluice/gate-key"
}

# Each of the variables of a run has to be refused.

run "refused" {
  command = plan

  variables {
    # A name with capitals.
    name = "Sluice"
    # Another architecture.
    architecture = "arm"
    # Packages nowhere.
    packages = {}
    # An instance without tls.
    tfe_address = "http://tfe.example.com"
    # A public url with a path.
    public_url = "https://sluice.example.com/v1"
    # A setting that nobody reads.
    settings = { SLUICE_AUTONOMIE = "plan" }
    # Concurrency of nobody.
    reserved_concurrency = { console = 2 }
    # An alias of a key.
    table_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/table"
    # Aliases of keys.
    secrets_kms_key_arns = ["alias/aws/ssm"]
    # A table of two letters.
    table_name = "ab"
    # A network without subnets.
    vpc = { subnet_ids = [], security_group_ids = ["sg-1"] }
    # Logs for eight days.
    log_retention_days = 8
    # A limit of nothing.
    throttling = { default = { rate = 0, burst = 1 } }
    # An alarm for a queue.
    alarms = { topic_arns = ["arn:aws:sqs:eu-central-1:111122223333:queue"] }
    # A cluster without tls.
    jobs = { eks_cluster = "jobs", kubernetes_url = "http://k8s.example.com", kubernetes_ca = "YQ==" }
    # A task key as it is.
    task_keys = ["hunter2"]
  }

  expect_failures = [var.name, var.architecture, var.packages, var.tfe_address, var.public_url, var.settings, var.reserved_concurrency, var.table_kms_key_arn, var.secrets_kms_key_arns, var.table_name, var.vpc, var.log_retention_days, var.throttling, var.alarms, var.jobs, var.task_keys]
}

run "refused_again" {
  command = plan

  variables {
    # Packages in two places.
    packages = { bucket = "packages", directory = "packages" }
    # An instance with a path.
    tfe_address = "https://tfe.example.com/app"
    # A secret among settings.
    settings = { API_TOKEN = "hunter2" }
    # No concurrency at all.
    reserved_concurrency = { sweeper = 0 }
    # A limit of no route.
    throttling = { "GET /notifications" = { rate = 1, burst = 1 } }
    # A certificate in pem.
    jobs = { eks_cluster = "jobs", kubernetes_url = "https://k8s.example.com", kubernetes_ca = "-----BEGIN CERTIFICATE-----" }
  }

  expect_failures = [var.packages, var.tfe_address, var.settings, var.reserved_concurrency, var.throttling, var.jobs]
}

run "refused_once_more" {
  command = plan

  variables {
    # Packages below a prefix of a directory.
    packages = { directory = "packages", prefix = "1.0.0/" }
    # An instance with a user.
    tfe_address = "https://me@tfe.example.com"
    # An autonomy that is none.
    settings = { SLUICE_AUTONOMY = "sometimes" }
    # A namespace with capitals.
    jobs = { eks_cluster = "jobs", kubernetes_url = "https://k8s.example.com", kubernetes_ca = "YQ==", namespace = "Jobs" }
  }

  expect_failures = [var.packages, var.tfe_address, var.settings, var.jobs]
}

run "refused_at_last" {
  command = plan

  variables {
    # A level that is none.
    settings = { SLUICE_LOG = "loud" }
    # Subnets without groups.
    jobs = { eks_cluster = "jobs", kubernetes_url = "https://k8s.example.com", kubernetes_ca = "YQ==", subnet_ids = ["subnet-1"] }
  }

  expect_failures = [var.settings, var.jobs]
}
