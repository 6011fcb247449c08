locals {
  reserved_concurrency = merge({ run-creator = 2 }, var.reserved_concurrency)

  # Null for a function that is in no network.
  networks = {
    for name, function in local.enabled : name => (
      name == "job-runner" && try(length(var.jobs.subnet_ids) > 0, false)
      ? { subnet_ids = var.jobs.subnet_ids, security_group_ids = var.jobs.security_group_ids }
      : var.vpc
    )
  }

  environments = {
    for name, function in local.enabled : name => {
      for variable, value in function.environment : variable => value if nonsensitive(sensitive(value) != null)
    }
  }

  # Lambda takes lines that say no level, as those with metrics, for INFO: it must never leave out these.
  log_level = contains(["debug", "trace"], lookup(var.settings, "SLUICE_LOG", "info")) ? upper(var.settings["SLUICE_LOG"]) : "INFO"
}

resource "aws_lambda_function" "this" {
  for_each = local.enabled

  function_name                  = "${var.name}-${each.key}"
  description                    = join("", concat(["Sluice: ${each.value.description}"], [for version in var.secrets_version[*] : " (secrets ${version})"]))
  role                           = aws_iam_role.function[each.key].arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = each.value.memory_mb
  timeout                        = each.value.timeout_seconds
  reserved_concurrent_executions = lookup(local.reserved_concurrency, each.key, -1)
  layers                         = var.layers

  filename         = var.packages.directory == null ? null : "${var.packages.directory}/${each.key}.zip"
  source_code_hash = var.packages.directory == null ? null : filebase64sha256("${var.packages.directory}/${each.key}.zip")
  s3_bucket        = var.packages.bucket
  s3_key           = var.packages.bucket == null ? null : "${var.packages.prefix}${each.key}.zip"

  environment {
    variables = local.environments[each.key]
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    log_format            = "JSON"
    application_log_level = local.log_level
    system_log_level      = "INFO"
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = local.networks[each.key][*]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  # It fetches its secrets when it starts, and Lambda makes its network interfaces before that.
  depends_on = [aws_iam_role_policy.function, terraform_data.inputs]
}
