# Each description says what to do; docs/operating.md has more, under the heading that it names.
locals {
  alarming = { for name, function in local.enabled : name => function if var.alarms != null }
  topics   = try(var.alarms.topic_arns, [])

  # About the installation as a whole, by name.
  alarms = { for name, alarm in {
    "oldest-due-work" = {
      part        = "always"
      description = "Work has been due for long and nobody took it up: a function is throttled, does not start, or has more than it can do. See the errors and throttles of the functions."
      namespace   = "Sluice"
      metric      = "OldestDueWorkSeconds"
      dimensions  = { Installation = local.table_name }
      statistic   = "Maximum"
      threshold   = try(var.alarms.oldest_due_seconds, 0)
      minutes     = 5
      of          = 5
      missing     = "notBreaching"
    }
    "work-failing" = {
      part        = "always"
      description = "Work fails again and again: HCP Terraform does not answer, or refuses. Nothing is lost, it is tried later and later. See the logs of state-indexer, run-creator and run-task-relay for why."
      namespace   = "Sluice"
      metric      = "WorkRetried"
      dimensions  = { Installation = local.table_name }
      statistic   = "Sum"
      threshold   = 0
      minutes     = 12
      of          = 15
      missing     = "notBreaching"
    }
    "sweeper-silent" = {
      part        = "always"
      description = "The sweeper has not run for minutes, so no retry is taken up and no lost bell is rung again. See whether the rule of the schedule is enabled and the function is throttled."
      namespace   = "AWS/Lambda"
      metric      = "Invocations"
      dimensions  = { FunctionName = "${var.name}-sweeper" }
      statistic   = "Sum"
      threshold   = 0
      below       = true
      minutes     = 5
      of          = 5
      missing     = "breaching"
    }
    "dead-letters" = {
      part        = "always"
      description = "Work was given up and waits for a person. `sluice dead list` tells why; `sluice dead retry` takes it up again."
      namespace   = "Sluice"
      metric      = "DeadLetters"
      dimensions  = { Installation = local.table_name }
      statistic   = "Maximum"
      threshold   = 0
      minutes     = 1
      of          = 1
      missing     = "notBreaching"
    }
    "callbacks-refused" = {
      part        = "gate"
      description = "HCP Terraform does not want to hear the answers of run tasks. A run that was canceled is harmless; else see the log of run-task-relay."
      namespace   = "Sluice"
      metric      = "CallbacksRefused"
      dimensions  = { Installation = local.table_name }
      statistic   = "Sum"
      threshold   = 0
      minutes     = 2
      of          = 5
      missing     = "notBreaching"
    }
    "api-errors" = {
      part        = "always"
      description = "The API answers with 5xx, so what HCP Terraform says is not on record. See the API's access log, then the log of the function of that route."
      namespace   = "AWS/ApiGateway"
      metric      = "5xx"
      dimensions  = { ApiId = aws_apigatewayv2_api.this.id }
      statistic   = "Sum"
      threshold   = 0
      minutes     = 2
      of          = 5
      missing     = "notBreaching"
    }
  } : name => alarm if var.alarms != null && local.parts[alarm.part] }
}

resource "aws_cloudwatch_metric_alarm" "installation" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.description} docs/operating.md#${each.key}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = try(each.value.below, false) ? "LessThanOrEqualToThreshold" : "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.of
  datapoints_to_alarm = each.value.minutes
  treat_missing_data  = each.value.missing
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.alarming

  alarm_name          = "${var.name}-${each.key}-errors"
  alarm_description   = "${each.key} does not start, crashes or takes too long. Its log says which setting or secret is wrong, or what it died of. docs/operating.md#errors"
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.this[each.key].function_name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

# Bells may be throttled for a while without harm: that is how reserved concurrency limits a rate.
resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = local.alarming

  alarm_name          = "${var.name}-${each.key}-throttles"
  alarm_description   = "Lambda turns away invocations of ${each.key}. Raise its reserved concurrency, or the account's quota. docs/operating.md#throttles"
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = aws_lambda_function.this[each.key].function_name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 15
  datapoints_to_alarm = length(each.value.routes) > 0 ? 2 : 12
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

resource "aws_cloudwatch_metric_alarm" "iterator_age" {
  for_each = { for name, function in local.alarming : name => function if length(function.bells) > 0 }

  alarm_name          = "${var.name}-${each.key}-iterator-age"
  alarm_description   = "${each.key} hears its bells late. Nothing is lost, as the sweeper rings again, but everything takes a minute longer. See whether it is throttled, or its batches take long. docs/operating.md#iterator-age"
  namespace           = "AWS/Lambda"
  metric_name         = "IteratorAge"
  dimensions          = { FunctionName = aws_lambda_function.this[each.key].function_name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.iterator_age_ms
  period              = 60
  evaluation_periods  = 10
  datapoints_to_alarm = 8
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}
